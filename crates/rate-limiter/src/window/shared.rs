//! What both limiters do that count windows in one word: the word and the rule that it is counted
//! by, read together and exchanged.

use env::clock::Timestamp;

use super::rule::Rule;
use crate::decision::Decision;
use crate::quota::Quota;
use crate::sync::{AtomicU128, Mutex, Ordering};
use crate::versioned::Versioned;

/// What a limiter counts, as one word. Its window's number is in it, so that it never holds what it
/// held under an earlier rule.
pub(super) trait Counted: Copy {
    /// Nothing, in the first window.
    const NOTHING: Self;

    fn pack(self) -> u128;
    fn unpack(word: u128) -> Self;

    /// The answer to a request, and what is counted after it.
    fn decide(self, rule: &Rule, now: Timestamp, cells: u64) -> (Decision, Self);

    /// Cells given back at `now`, at most `cells`; and what is counted after it.
    fn give_back(self, rule: &Rule, now: Timestamp, cells: u64) -> (u64, Self);

    /// What is counted from `now` on, and by what rule, where the quota is another one then.
    fn carried(self, rule: &Rule, now: Timestamp, quota: &Quota) -> (Rule, Self);
}

/// The word.
#[derive(Debug)]
pub(super) struct Counter<T> {
    word: AtomicU128,
    rule: Versioned<Rule>,
    /// Held while it changes.
    quota: Mutex<Quota>,
    counted: std::marker::PhantomData<fn() -> T>,
}

impl<T: Counted> Counter<T> {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            word: AtomicU128::new(T::NOTHING.pack()),
            rule: Versioned::new(Rule::new(&quota)),
            quota: Mutex::new(quota),
            counted: std::marker::PhantomData,
        }
    }

    /// What is counted, and the rule.
    pub(super) fn read(&self) -> (Rule, T) {
        // Acquire: pairs with the exchange in `change`, so that who sees what was carried over sees
        // that the rule changes.
        let (rule, word) = self.rule.read(|| self.word.load(Ordering::Acquire));
        (rule, T::unpack(word))
    }

    /// Does `step` to what is counted; lock-free but for a change of the rule.
    pub(super) fn update<R>(&self, step: impl Fn(T, &Rule) -> (R, T)) -> R {
        loop {
            let (rule, counted) = self.read();
            let (result, new) = step(counted, &rule);
            let (seen, new) = (counted.pack(), new.pack());
            // Relaxed: the word publishes nothing but itself.
            let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            if new == seen || self.word.compare_exchange(seen, new, order, failure).is_ok() {
                return result;
            }
        }
    }

    pub(super) fn change(&self, now: impl FnOnce() -> Timestamp, quota: Quota) {
        let mut current = self.quota.lock().expect("no holder of this lock panics");
        let now = now();
        self.rule.change(|rule| {
            // Relaxed, here and below: the version orders changes.
            let mut seen = self.word.load(Ordering::Relaxed);
            loop {
                let (rule, counted) = T::unpack(seen).carried(&rule, now, &quota);
                // Release: who sees it sees that the version is odd.
                let (order, failure) = (Ordering::Release, Ordering::Relaxed);
                match self.word.compare_exchange(seen, counted.pack(), order, failure) {
                    Ok(_) => return Some(rule),
                    Err(found) => seen = found,
                }
            }
        });
        *current = quota;
    }

    pub(super) fn quota(&self) -> Quota {
        *self.quota.lock().expect("no holder of this lock panics")
    }
}
