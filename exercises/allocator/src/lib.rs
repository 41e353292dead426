//! Exercise: build a memory allocator, from a bump pointer to blocks that other threads free.
//!
//! You edit `exercise.rs` alone. `cargo study` says what to do next, judges it, and gives hints;
//! the stages are in `exercise.toml`. What judges a stage is in `tests/stages.rs`: the suite that
//! judges the allocator of this repository and its peers, whose shadow map says of each block
//! whether it can be where you put it before anything is written there; and a few schedules that
//! are explored.
//!
//! ```text
//!   Bump  -> FreeList -> Classes -> Cached -> Owned
//!   stage 1  stage 2     stage 3    stage 4   stages 5, 6, 7
//! ```
//!
//! Your heap is not the one of the process, so it may keep its own books in a `Vec`; a real
//! allocator may not, since nobody else would give it the memory.

#[cfg(not(any(feature = "solution", feature = "mutant")))]
pub mod exercise;
#[cfg(all(feature = "solution", not(feature = "mutant")))]
#[path = "../solution/exercise.rs"]
pub mod exercise;
/// A solution with a planted bug.
#[cfg(feature = "mutant")]
pub mod exercise {
    #![expect(unsafe_code, reason = "an allocator hands out raw memory")]
    include!(concat!(env!("OUT_DIR"), "/mutant.rs"));
}

/// Your source, for the gate before the comparison.
pub const SOURCE: &str = include_str!("exercise.rs");

#[macro_use]
mod judged;
mod heap;
mod list;
pub mod system;
pub mod thread;

pub use heap::{CHUNK, Heap, LARGE, alloc_any, free_any, moved, resize_any};
pub use list::List;
pub use system::System;
pub use thread::THREADS;

judged! {
    Bump as JudgedBump;
    FreeList as JudgedFreeList;
    Classes as JudgedClasses;
    Cached as JudgedCached;
    Owned as JudgedOwned;
    Yours as JudgedYours;
}

/// What a stub does: panics, and says where the work is.
#[macro_export]
macro_rules! stage {
    ($stage:literal, $what:literal) => {
        panic!(concat!("stage ", $stage, " is not written yet: ", $what))
    };
}
