//! A budget of retries: a part of the requests, and a few more.
//!
//! Retries multiply the load of what has begun to fail. With this budget
//!
//! ```text
//!   request        balance = min(balance + percent, 100 * burst)
//!   retry     iff  balance >= 100,  then  balance -= 100
//! ```
//!
//! # Error bound
//!
//! Zero. From any moment on, `n` requests are followed by at most `burst + n * percent / 100`
//! retries, so that what is called sees at most `1 + percent / 100` times the requests, and `burst`
//! more.
//!
//! # What this module does not do
//!
//! It has no clock: a service that nobody asks earns no retries. It retries nothing itself.

use crate::sync::{AtomicU64, Ordering};

/// What one retry costs; a request earns so many of these as the budget has percent.
const COST: u64 = 100;

/// Retries as a part of requests.
///
/// ```
/// use rate_limiter::RetryBudget;
///
/// let budget = RetryBudget::new(20, 1);
/// assert!(budget.try_retry(), "the burst");
/// assert!(!budget.try_retry());
/// (0..5).for_each(|_| budget.note_request());
/// assert!(budget.try_retry(), "a fifth of five");
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    balance: AtomicU64,
    percent: u32,
    most: u64,
}

impl RetryBudget {
    /// Retries for `percent` of the requests, of which `burst` may be saved; so many are there at
    /// first. A burst of zero allows none.
    pub fn new(percent: u32, burst: u32) -> Self {
        let most = COST * u64::from(burst);
        Self { balance: AtomicU64::new(most), percent, most }
    }

    /// A request is made for the first time. Lock-free.
    pub fn note_request(&self) {
        self.exchange(|balance| Some((balance + u64::from(self.percent)).min(self.most)));
    }

    /// Takes a retry out of the budget, if it has one. Lock-free.
    #[must_use = "without a retry from the budget there must be none"]
    pub fn try_retry(&self) -> bool {
        self.exchange(|balance| balance.checked_sub(COST))
    }

    /// Retries that the budget has.
    pub fn retries(&self) -> u64 {
        // Relaxed: the number publishes nothing.
        self.balance.load(Ordering::Relaxed) / COST
    }

    /// Makes of the balance what `change` makes of it; false where it makes nothing.
    fn exchange(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        // Relaxed, here and below: as above.
        let mut seen = self.balance.load(Ordering::Relaxed);
        loop {
            let Some(new) = change(seen) else { return false };
            if new == seen {
                return true;
            }
            match self.balance.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => seen = found,
            }
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::RetryBudget;

    proptest! {
        /// The balance in exact arithmetic, and the bound from every moment on.
        #[test]
        fn a_budget_is_its_definition(
            percent in 0..250_u32,
            burst in 0..5_u32,
            steps in vec(any::<bool>(), 1..200),
        ) {
            let budget = RetryBudget::new(percent, burst);
            let (mut balance, most) = (100 * u64::from(burst), 100 * u64::from(burst));
            let mut past = Vec::new();
            for is_retry in steps {
                if is_retry {
                    let expected = balance >= 100;
                    prop_assert_eq!(budget.try_retry(), expected);
                    balance -= if expected { 100 } else { 0 };
                    past.push(if expected { (0, 1) } else { (0, 0) });
                } else {
                    budget.note_request();
                    balance = (balance + u64::from(percent)).min(most);
                    past.push((1, 0));
                }
                prop_assert_eq!(budget.retries(), balance / 100);
                let (mut requests, mut retries) = (0, 0);
                for (request, retry) in past.iter().rev() {
                    (requests, retries) = (requests + request, retries + retry);
                    prop_assert!(100 * retries <= most + requests * u64::from(percent));
                }
            }
        }
    }

    /// Whatever threads do, what is called sees no more than the bound, and no retry is lost.
    #[test]
    fn threads_are_amplified_by_the_budget_and_no_more() {
        const THREADS: u64 = 4;
        const REQUESTS: u64 = 20_000;
        let budget = RetryBudget::new(10, 50);
        // What is earned beyond the burst would be lost.
        while budget.try_retry() {}
        let retries = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..REQUESTS {
                        budget.note_request();
                        // Everything fails, and is tried again while it may be.
                        while budget.try_retry() {
                            retries.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(retries.into_inner(), THREADS * REQUESTS / 10);
        assert_eq!(budget.retries(), 0);
    }

    #[test]
    fn the_largest_budget_does_not_wrap() {
        let budget = RetryBudget::new(u32::MAX, u32::MAX);
        budget.note_request();
        assert_eq!(budget.retries(), u64::from(u32::MAX));
        assert!(budget.try_retry());
        assert!(!RetryBudget::new(u32::MAX, 0).try_retry());
    }
}
