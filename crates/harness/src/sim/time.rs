//! Virtual time: one true time for the world, one clock for each node.
//!
//! ```text
//!   true time   --|-----------|--------------------|-->   moved by the event queue
//!                  \           \
//!   node's clock    offset + rate * (true time + spent)   may run fast or slow, may jump
//! ```
//!
//! An I/O on a slow disk or a `sleep` blocks one node, not the world. So a node has time of its own
//! that it has *spent* ahead of the world; the world takes it from the node after each event and
//! leaves the node alone until it has caught up. Without a world, in the test of one engine on one
//! disk, time is simply what was spent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use env::clock::{Clock, Timestamp, WallClock};

/// The rate of a clock that runs true, in parts per million.
pub const TRUE_RATE: u32 = 1_000_000;

/// The date at the origin of simulated time: 2026-01-01T00:00:00Z.
const ORIGIN: Duration = Duration::from_hours(490_896);

/// The true time of a world. Copies share it.
#[derive(Clone, Debug, Default)]
pub(super) struct TrueTime {
    nanos: Arc<AtomicU64>,
}

impl TrueTime {
    pub(super) fn now(&self) -> Timestamp {
        // Relaxed: the world runs on one thread; the atomic only makes the clock shareable.
        Timestamp::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Moves on to `at`; stays where `at` has passed.
    pub(super) fn advance_to(&self, at: Timestamp) {
        // Relaxed: as in `now`.
        self.nanos.fetch_max(at.as_nanos(), Ordering::Relaxed);
    }
}

/// The clock of a simulated node.
///
/// ```
/// use env::clock::Clock;
/// use harness::sim::SimClock;
/// use std::time::Duration;
///
/// let clock = SimClock::new();
/// clock.sleep(Duration::from_secs(3_600)); // takes no real time
/// clock.set_rate(500_000); // from here on half as fast as it should be
/// clock.spend(Duration::from_secs(10));
/// assert_eq!(clock.now().as_nanos(), 3_605_000_000_000);
/// ```
#[derive(Debug, Default)]
pub struct SimClock {
    world: TrueTime,
    /// Nanoseconds by which the node is ahead of the world.
    spent: AtomicU64,
    skew: Mutex<Skew>,
}

/// A clock shows `shown` at true time `since` and runs at `rate` from there.
#[derive(Clone, Copy, Debug)]
struct Skew {
    since: u64,
    shown: u64,
    rate: u32,
}

impl Default for Skew {
    fn default() -> Self {
        Self { since: 0, shown: 0, rate: TRUE_RATE }
    }
}

impl SimClock {
    /// A clock outside any world, at its origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// The clock of a node of a world.
    pub(super) fn of(world: &TrueTime) -> Self {
        Self { world: world.clone(), ..Self::default() }
    }

    /// The true time of the node, whatever its clock shows.
    pub fn true_now(&self) -> Timestamp {
        // Relaxed: as in `TrueTime::now`.
        self.world.now() + Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// Lets true time pass for this node alone.
    pub fn spend(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: as in `TrueTime::now`.
        self.spent.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What the node has spent since the last call.
    pub(super) fn take_spent(&self) -> Duration {
        // Relaxed: as in `TrueTime::now`.
        Duration::from_nanos(self.spent.swap(0, Ordering::Relaxed))
    }

    /// Makes the clock run at `rate` parts per million from now on. Panics when it is zero.
    pub fn set_rate(&self, rate: u32) {
        assert!(rate > 0, "a clock at rate 0 never fires a timer");
        let now = self.true_now().as_nanos();
        let mut skew = self.skew();
        *skew = Skew { since: now, shown: skew.show(now), rate };
    }

    /// Sets the clock forward, or back where `nanos` is negative; not before its origin.
    pub fn jump(&self, nanos: i64) {
        let now = self.true_now().as_nanos();
        let mut skew = self.skew();
        *skew = Skew { since: now, shown: skew.show(now).saturating_add_signed(nanos), ..*skew };
    }

    /// How long it truly takes until this clock has advanced by `shown`.
    pub fn true_duration(&self, shown: Duration) -> Duration {
        let nanos = shown.as_nanos() * u128::from(TRUE_RATE) / u128::from(self.skew().rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn skew(&self) -> MutexGuard<'_, Skew> {
        self.skew.lock().expect("no holder of this lock panics")
    }
}

impl Skew {
    fn show(&self, now: u64) -> u64 {
        let elapsed = u128::from(now.saturating_sub(self.since)) * u128::from(self.rate);
        let shown = u128::from(self.shown) + elapsed / u128::from(TRUE_RATE);
        u64::try_from(shown).unwrap_or(u64::MAX)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let now = self.true_now().as_nanos();
        Timestamp::from_nanos(self.skew().show(now))
    }

    fn sleep(&self, duration: Duration) {
        self.spend(self.true_duration(duration));
    }
}

impl WallClock for SimClock {
    fn unix_time(&self) -> Duration {
        ORIGIN + Duration::from_nanos(self.now().as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::clock::{Clock, Timestamp, WallClock};

    use super::{ORIGIN, SimClock, TrueTime};

    #[test]
    fn clock_goes_with_the_world_and_with_what_its_node_spends() {
        let world = TrueTime::default();
        let (one, other) = (SimClock::of(&world), SimClock::of(&world));
        world.advance_to(Timestamp::from_nanos(100));
        one.sleep(Duration::from_nanos(7));
        assert_eq!((one.now().as_nanos(), other.now().as_nanos()), (107, 100));
        assert_eq!(one.take_spent(), Duration::from_nanos(7));
        world.advance_to(Timestamp::from_nanos(50));
        assert_eq!(one.now().as_nanos(), 100, "time does not go back");
    }

    #[test]
    fn rate_changes_from_the_moment_on() {
        let clock = SimClock::new();
        clock.spend(Duration::from_secs(10));
        clock.set_rate(1_500_000);
        assert_eq!(clock.now(), Timestamp::ZERO + Duration::from_secs(10));
        clock.spend(Duration::from_secs(10));
        assert_eq!(clock.now(), Timestamp::ZERO + Duration::from_secs(25));
        assert_eq!(clock.true_duration(Duration::from_secs(3)), Duration::from_secs(2));
    }

    #[test]
    fn jump_goes_both_ways_and_not_before_the_origin() {
        let clock = SimClock::new();
        clock.spend(Duration::from_nanos(50));
        clock.jump(-20);
        assert_eq!(clock.now().as_nanos(), 30);
        clock.jump(-100);
        assert_eq!(clock.unix_time(), ORIGIN);
        assert_eq!(clock.true_now().as_nanos(), 50);
    }
}
