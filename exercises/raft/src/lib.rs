//! Exercise: build Raft, from an election to a cluster that changes its members.
//!
//! You edit `exercise.rs` alone. `cargo study` says what to do next, judges it, and gives hints;
//! the stages are in `exercise.toml`, and what you need not write is in [`scaffold`]. What judges a
//! stage is in `tests/stages`: messages one by one, a simulated cluster whose network and servers
//! fail by a seed, and the suite that judges the clusters of this repository.
//!
//! ```text
//!            tick, step, propose, read, change, compact
//!                              |
//!                              v
//!   Node:  election -> replication -> commit -> persistence -> snapshots -> reads -> members
//!          stage 1     stage 2        stage 3   stage 4        stage 5      stage 6  stages 7, 8
//!                              |
//!                              v
//!            ready: save this, then send this, then apply this, then answer these reads
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

mod judged;
pub mod scaffold;

pub use judged::Judged;

/// What a stub does: panics, and says where the work is.
#[macro_export]
macro_rules! stage {
    ($stage:literal, $what:literal) => {
        panic!(concat!("stage ", $stage, " is not written yet: ", $what))
    };
}
