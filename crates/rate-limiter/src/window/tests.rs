//! The window limiters against lists of all that was ever admitted.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{FixedWindow, SlidingCounter, SlidingLog};
use crate::{Decision, ManualClock, Quota, QuotaError, Timestamp};

/// What is asked: how far the clock moves first, and for how many cells, or how many go back.
type Request = (i64, u64, bool);

/// All that was admitted, oldest first, and the definitions on it.
struct Ledger {
    admitted: Vec<(u64, u64)>,
    limit: u64,
    window: u64,
}

impl Ledger {
    fn new(limit: u64, window: u64) -> Self {
        Self { admitted: Vec::new(), limit, window }
    }

    fn newest(&self) -> u64 {
        self.admitted.last().map_or(0, |&(moment, _)| moment)
    }

    /// Cells admitted in `from .. to`.
    fn between(&self, from: u64, to: u64) -> u64 {
        let within = self.admitted.iter().filter(|&&(moment, _)| from <= moment && moment < to);
        within.map(|&(_, cells)| cells).sum()
    }

    /// Takes cells out of those admitted in `from .. to`, the newest first; says how many. What is
    /// left of the moments stays, so that the newest one is the same.
    fn give_back(&mut self, from: u64, to: u64, cells: u64) -> u64 {
        let mut left = cells;
        for (moment, count) in self.admitted.iter_mut().rev() {
            if from <= *moment && *moment < to {
                let part = left.min(*count);
                (left, *count) = (left - part, *count - part);
            }
        }
        cells - left
    }

    fn in_window(&self, window: u64) -> u64 {
        self.between(window * self.window, (window + 1) * self.window)
    }

    /// The window of a moment; nothing where a later one is counted already.
    fn aligned(&self, now: u64) -> std::ops::Range<u64> {
        let window = now / self.window;
        let end = if window < self.newest() / self.window { window } else { window + 1 };
        window * self.window..end * self.window
    }

    /// What has not expired.
    fn counting(&self, now: u64) -> std::ops::Range<u64> {
        (now.max(self.newest()) + 1).saturating_sub(self.window)..u64::MAX
    }

    fn fixed(&self, now: u64, cells: u64) -> bool {
        let window = now / self.window;
        window >= self.newest() / self.window && self.in_window(window) + cells <= self.limit
    }

    fn log(&self, now: u64, cells: u64) -> bool {
        let since = (now + 1).saturating_sub(self.window);
        now >= self.newest() && self.between(since, now + 1) + cells <= self.limit
    }

    /// The formula of the header, in 128 bits.
    fn counter(&self, now: u64, cells: u64) -> bool {
        let (window, gone) = (now / self.window, now % self.window);
        let last = window.checked_sub(1).map_or(0, |last| self.in_window(last));
        let weighed = u128::from(last) * u128::from(self.window - gone)
            + u128::from(self.in_window(window) + cells) * u128::from(self.window);
        window >= self.newest() / self.window
            && weighed <= u128::from(self.limit) * u128::from(self.window)
    }
}

/// A limiter under test, and the moments whose cells it may give back at one.
trait Subject {
    fn check(&self, now: Timestamp, cells: u64) -> Decision;
    fn peek(&self, now: Timestamp, cells: u64) -> Decision;
    fn refund(&self, now: Timestamp, cells: u64) -> u64;
    fn returnable(ledger: &Ledger, now: u64) -> std::ops::Range<u64>;
}

macro_rules! subject {
    ($limiter:ident, |$ledger:ident, $now:ident| $returnable:expr) => {
        impl Subject for $limiter<ManualClock> {
            fn check(&self, now: Timestamp, cells: u64) -> Decision {
                self.check_at(now, cells)
            }

            fn peek(&self, now: Timestamp, cells: u64) -> Decision {
                self.peek_at(now, cells)
            }

            fn refund(&self, now: Timestamp, cells: u64) -> u64 {
                self.refund_at(now, cells)
            }

            fn returnable($ledger: &Ledger, $now: u64) -> std::ops::Range<u64> {
                $returnable
            }
        }
    };
}

subject!(FixedWindow, |ledger, now| ledger.aligned(now));
subject!(SlidingCounter, |ledger, now| ledger.aligned(now));
subject!(SlidingLog, |ledger, now| ledger.counting(now));

/// Walks a limiter through requests beside its definition; a denial must name the first moment.
fn walk<S: Subject>(
    limit: u64,
    window: u64,
    requests: &[Request],
    define: fn(&Ledger, u64, u64) -> bool,
    limiter: &S,
) -> Result<(), TestCaseError> {
    let mut ledger = Ledger::new(limit, window);
    let mut now = 0_u64;
    for &(step, cells, is_refund) in requests {
        now = now.saturating_add_signed(step);
        let at = Timestamp::from_nanos(now);
        if is_refund {
            let moments = S::returnable(&ledger, now);
            let expected = ledger.give_back(moments.start, moments.end, cells);
            prop_assert_eq!(limiter.refund(at, cells), expected, "at {}", now);
            continue;
        }
        let expected = define(&ledger, now, cells);
        let peeked = limiter.peek(at, cells);
        let decision = limiter.check(at, cells);
        prop_assert_eq!(peeked, decision);
        match decision {
            Decision::Impossible { burst } => {
                prop_assert_eq!(burst, limit);
                prop_assert!(cells > limit);
            }
            Decision::Admitted => {
                prop_assert!(expected, "{} cells admitted at {}", cells, now);
                ledger.admitted.push((now, cells));
                // The fixed and the sliding windows may see a step back within a window.
                ledger.admitted.sort_unstable();
            }
            Decision::Denied(denial) => {
                prop_assert!(!expected, "{} cells denied at {}", cells, now);
                let retry = denial.retry_at().as_nanos();
                prop_assert!(retry > now);
                prop_assert!(define(&ledger, retry, cells), "still denied at {}", retry);
                prop_assert!((now..retry).all(|at| !define(&ledger, at, cells)), "not the first");
            }
        }
    }
    Ok(())
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let step = prop_oneof![4 => 0..12_i64, 1 => 0..60_i64, 1 => -8..0_i64];
    vec((step, 1..7_u64, prop::bool::weighted(0.2)), 1..60)
}

fn quota(limit: u64, window: u64) -> Quota {
    Quota::new(limit, Duration::from_nanos(window)).unwrap()
}

proptest! {
    #[test]
    fn fixed_window_is_its_definition(
        limit in 1..6_u64, window in 1..20_u64, requests in requests()
    ) {
        let limiter = FixedWindow::with_clock(quota(limit, window), ManualClock::default());
        walk(limit, window, &requests, Ledger::fixed, &limiter)?;
    }

    #[test]
    fn sliding_log_is_its_definition(
        limit in 1..6_u64, window in 1..20_u64, requests in requests()
    ) {
        let limiter = SlidingLog::with_clock(quota(limit, window), ManualClock::default()).unwrap();
        walk(limit, window, &requests, Ledger::log, &limiter)?;
    }

    #[test]
    fn sliding_counter_is_its_definition(
        limit in 1..6_u64, window in 1..20_u64, requests in requests()
    ) {
        let clock = ManualClock::default();
        let limiter = SlidingCounter::with_clock(quota(limit, window), clock).unwrap();
        walk(limit, window, &requests, Ledger::counter, &limiter)?;
    }
}

/// A whole limit in a blink before a boundary, and what the limiter lets through after it.
fn across_a_boundary(ask: impl Fn(u64) -> bool) -> u64 {
    let mut admitted = 0;
    for moment in (999..=999).chain(1_000..1_998) {
        while ask(moment) {
            admitted += 1;
        }
    }
    admitted
}

#[test]
fn the_bounds_of_the_table_are_reached() {
    let quota = quota(10, 1_000);
    let at = Timestamp::from_nanos;
    let fixed = FixedWindow::with_clock(quota, ManualClock::default());
    assert_eq!(across_a_boundary(|now| fixed.check_at(at(now), 1).is_admitted()), 20);
    let counter = SlidingCounter::with_clock(quota, ManualClock::default()).unwrap();
    assert_eq!(across_a_boundary(|now| counter.check_at(at(now), 1).is_admitted()), 19);
    let log = SlidingLog::with_clock(quota, ManualClock::default()).unwrap();
    assert_eq!(across_a_boundary(|now| log.check_at(at(now), 1).is_admitted()), 10);
}

#[test]
fn the_end_of_the_clock_neither_wraps_nor_panics() {
    let quota = Quota::per_second(2).unwrap();
    let end = Timestamp::MAX;
    let fixed = FixedWindow::with_clock(quota, ManualClock::default());
    let counter = SlidingCounter::with_clock(quota, ManualClock::default()).unwrap();
    let log = SlidingLog::with_clock(quota, ManualClock::default()).unwrap();
    let checks: [&dyn Fn() -> Decision; 3] =
        [&|| fixed.check_at(end, 1), &|| counter.check_at(end, 1), &|| log.check_at(end, 1)];
    for check in checks {
        assert!(check().is_admitted());
        assert!(check().is_admitted());
        let Decision::Denied(denial) = check() else { panic!("two a second") };
        assert_eq!(denial.retry_at(), Timestamp::MAX);
    }
}

#[test]
fn windows_that_cannot_be_counted_are_refused() {
    let cells = u64::from(u32::MAX) + 1;
    let quota = Quota::per_second(cells).unwrap();
    let refused = SlidingCounter::with_clock(quota, ManualClock::default()).unwrap_err();
    assert_eq!(refused, QuotaError::WindowTooLarge { cells });
    let cells = 1 << 60;
    let quota = Quota::per_second(cells).unwrap();
    let refused = SlidingLog::with_clock(quota, ManualClock::default()).unwrap_err();
    assert_eq!(refused, QuotaError::WindowTooLarge { cells });
}

#[test]
fn threads_together_fill_a_window_exactly() {
    let quota = Quota::per_hour(1_000).unwrap();
    let fixed = FixedWindow::with_clock(quota, ManualClock::default());
    let counter = SlidingCounter::with_clock(quota, ManualClock::default()).unwrap();
    let log = SlidingLog::with_clock(quota, ManualClock::default()).unwrap();
    let checks: [&(dyn Fn() -> Decision + Sync); 3] =
        [&|| fixed.check(), &|| counter.check(), &|| log.check()];
    for check in checks {
        let admitted: usize = std::thread::scope(|scope| {
            let count = || (0..500).filter(|_| check().is_admitted()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1_000);
    }
}
