//! Exercise: build a concurrent hash map, from one lock to lock-free growth.
//!
//! You edit `exercise.rs` alone. `cargo study` says what to do next, judges it, and gives hints;
//! the stages are in `exercise.toml`, and what you need not write is in [`scaffold`]. What judges a
//! stage is in `tests/stages.rs`: the suites that judge the map of this repository, and a few
//! schedules that are explored.
//!
//! ```text
//!   OneLock -> Sharded        Probing        Published -> Claimed        EpochMap
//!   stage 1    stage 2        stage 3        stage 4      stage 5        stages 6, 7, 8
//! ```

#[cfg(not(any(feature = "solution", feature = "mutant")))]
pub mod exercise;
#[cfg(all(feature = "solution", not(feature = "mutant")))]
#[path = "../solution/exercise.rs"]
pub mod exercise;
/// A solution with a planted bug.
#[cfg(feature = "mutant")]
pub mod exercise {
    #![expect(unsafe_code, reason = "stages 6 to 8 free memory by hand")]
    include!(concat!(env!("OUT_DIR"), "/mutant.rs"));
}

/// Your source, for the gate before the comparison.
pub const SOURCE: &str = include_str!("exercise.rs");

mod judged;
pub mod scaffold;

pub use judged::Judged;

/// What each stage builds: a map from numbers to `V` that many threads use at once.
pub trait Map<V = u64>: Send + Sync {
    /// An empty map.
    fn new() -> Self;

    /// A copy of the value of `key`.
    fn get(&self, key: u64) -> Option<V>;

    /// Sets the value of `key`; the one before.
    fn insert(&self, key: u64, value: V) -> Option<V>;

    /// Removes `key`; its value.
    fn remove(&self, key: u64) -> Option<V>;

    /// Replaces the value of `key`, if it has one, by what `change` makes of it, as one step; the
    /// new value. `change` may be called more than once.
    fn update(&self, key: u64, change: impl Fn(&V) -> V) -> Option<V>;

    /// Calls `visit` for each entry. One that stays is visited once.
    fn for_each(&self, visit: impl FnMut(u64, &V));
}

/// What a stub does: panics, and says where the work is.
#[macro_export]
macro_rules! stage {
    ($stage:literal, $what:literal) => {
        panic!(concat!("stage ", $stage, " is not written yet: ", $what))
    };
}
