//! A window whose quota changes, under every schedule that an explorer can think of.

use harness::check::schedule::explore;
use harness::sync::{Arc, thread};

use super::{FixedWindow, SlidingCounter};
use crate::{ManualClock, Quota};

/// Two requests for a window of two while the quota changes to one of as many: both are admitted,
/// and a third is not.
macro_rules! cells_survive {
    ($name:ident, $make:expr, |$limiter:ident, $quota:ident| $change:expr) => {
        #[test]
        fn $name() {
            explore(concat!("schedules::", stringify!($name)), || {
                let $quota = Quota::per_second(2).expect("the quota is legal");
                let $limiter = Arc::new($make($quota));
                let shared = Arc::clone(&$limiter);
                let asks = thread::spawn(move || (0..2).all(|_| shared.check().is_admitted()));
                $change;
                assert!(asks.join().expect("nobody panics"), "a cell was lost");
                assert!(!$limiter.check().is_admitted(), "a cell was given twice");
            });
        }
    };
}

cells_survive!(
    a_fixed_window_changes,
    |quota| FixedWindow::with_clock(quota, ManualClock::default()),
    |limiter, quota| limiter.set_quota(quota)
);
cells_survive!(
    a_sliding_counter_changes,
    |quota| SlidingCounter::with_clock(quota, ManualClock::default()).expect("it is small"),
    |limiter, quota| limiter.set_quota(quota).expect("it is small")
);
