use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{BreakerOpen, BreakerState, Call, CircuitBreaker, Phase, State};
use crate::{Clock, ManualClock, Timestamp};

type Breaker = CircuitBreaker<Arc<ManualClock>>;

fn breaker(failures_max: u16, pause: u64, probes: u16) -> Breaker {
    let pause = Duration::from_nanos(pause);
    CircuitBreaker::with_clock(failures_max, pause, probes, Arc::default())
}

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Call,
    /// What becomes of one of those that are out: success, failure or nothing.
    End(usize, Option<bool>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        4 => Just(Some(true)),
        4 => Just(Some(false)),
        1 => Just(None),
    ];
    let step = prop_oneof![
        2 => (0..8_u64).prop_map(Step::Advance),
        4 => Just(Step::Call),
        4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
    ];
    vec(step, 1..150)
}

/// The definition: every call is remembered with the state in which it was admitted.
#[derive(Debug)]
struct Definition {
    failures_max: usize,
    pause: u64,
    probes: usize,
    now: u64,
    /// The states, and what calls of the last one have said.
    state: BreakerState,
    changes: usize,
    outcomes: Vec<bool>,
    /// The states, by their number, of those that are out.
    out: Vec<usize>,
}

impl Definition {
    fn turn(&mut self, state: BreakerState) {
        self.state = state;
        self.changes += 1;
        self.outcomes.clear();
    }

    fn call(&mut self) -> Result<(), BreakerOpen> {
        if let BreakerState::Open { until } = self.state {
            if self.now < until.as_nanos() {
                return Err(BreakerOpen { retry_at: Some(until) });
            }
            self.turn(BreakerState::HalfOpen);
        }
        if self.state == BreakerState::HalfOpen {
            let probing = self.out.iter().filter(|&&state| state == self.changes).count();
            if probing + self.outcomes.len() >= self.probes {
                return Err(BreakerOpen { retry_at: None });
            }
        }
        self.out.push(self.changes);
        Ok(())
    }

    fn end(&mut self, which: usize, outcome: Option<bool>) {
        let state = self.out.swap_remove(which);
        let Some(outcome) = outcome.filter(|_| state == self.changes) else { return };
        self.outcomes.push(outcome);
        let in_a_row = self.outcomes.iter().rev().take_while(|success| !**success).count();
        let is_closed = self.state == BreakerState::Closed;
        let failures_max = if is_closed { self.failures_max } else { 1 };
        if in_a_row >= failures_max {
            let until = Timestamp::from_nanos(self.now + self.pause);
            self.turn(BreakerState::Open { until });
        } else if !is_closed && self.outcomes.len() == self.probes {
            self.turn(BreakerState::Closed);
        }
    }
}

proptest! {
    #[test]
    fn a_breaker_is_its_definition(
        failures_max in 1..4_u16,
        pause in 0..10_u64,
        probes in 1..4_u16,
        steps in steps(),
    ) {
        let breaker = breaker(failures_max, pause, probes);
        let mut definition = Definition {
            failures_max: failures_max.into(),
            pause,
            probes: probes.into(),
            now: 0,
            state: BreakerState::Closed,
            changes: 0,
            outcomes: Vec::new(),
            out: Vec::new(),
        };
        let mut out = Vec::new();
        for step in steps {
            match step {
                Step::Advance(nanos) => {
                    breaker.clock().advance(Duration::from_nanos(nanos));
                    definition.now += nanos;
                }
                Step::Call => {
                    let said = breaker.try_call();
                    prop_assert_eq!(said.as_ref().err().copied(), definition.call().err());
                    out.extend(said);
                }
                Step::End(..) if out.is_empty() => {}
                Step::End(which, outcome) => {
                    let which = which % out.len();
                    definition.end(which, outcome);
                    let call: Call<_> = out.swap_remove(which);
                    match outcome {
                        Some(true) => call.succeeded(),
                        Some(false) => call.failed(),
                        None => drop(call),
                    }
                }
            }
            prop_assert_eq!(breaker.state(), definition.state);
        }
    }

    #[test]
    fn a_state_is_what_was_packed(
        generation in 0..1_u32 << 30, until: u64, first: u16, second: u16
    ) {
        let phases = [
            Phase::Closed { failures: first },
            Phase::Open { until: Timestamp::from_nanos(until) },
            Phase::HalfOpen { out: first, good: second },
        ];
        for phase in phases {
            let state = State { generation, phase };
            prop_assert_eq!(State::unpack(state.pack()), state);
        }
    }
}

/// Threads that all come at once when the pause is over: never more than three are probes, and
/// after the three nobody is one again.
#[test]
fn half_open_admits_so_many_probes_and_no_more() {
    const PROBES: u16 = 3;
    for _ in 0..200 {
        let breaker = breaker(1, 5, PROBES);
        breaker.try_call().unwrap().failed();
        breaker.clock().advance(Duration::from_nanos(5));
        let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Ok(call) = breaker.try_call() else { continue };
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        // Without an outcome, so that the breaker stays half-open.
                        drop(call);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((1..=u64::from(PROBES)).contains(&most), "{most} probes at once");
        let probes: Vec<_> = (0..PROBES).map(|_| breaker.try_call().unwrap()).collect();
        assert_eq!(breaker.try_call().unwrap_err(), BreakerOpen { retry_at: None });
        probes.into_iter().for_each(Call::succeeded);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}

/// What was reported of others: a probe that never answered kept the breaker open for ever.
#[test]
fn like_a_probe_that_is_forgotten() {
    let breaker = breaker(1, 5, 1);
    breaker.try_call().unwrap().failed();
    breaker.clock().advance(Duration::from_nanos(5));
    for _ in 0..100_000 {
        drop(breaker.try_call().expect("the last one has given its place back"));
    }
    breaker.try_call().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

/// A clock that jumps back only prolongs the pause, and its end neither wraps nor panics.
#[test]
fn clocks_at_their_ends_are_harmless() {
    let breaker = breaker(1, u64::MAX, u16::MAX);
    breaker.clock().advance(Duration::from_micros(1));
    breaker.try_call().unwrap().failed();
    let open = breaker.try_call().unwrap_err();
    assert_eq!(open.retry_at, Some(Timestamp::MAX));
    breaker.clock().advance(Timestamp::MAX.saturating_since(breaker.clock().now()));
    breaker.try_call().unwrap().failed();
    assert_eq!(breaker.state(), BreakerState::Open { until: Timestamp::MAX });
}

#[test]
#[should_panic(expected = "0 failures or 1 probes")]
fn a_breaker_that_never_closes_is_refused() {
    drop(breaker(0, 1, 1));
}
