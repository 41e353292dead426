//! A circuit breaker: after so many failures in a row nobody calls for a while, and then a few try.
//!
//! ```text
//!             failures_max failures in a row
//!   closed ------------------------------------> open, until now + pause
//!     ^                                           |  ^
//!     | all probes have succeeded     pause is over  | one probe has failed
//!     |                                           v  |
//!     '------------------------------------- half-open, probes p
//!                                            admits iff out + good < p
//! ```
//!
//! *Out* are the probes that have not ended, *good* are those that have succeeded. A call is of the
//! state in which it was admitted; what it says after that state has ended says nothing about
//! the present one and is ignored. A call that ends without an outcome, as that of a cancelled
//! future or of a request that never left, gives its place back and changes nothing else: a probe
//! that was forgotten does not keep the breaker open.
//!
//! # Error bound
//!
//! Zero: while the breaker is half-open, never more than `p` probes are out, and it closes after
//! `p` successes of that time and none but these. Failures are in a row in the order in which they
//! end.
//!
//! # State
//!
//! One word of 128 bits, exchanged at once:
//!
//! ```text
//!   | open until (64) | generation (30) | state (2) | failures or out (16) | good (16) |
//! ```
//!
//! The generation counts changes of state and tells calls of an earlier one. It comes back after
//! 2^30 changes; an outcome that is later than that may be taken for one of the present.
//!
//! # What this module does not do
//!
//! It calls nothing and retries nothing; see [`RetryBudget`](crate::RetryBudget).

use std::fmt;
use std::time::Duration;

use env::clock::{Clock, FastClock, Timestamp};

use crate::sync::{Arc, AtomicU128, Ordering};

/// A breaker around what may fail. Clones share it.
///
/// ```
/// use rate_limiter::CircuitBreaker;
/// use std::time::Duration;
///
/// let breaker = CircuitBreaker::new(2, Duration::from_secs(10), 1);
/// for _ in 0..2 {
///     breaker.try_call().expect("two failures are not too many").failed();
/// }
/// let open = breaker.try_call().expect_err("they were too many");
/// assert!(open.retry_at.is_some());
/// ```
#[derive(Debug)]
pub struct CircuitBreaker<C = FastClock> {
    shared: Arc<Shared<C>>,
}

#[derive(Debug)]
struct Shared<C> {
    word: AtomicU128,
    failures_max: u16,
    pause: Duration,
    probes: u16,
    clock: C,
}

/// A call that was admitted. Say how it ended: [`succeeded`](Self::succeeded) or
/// [`failed`](Self::failed). One that is simply dropped has no outcome.
#[must_use = "a call that is dropped at once has no outcome"]
pub struct Call<C: Clock = FastClock> {
    shared: Arc<Shared<C>>,
    generation: u32,
    outcome: Outcome,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open; answer without the call, or try again later")]
pub struct BreakerOpen {
    /// When a probe will be admitted. `None` while the breaker waits for those that are out.
    pub retry_at: Option<Timestamp>,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls.
    Closed,
    /// None until this moment; then it is half-open.
    Open {
        /// The moment.
        until: Timestamp,
    },
    /// A few probes.
    HalfOpen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    None,
}

/// The word, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    generation: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed {
        /// Invariant: less than `failures_max`.
        failures: u16,
    },
    Open {
        until: Timestamp,
    },
    /// Invariant: the sum is at most `probes`.
    HalfOpen {
        out: u16,
        good: u16,
    },
}

const GENERATION_MASK: u32 = (1 << 30) - 1;

// Not derived: a clone shares the clock and need not clone it.
impl<C> Clone for CircuitBreaker<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl CircuitBreaker<FastClock> {
    /// A closed breaker on the machine's fastest sound clock; see [`with_clock`](Self::with_clock).
    pub fn new(failures_max: u16, pause: Duration, probes: u16) -> Self {
        Self::with_clock(failures_max, pause, probes, FastClock::new())
    }
}

impl<C: Clock> CircuitBreaker<C> {
    /// A closed breaker on `clock`, which opens for `pause` after `failures_max` failures in a row
    /// and closes when `probes` probes have succeeded.
    ///
    /// Panics when one of the numbers is zero.
    pub fn with_clock(failures_max: u16, pause: Duration, probes: u16, clock: C) -> Self {
        assert!(
            failures_max > 0 && probes > 0,
            "{failures_max} failures or {probes} probes would never close the breaker again"
        );
        let state = State { generation: 0, phase: Phase::Closed { failures: 0 } };
        let word = AtomicU128::new(state.pack());
        Self { shared: Arc::new(Shared { word, failures_max, pause, probes, clock }) }
    }

    /// Admits a call, or a probe, if the state allows. Lock-free.
    pub fn try_call(&self) -> Result<Call<C>, BreakerOpen> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let generation = shared.change(|state| state.admit(now, shared.probes))?;
        Ok(Call { shared: Arc::clone(shared), generation, outcome: Outcome::None })
    }

    /// The state at present.
    pub fn state(&self) -> BreakerState {
        match self.shared.load().phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } => BreakerState::Open { until },
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// The clock that the breaker reads.
    pub fn clock(&self) -> &C {
        &self.shared.clock
    }
}

impl<C: Clock> Call<C> {
    /// Ends with success.
    pub fn succeeded(mut self) {
        self.outcome = Outcome::Success;
    }

    /// Ends with a failure.
    pub fn failed(mut self) {
        self.outcome = Outcome::Failure;
    }
}

impl<C: Clock> Drop for Call<C> {
    fn drop(&mut self) {
        let Self { shared, generation, outcome } = self;
        shared.change(|state| {
            // A call of an earlier state.
            let is_of_this = state.generation == *generation;
            (is_of_this.then(|| shared.after(state, *outcome)), ())
        });
    }
}

impl<C: Clock> fmt::Debug for Call<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<C: Clock> Shared<C> {
    fn load(&self) -> State {
        // Relaxed, here and below: the word publishes nothing but itself.
        State::unpack(self.word.load(Ordering::Relaxed))
    }

    /// Makes of the state what `step` makes of it, if anything, in one exchange.
    fn change<R>(&self, step: impl Fn(State) -> (Option<State>, R)) -> R {
        let mut seen = self.load();
        loop {
            let (next, result) = step(seen);
            let Some(next) = next.filter(|next| *next != seen) else { return result };
            let (from, to) = (seen.pack(), next.pack());
            match self.word.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return result,
                Err(found) => seen = State::unpack(found),
            }
        }
    }

    /// The state after a call that was admitted in it has ended.
    fn after(&self, state: State, outcome: Outcome) -> State {
        let open = || Phase::Open { until: self.clock.now() + self.pause };
        let phase = match (state.phase, outcome) {
            (Phase::Closed { .. }, Outcome::Success) => Phase::Closed { failures: 0 },
            (Phase::Closed { failures }, Outcome::Failure) if failures + 1 < self.failures_max => {
                Phase::Closed { failures: failures + 1 }
            }
            (Phase::Closed { .. } | Phase::HalfOpen { .. }, Outcome::Failure) => {
                return state.next(open());
            }
            (Phase::HalfOpen { good, .. }, Outcome::Success) if good + 1 == self.probes => {
                return state.next(Phase::Closed { failures: 0 });
            }
            (Phase::HalfOpen { out, good }, Outcome::Success) => {
                Phase::HalfOpen { out: out - 1, good: good + 1 }
            }
            (Phase::HalfOpen { out, good }, Outcome::None) => {
                Phase::HalfOpen { out: out - 1, good }
            }
            (phase, _) => phase,
        };
        State { phase, ..state }
    }
}

impl State {
    /// Another state, whose calls are told from those of this one.
    fn next(self, phase: Phase) -> Self {
        Self { generation: self.generation.wrapping_add(1) & GENERATION_MASK, phase }
    }

    /// The state after a call was let in at `now`, and the generation of the call; or why not.
    fn admit(self, now: Timestamp, probes: u16) -> (Option<Self>, Result<u32, BreakerOpen>) {
        let next = match self.phase {
            Phase::Closed { .. } => self,
            Phase::Open { until } if now < until => {
                return (None, Err(BreakerOpen { retry_at: Some(until) }));
            }
            Phase::Open { .. } => self.next(Phase::HalfOpen { out: 1, good: 0 }),
            Phase::HalfOpen { out, good } if out < probes - good => {
                Self { phase: Phase::HalfOpen { out: out + 1, good }, ..self }
            }
            Phase::HalfOpen { .. } => return (None, Err(BreakerOpen { retry_at: None })),
        };
        (Some(next), Ok(next.generation))
    }

    fn pack(self) -> u128 {
        let (until, tag, first, second) = match self.phase {
            Phase::Closed { failures } => (0, 0, failures, 0),
            Phase::Open { until } => (until.as_nanos(), 1, 0, 0),
            Phase::HalfOpen { out, good } => (0, 2, out, good),
        };
        let low = u64::from(self.generation) << 34
            | tag << 32
            | u64::from(first) << 16
            | u64::from(second);
        u128::from(until) << 64 | u128::from(low)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is taken by itself")]
    fn unpack(word: u128) -> Self {
        let (until, low) = ((word >> 64) as u64, word as u64);
        let (first, second) = ((low >> 16) as u16, low as u16);
        let phase = match (low >> 32) & 0b11 {
            0 => Phase::Closed { failures: first },
            1 => Phase::Open { until: Timestamp::from_nanos(until) },
            _ => Phase::HalfOpen { out: first, good: second },
        };
        Self { generation: (low >> 34) as u32, phase }
    }
}

#[cfg(test)]
mod schedules;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
