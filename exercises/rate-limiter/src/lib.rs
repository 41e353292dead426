//! Exercise: build a rate limiter, from a bucket of tokens to a fair line of those who wait.
//!
//! You edit `exercise.rs` alone. `cargo study` says what to do next, judges it, and gives hints;
//! the stages are in `exercise.toml`. What judges a stage is in `tests/stages.rs`: the suite that
//! judges the limiters of this repository and their peers, and a few schedules that are explored.
//!
//! ```text
//!   TokenBucket -> Gcra  ->  Exact  ->  Atomic      Keyed      Line
//!   stage 1        stage 2   stage 3    stage 4     stage 5    stage 6
//! ```

#[cfg(not(any(feature = "solution", feature = "mutant")))]
pub mod exercise;
#[cfg(all(feature = "solution", not(feature = "mutant")))]
#[path = "../solution/exercise.rs"]
pub mod exercise;
/// A solution with a planted bug.
#[cfg(feature = "mutant")]
pub mod exercise {
    include!(concat!(env!("OUT_DIR"), "/mutant.rs"));
}

/// Your source, for the gate before the comparison.
pub const SOURCE: &str = include_str!("exercise.rs");

/// Keys that stage 5 has room for at once.
pub const KEYS: usize = if cfg!(shuttle) { 64 } else { 8_192 };

mod judged;

pub use harness::contract::{LimiterSpec, Unsupported, Verdict};
pub use judged::Judged;

/// What stages 1 to 5 build: a limiter that is told the time.
///
/// A quota has `cells` in each `period` in the long run, and `burst` cells at once. A bucket begins
/// full and never holds more than its burst.
pub trait Limit: Send + Sync + Sized {
    /// A limiter whose buckets are full at moment 0, or why it cannot keep `spec`.
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported>;

    /// Takes `cost` cells from the bucket of `key`, all or none, `now` nanoseconds after moment 0.
    /// A limiter of one bucket ignores the key. `now` may be smaller than in an earlier call, and
    /// `cost` is never zero.
    ///
    /// Says `TooLarge` where the cost exceeds the burst. Says `Deny` with the time until the same
    /// request would be admitted if nobody else asked, rounded up to the nanosecond.
    fn check(&self, now: u64, key: u64, cost: u32) -> Verdict;
}

/// What a stub does: panics, and says where the work is.
#[macro_export]
macro_rules! stage {
    ($stage:literal, $what:literal) => {
        panic!(concat!("stage ", $stage, " is not written yet: ", $what))
    };
}
