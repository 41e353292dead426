//! Entering and leaving the line under every schedule; see `harness::check::schedule`.

use std::task::Waker;
use std::time::Duration;

use harness::check::schedule::explore;
#[cfg(any(loom, shuttle))]
use harness::check::schedule::find_failure;
use harness::sync::atomic::{AtomicU64, Ordering};
use harness::sync::{Arc, thread};

use super::{Entered, Line};
use crate::live::Carry;
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
fn the_quota_changes_while_another_comes_and_goes() {
    explore("schedules::the_quota_changes_while_another_comes_and_goes", || {
        let line = empty();
        let shared = Arc::clone(&line);
        let other = thread::spawn(move || {
            let (place, _) = enter(&shared);
            shared.leave(&place, || Timestamp::ZERO);
        });
        let quota = Quota::per_second(1).expect("the quota is legal");
        assert!(line.change(Timestamp::ZERO, &quota, &quota, Carry::Fraction).is_none());
        other.join().expect("nobody panics");
        assert_eq!(next_wait(&line), SECOND, "cells were lost or given twice");
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

/// A clock that all threads read alike: it never shows what it no longer is.
struct Wall(AtomicU64);

impl Wall {
    fn now(&self) -> Timestamp {
        // AcqRel: an addition, of nothing, is the only way to see the last value and no earlier.
        Timestamp::from_nanos(self.0.fetch_add(0, Ordering::AcqRel))
    }

    fn set(&self, now: Timestamp) {
        // AcqRel: as in `now`.
        self.0.swap(now.as_nanos(), Ordering::AcqRel);
    }
}

/// How a waiter leaves.
type Leaves = fn(&Line, &super::Place, &Wall);

const RIGHTLY: Leaves = |line, place, wall| line.leave(place, || wall.now());

/// Someone who is due after a second leaves from `then` on, while the clock comes to two seconds
/// and someone else, without the lock, asks for the cell that is there by then.
fn one_leaves_while_another_asks(then: Duration, leaves: Leaves) {
    let line = empty();
    let (place, due) = enter(&line);
    assert_eq!(due, Timestamp::ZERO + SECOND, "the cell that was taken is back after a second");
    let wall = Arc::new(Wall(AtomicU64::new((Timestamp::ZERO + then).as_nanos())));
    let later = Timestamp::ZERO + 2 * SECOND;
    let asks = {
        let (line, wall) = (Arc::clone(&line), Arc::clone(&wall));
        thread::spawn(move || {
            wall.set(later);
            line.bucket().check(later, 1).is_admitted()
        })
    };
    leaves(&line, &place, &wall);
    assert!(asks.join().expect("nobody panics"), "after two seconds the bucket is full");
    assert!(!line.bucket().check(later, 1).is_admitted(), "a cell was given twice");
}

/// Due or not, as the clock moves: its cell goes to those behind, is given back or is lost.
#[test]
fn one_leaves_at_its_moment_while_another_asks() {
    explore("schedules::one_leaves_at_its_moment_while_another_asks", || {
        one_leaves_while_another_asks(Duration::ZERO, RIGHTLY);
    });
}

/// It is due: nobody came after it and its cell is given back, or somebody did and it is lost.
#[test]
fn one_leaves_after_its_moment_while_another_asks() {
    explore("schedules::one_leaves_after_its_moment_while_another_asks", || {
        one_leaves_while_another_asks(SECOND, RIGHTLY);
    });
}

/// The planted bug: a reading of the clock from before that of the bucket. It says "not due" of a
/// reservation behind which the bucket was full.
#[cfg(any(loom, shuttle))]
#[test]
fn planted_early_reading_of_the_clock_is_found() {
    const EARLY: Leaves = |line, place, wall| {
        let now = wall.now();
        line.leave(place, || now);
    };
    let failure = find_failure(400, || one_leaves_while_another_asks(Duration::ZERO, EARLY));
    assert!(failure.is_some(), "a cell that was given twice was not noticed");
}
