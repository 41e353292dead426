//! Entering and leaving the line under every schedule; see `harness::check::schedule`.

use std::task::Waker;
use std::time::Duration;

use harness::check::schedule::explore;
use harness::sync::{Arc, thread};

use super::{Entered, Line};
use crate::quota::Quota;
use env::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

/// One cell a second, one at once, and that one taken.
fn empty() -> Arc<Line> {
    let quota = Quota::per_second(1).expect("the quota is legal");
    let line = Line::new(&quota, Timestamp::ZERO);
    assert!(line.bucket().check(Timestamp::ZERO, 1).is_admitted(), "the bucket is full");
    Arc::new(line)
}

fn enter(line: &Line) -> (super::Place, Timestamp) {
    match line.enter(Timestamp::ZERO, 1, Duration::MAX, Waker::noop()) {
        Entered::Waits(place, due) => (place, due),
        other => panic!("the bucket is empty: {other:?}"),
    }
}

/// What the next one to come would have to wait.
fn next_wait(line: &Line) -> Duration {
    enter(line).1.saturating_since(Timestamp::ZERO)
}

#[test]
fn one_leaves_while_another_enters() {
    explore("schedules::one_leaves_while_another_enters", || {
        let line = empty();
        let shared = Arc::clone(&line);
        let other = thread::spawn(move || {
            let (place, _) = enter(&shared);
            shared.leave(&place, || Timestamp::ZERO);
        });
        let (place, _) = enter(&line);
        other.join().expect("nobody panics");
        assert_eq!(line.waiting(), 1);
        let turn = line.turn(&place, Timestamp::ZERO + SECOND, Waker::noop());
        assert_eq!(turn, super::Turn::Served, "the first in line is due after a second");
        assert_eq!(next_wait(&line), SECOND * 2, "cells were lost or given twice");
    });
}

#[test]
fn both_leave_at_once() {
    explore("schedules::both_leave_at_once", || {
        let line = empty();
        let (first, second) = (enter(&line).0, enter(&line).0);
        let shared = Arc::clone(&line);
        let other = thread::spawn(move || shared.leave(&first, || Timestamp::ZERO));
        line.leave(&second, || Timestamp::ZERO);
        other.join().expect("nobody panics");
        assert_eq!(next_wait(&line), SECOND, "cells were lost or given twice");
    });
}
