//! A breaker whose pause is over, under every schedule that an explorer can think of.

use std::time::Duration;

use harness::check::schedule::explore;
use harness::sync::thread;

use super::{BreakerState, CircuitBreaker};
use crate::ManualClock;

/// Open, and at the end of its pause.
fn ready(probes: u16) -> CircuitBreaker<ManualClock> {
    let pause = Duration::from_secs(1);
    let breaker = CircuitBreaker::with_clock(1, pause, probes, ManualClock::default());
    breaker.try_call().expect("it is closed").failed();
    breaker.clock().advance(pause);
    breaker
}

/// Of two threads that come after the pause one is the probe, and while it is out there is none.
#[test]
fn one_of_two_is_the_probe() {
    explore("schedules::one_of_two_is_the_probe", || {
        let breaker = ready(1);
        let shared = breaker.clone();
        let other = thread::spawn(move || shared.try_call().ok());
        let here = breaker.try_call().ok();
        let there = other.join().expect("nobody panics");
        assert!(here.is_some() != there.is_some(), "{here:?} and {there:?}");
        assert!(breaker.try_call().is_err(), "a second probe");
    });
}

/// One probe fails while another succeeds and a third begins: the breaker is open, and the success
/// of a time that is over does not close it.
#[test]
fn a_late_success_closes_nothing() {
    explore("schedules::a_late_success_closes_nothing", || {
        let breaker = ready(2);
        let failing = breaker.try_call().expect("the pause is over");
        let succeeding = breaker.try_call().expect("there are two probes");
        let other = thread::spawn(move || failing.failed());
        succeeding.succeeded();
        other.join().expect("nobody panics");
        assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{:?}", breaker.state());
    });
}
