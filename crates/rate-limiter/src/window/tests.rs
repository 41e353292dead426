//! The window limiters against lists of all that was ever admitted.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{FixedWindow, SlidingCounter, SlidingLog};
use crate::{Decision, ManualClock, Quota, QuotaError, Timestamp};

/// What happens, once the clock has moved so far.
type Request = (i64, Act);

#[derive(Clone, Copy, Debug)]
enum Act {
    Take(u64),
    GiveBack(u64),
    /// Another limit and another window, where the clock does not stand before the newest moment.
    Change(u64, u64),
}

/// All that was admitted, oldest first, and the definitions on it.
struct Ledger {
    admitted: Vec<(u64, u64)>,
    limit: u64,
    window: u64,
    changed_at: u64,
}

impl Ledger {
    fn new(limit: u64, window: u64) -> Self {
        Self { admitted: Vec::new(), limit, window, changed_at: 0 }
    }

    fn newest(&self) -> u64 {
        self.admitted.last().map_or(0, |&(moment, _)| moment).max(self.changed_at)
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

    /// What the present window has counted, as if it had been admitted now.
    fn change_fixed(&mut self, now: u64) {
        let counted = self.in_window(now / self.window);
        (self.admitted, self.changed_at) = (vec![(now, counted)], now);
    }

    /// What counts by the formula, as if it had been admitted now; all of it, where only the limit
    /// is another.
    fn change_counter(&mut self, now: u64, is_as_long: bool) {
        self.changed_at = now;
        if !is_as_long {
            let (window, gone) = (now / self.window, now % self.window);
            let last = window.checked_sub(1).map_or(0, |last| self.in_window(last));
            let share = (last * (self.window - gone)).div_ceil(self.window);
            self.admitted = vec![(now, self.in_window(window) + share)];
        }
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
    /// How many windows it remembers.
    const WINDOWS: u64;

    fn check(&self, now: Timestamp, cells: u64) -> Decision;
    fn peek(&self, now: Timestamp, cells: u64) -> Decision;
    fn refund(&self, now: Timestamp, cells: u64) -> u64;
    fn set_quota(&self, quota: Quota);
    /// What a change at `now` makes of what was admitted.
    fn change(ledger: &mut Ledger, now: u64, window: u64);

    fn clock(&self) -> &ManualClock;
    fn returnable(ledger: &Ledger, now: u64) -> std::ops::Range<u64>;
}

macro_rules! subject {
    (
        $limiter:ident, $windows:literal, $changes:expr,
        |$ledger:ident, $now:ident| $returnable:expr
    ) => {
        impl Subject for $limiter<ManualClock> {
            const WINDOWS: u64 = $windows;

            fn check(&self, now: Timestamp, cells: u64) -> Decision {
                self.check_at(now, cells)
            }

            fn peek(&self, now: Timestamp, cells: u64) -> Decision {
                self.peek_at(now, cells)
            }

            fn refund(&self, now: Timestamp, cells: u64) -> u64 {
                self.refund_at(now, cells)
            }

            fn set_quota(&self, quota: Quota) {
                Changes::accepts(self.set_quota(quota));
            }

            fn change(ledger: &mut Ledger, now: u64, window: u64) {
                let changes: fn(&mut Ledger, u64, u64) = $changes;
                changes(ledger, now, window);
            }

            fn clock(&self) -> &ManualClock {
                self.clock()
            }

            fn returnable($ledger: &Ledger, $now: u64) -> std::ops::Range<u64> {
                $returnable
            }
        }
    };
}

/// What a change of the quota returns: nothing, or that it was possible.
trait Changes {
    fn accepts(self);
}

impl Changes for () {
    fn accepts(self) {}
}

impl Changes for Result<(), QuotaError> {
    fn accepts(self) {
        self.expect("the quota is small");
    }
}

subject!(FixedWindow, 2, |ledger, now, _| ledger.change_fixed(now), |ledger, now| ledger
    .aligned(now));
subject!(
    SlidingCounter,
    2,
    |ledger, now, window| ledger.change_counter(now, window == ledger.window),
    |ledger, now| ledger.aligned(now)
);
subject!(SlidingLog, 1, |_, _, _| (), |ledger, now| ledger.counting(now));

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
    for &(step, act) in requests {
        now = now.saturating_add_signed(step);
        let at = Timestamp::from_nanos(now);
        let cells = match act {
            Act::Take(cells) => cells,
            Act::GiveBack(cells) => {
                let moments = S::returnable(&ledger, now);
                let expected = ledger.give_back(moments.start, moments.end, cells);
                prop_assert_eq!(limiter.refund(at, cells), expected, "at {}", now);
                continue;
            }
            Act::Change(limit, window) => {
                if now >= ledger.newest() {
                    S::change(&mut ledger, now, window);
                    (ledger.limit, ledger.window) = (limit, window);
                    limiter.clock().set(at);
                    limiter.set_quota(quota(limit, window));
                }
                continue;
            }
        };
        let expected = define(&ledger, now, cells);
        let peeked = limiter.peek(at, cells);
        let decision = limiter.check(at, cells);
        prop_assert_eq!(peeked, decision);
        match decision {
            Decision::Impossible { burst } => {
                prop_assert_eq!(burst, ledger.limit);
                prop_assert!(cells > ledger.limit);
            }
            Decision::Admitted => {
                prop_assert!(expected, "{} cells admitted at {}", cells, now);
                // No longer window brings back what was forgotten.
                let edge = now.checked_sub(S::WINDOWS * ledger.window);
                ledger.admitted.retain(|&(moment, _)| edge.is_none_or(|edge| moment > edge));
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
    let act = prop_oneof![
        16 => (1..7_u64).prop_map(Act::Take),
        4 => (1..7_u64).prop_map(Act::GiveBack),
        1 => (1..6_u64, 1..20_u64).prop_map(|(limit, window)| Act::Change(limit, window)),
    ];
    vec((step, act), 1..60)
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

/// A change to the same quota, however often it comes, loses no cell and gives none twice.
#[test]
fn threads_together_fill_a_window_exactly() {
    let quota = Quota::per_hour(1_000).unwrap();
    let fixed = FixedWindow::with_clock(quota, ManualClock::default());
    let counter = SlidingCounter::with_clock(quota, ManualClock::default()).unwrap();
    let log = SlidingLog::with_clock(quota, ManualClock::default()).unwrap();
    let checks: [&(dyn Fn() -> Decision + Sync); 3] =
        [&|| fixed.check(), &|| counter.check(), &|| log.check()];
    let changes: [&dyn Fn(); 3] =
        [&|| fixed.set_quota(quota), &|| counter.set_quota(quota).unwrap(), &|| {
            log.set_quota(quota).unwrap();
        }];
    for (check, change) in checks.into_iter().zip(changes) {
        let admitted: usize = std::thread::scope(|scope| {
            let count = || (0..500).filter(|_| check().is_admitted()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            (0..200).for_each(|_| change());
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1_000);
    }
}
