//! What a round trip says about the limit: AIMD, Vegas, Gradient.
//!
//! | rule         | looks at                     | raises                     | lowers                           |
//! |--------------|------------------------------|----------------------------|----------------------------------|
//! | [`Aimd`]     | drops                        | by one                     | to nine tenths, at a drop        |
//! | [`Vegas`]    | queue = L * (1 - best / now) | while it is short          | while it is long, and at a drop  |
//! | [`Gradient`] | now against a long average   | by a small allowance       | by their ratio, and at a drop    |
//!
//! All keep the limit within its bounds, all lower it at a drop, and none raises it while less than
//! half of it is used: a limit that nobody reaches says nothing. The names and the idea are those
//! of TCP (Chiu and Jain 1989, Brakmo and Peterson 1995) as Netflix brought them to servers.
//!
//! # Error bound
//!
//! These are controllers, not bounds: they steer the limit, and the limit is kept exactly. Tests
//! run them against a server of known capacity and state how close they come.

use std::fmt;
use std::time::Duration;

/// How one request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// From admission to end.
    pub round_trip: Duration,
    /// In flight when it was admitted, itself included.
    pub in_flight: u64,
    /// Whether it ended in a sign of overload.
    pub dropped: bool,
}

/// A rule that moves a limit.
///
/// One that panics does so to the caller whose request ended; the limit stays as it was, and the
/// next request that ends is shown to the rule again.
pub trait LimitRule: fmt::Debug + Send {
    /// The limit at present.
    fn limit(&self) -> u64;

    /// Takes a sample into account.
    fn update(&mut self, sample: &Sample);
}

/// A number between two bounds.
#[derive(Clone, Copy, Debug)]
struct Bounded {
    limit: f64,
    min: f64,
    max: f64,
}

/// What a drop leaves of a limit.
const AFTER_DROP: f64 = 0.9;

impl Bounded {
    /// Panics unless `1 <= min <= start <= max`.
    fn new(min: u64, max: u64, start: u64) -> Self {
        assert!(
            1 <= min && min <= start && start <= max,
            "a limit of {start} does not lie between {min} and {max}"
        );
        Self { limit: start as f64, min: min as f64, max: max as f64 }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(self.min, self.max);
    }

    fn drop_seen(&mut self) {
        self.set((self.limit * AFTER_DROP).min(self.limit - 1.0));
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    fn whole(&self) -> u64 {
        self.limit as u64
    }

    /// Whether so few were in flight that the sample cannot speak for the limit.
    fn is_idle(&self, sample: &Sample) -> bool {
        (sample.in_flight as f64) * 2.0 < self.limit
    }
}

/// Additive increase, multiplicative decrease: up by one when a round of requests went well, down
/// to nine tenths at a drop.
#[derive(Clone, Debug)]
pub struct Aimd {
    limit: Bounded,
}

impl Aimd {
    /// Between `min` and `max`, from `start`.
    ///
    /// Panics unless `1 <= min <= start <= max`.
    pub fn new(min: u64, max: u64, start: u64) -> Self {
        Self { limit: Bounded::new(min, max, start) }
    }
}

impl LimitRule for Aimd {
    fn limit(&self) -> u64 {
        self.limit.whole()
    }

    fn update(&mut self, sample: &Sample) {
        if sample.dropped {
            self.limit.drop_seen();
        } else if !self.limit.is_idle(sample) {
            // A limit's worth of good answers makes one.
            self.limit.set(self.limit.limit + 1.0 / self.limit.limit);
        }
    }
}

/// Keeps a queue of a few requests, told from how much longer a round trip takes than the best
/// one: up while the queue is short, down while it is long.
///
/// Now and then the best one is forgotten, so that a server that has become slower is not taken for
/// a queue, and found anew at half the limit: at the whole, it would have the queue in it.
#[derive(Clone, Debug)]
pub struct Vegas {
    limit: Bounded,
    /// The best round trip since the last probe, in seconds.
    best: f64,
    /// Samples until a probe begins or ends.
    left: f64,
    /// The limit to return to, during a probe.
    paused: Option<f64>,
}

impl Vegas {
    /// Samples from one probe to the next, in limits.
    const EVERY: f64 = 60.0;
    /// Samples of a probe, in its limits: the first ones were still admitted under the old limit.
    const PROBE: f64 = 3.0;

    /// Begins a probe or ends it.
    fn turn(&mut self) {
        if let Some(limit) = self.paused.take() {
            self.limit.set(limit);
            self.left = Self::EVERY * self.limit.limit;
        } else {
            self.paused = Some(self.limit.limit);
            self.limit.set(self.limit.limit / 2.0);
            self.left = Self::PROBE * self.limit.limit;
            self.best = f64::INFINITY;
        }
    }

    /// Between `min` and `max`, from `start`.
    ///
    /// Panics unless `1 <= min <= start <= max`.
    pub fn new(min: u64, max: u64, start: u64) -> Self {
        let left = Self::EVERY * start as f64;
        Self { limit: Bounded::new(min, max, start), best: f64::INFINITY, left, paused: None }
    }
}

impl LimitRule for Vegas {
    fn limit(&self) -> u64 {
        self.limit.whole()
    }

    fn update(&mut self, sample: &Sample) {
        let limit = self.limit.limit;
        if sample.dropped {
            // Also the end of a probe: what it would return to was too much.
            self.paused = None;
            return self.limit.drop_seen();
        }
        let now = sample.round_trip.as_secs_f64();
        self.best = self.best.min(now);
        self.left -= 1.0;
        if self.left <= 0.0 {
            return self.turn();
        }
        if now <= 0.0 || self.paused.is_some() || self.limit.is_idle(sample) {
            return;
        }
        let queue = limit * (1.0 - self.best / now);
        let step = limit.log10().max(1.0);
        let (short, long) = (3.0 * step, 6.0 * step);
        if queue < short {
            self.limit.set(limit + step / limit);
        } else if queue > long {
            self.limit.set(limit - step / limit);
        }
    }
}

/// Follows the ratio of a long average of round trips to the present one, and allows a small queue
/// on top.
///
/// The average falls with every shorter round trip, and rises only where no queue of our own can be
/// what makes it long: while less than half of the limit is used, or the limit is so low that it
/// cannot cause one. An average that follows everything takes each queue for the usual, and the
/// limit rises for ever.
#[derive(Clone, Debug)]
pub struct Gradient {
    limit: Bounded,
    /// In seconds; zero before the first sample.
    long: f64,
    /// How much longer than the average is no reason to go down.
    tolerance: f64,
}

impl Gradient {
    /// The part of a sample that enters the average.
    const WEIGHT: f64 = 1.0 / 20.0;
    /// A limit that the smallest gradient cannot lower further, and a little more.
    const NO_QUEUE: f64 = 1.25 * Self::QUEUE / (1.0 - Self::GRADIENT_MIN);
    /// The part of a new limit that is taken over.
    const SMOOTHING: f64 = 0.2;
    /// Requests that may queue.
    const QUEUE: f64 = 4.0;
    /// The most that one sample may take away.
    const GRADIENT_MIN: f64 = 0.5;

    /// Between `min` and `max`, from `start`; a round trip up to `tolerance` times the average is
    /// a good one. Usual is 1.5.
    ///
    /// Panics unless `1 <= min <= start <= max` and the tolerance is at least one.
    pub fn new(min: u64, max: u64, start: u64, tolerance: f64) -> Self {
        assert!(tolerance >= 1.0, "a tolerance of {tolerance} would take the average for too long");
        Self { limit: Bounded::new(min, max, start), long: 0.0, tolerance }
    }
}

impl LimitRule for Gradient {
    fn limit(&self) -> u64 {
        self.limit.whole()
    }

    fn update(&mut self, sample: &Sample) {
        let limit = self.limit.limit;
        if sample.dropped {
            return self.limit.drop_seen();
        }
        let now = sample.round_trip.as_secs_f64();
        if now <= 0.0 {
            return;
        }
        let is_idle = self.limit.is_idle(sample);
        if self.long == 0.0 {
            self.long = now;
        } else if now < self.long || is_idle || limit <= self.limit.min.max(Self::NO_QUEUE) {
            self.long += (now - self.long) * Self::WEIGHT;
        }
        if is_idle {
            return;
        }
        let gradient = (self.tolerance * self.long / now).clamp(Self::GRADIENT_MIN, 1.0);
        let target = limit * gradient + Self::QUEUE;
        // One sample of many in flight moves the limit by its share of them.
        self.limit.set(limit + (target - limit) * Self::SMOOTHING / limit);
    }
}

#[cfg(test)]
mod tests;
