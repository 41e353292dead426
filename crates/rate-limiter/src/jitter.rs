//! Jitter: a random delay on top of a wait, so that those denied together do not return together.

use std::time::Duration;

use env::random::Random;

/// A random delay between two bounds.
///
/// It only ever lengthens a wait: who comes later than a denial asked for is still admitted.
///
/// ```
/// use rate_limiter::{Jitter, SeededRandom};
/// use std::time::Duration;
///
/// let jitter = Jitter::up_to(Duration::from_millis(50));
/// let mut random = SeededRandom::new(1);
/// let wait = jitter.add_to(Duration::from_secs(1), &mut random);
/// assert!((1_000..=1_050).contains(&wait.as_millis()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    min: Duration,
    spread_ns: u64,
}

impl Jitter {
    /// Between nothing and `max`.
    pub fn up_to(max: Duration) -> Self {
        Self::between(Duration::ZERO, max)
    }

    /// Between `min` and `max`; exactly `min` where `max` is no larger. The spread is at most 584
    /// years.
    pub fn between(min: Duration, max: Duration) -> Self {
        let spread = max.saturating_sub(min).as_nanos();
        Self { min, spread_ns: u64::try_from(spread).unwrap_or(u64::MAX) }
    }

    /// `wait` and a delay drawn from `random`, each nanosecond between the bounds equally likely.
    pub fn add_to(&self, wait: Duration, random: &mut dyn Random) -> Duration {
        let drawn = match self.spread_ns.checked_add(1) {
            Some(choices) => random.below(choices),
            None => random.next_u64(),
        };
        wait.saturating_add(self.min).saturating_add(Duration::from_nanos(drawn))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::random::SeededRandom;

    use super::Jitter;

    #[test]
    fn both_bounds_are_reached_and_neither_is_passed() {
        let nanos = Duration::from_nanos;
        let jitter = Jitter::between(nanos(3), nanos(6));
        let mut random = SeededRandom::new(1);
        let drawn: Vec<_> = (0..200).map(|_| jitter.add_to(nanos(10), &mut random)).collect();
        for expected in 13..=16 {
            assert!(drawn.contains(&nanos(expected)), "{expected} ns was never drawn");
        }
        assert!(drawn.iter().all(|wait| (nanos(13)..=nanos(16)).contains(wait)));
    }

    #[test]
    fn the_longest_waits_do_not_overflow() {
        let mut random = SeededRandom::new(2);
        let jitter = Jitter::between(Duration::MAX, Duration::ZERO);
        assert_eq!(jitter.add_to(Duration::MAX, &mut random), Duration::MAX);
        let jitter = Jitter::up_to(Duration::MAX);
        assert!(jitter.add_to(Duration::ZERO, &mut random) <= Duration::from_nanos(u64::MAX));
    }
}
