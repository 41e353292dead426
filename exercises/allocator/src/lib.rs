//! Exercise: build a memory allocator, from a pointer that moves to blocks that grow in place.
//!
//! You edit `exercise.rs` alone. `cargo study` says what to do next, judges it, and gives hints;
//! the stages are in `exercise.toml`, and what you need not write is in [`scaffold`]. What judges a
//! stage is in `tests/stages`: the suite that judges the allocator of this repository, with its map
//! of what is in use, and a few schedules that are explored.
//!
//! ```text
//!   Bump       FreeList       Classes -> Cached       Owned
//!   stage 1    stage 2        stage 3    stage 4      stages 5, 6, 7
//! ```
//!
//! # Blocks are numbers
//!
//! All memory is one [`Arena`]. A block is the number of its first byte there, an [`Address`], and
//! what a free block has to remember it keeps in its own bytes, by [`Arena::word`] and
//! [`Arena::set_word`]. So you write no `unsafe`: a mistake of yours makes two blocks overlap,
//! which a judge finds, and does not bring the judge down.

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

#[cfg(not(shuttle))]
pub mod judged;
pub mod scaffold;

use std::alloc::Layout;

use scaffold::{Address, Arena};

/// What each stage builds: an arena that is divided into blocks, for many threads at once.
///
/// A [`Layout`] has a size above zero and an alignment of at most [`scaffold::ALIGN_MAX`]. Whoever
/// frees or resizes a block says the layout that it has.
pub trait Heap: Send + Sync + Sized + 'static {
    /// What a thread has for itself. It begins as the default, and ends in [`leave`](Heap::leave).
    type Cache: Default + Send + 'static;

    /// A heap of which all memory is free.
    fn new(arena: Arena) -> Self;

    /// Its memory.
    fn arena(&self) -> &Arena;

    /// A block; `None` where there is no room.
    fn allocate(&self, cache: &mut Self::Cache, layout: Layout) -> Option<Address>;

    /// Takes a block back, which another thread may have allocated.
    fn free(&self, cache: &mut Self::Cache, block: Address, layout: Layout);

    /// A block of zeros.
    fn allocate_zeroed(&self, cache: &mut Self::Cache, layout: Layout) -> Option<Address> {
        let block = self.allocate(cache, layout)?;
        self.arena().zero(block, layout.size());
        Some(block)
    }

    /// The block with `size` bytes, of which the first are as they were. Where it returns `None`
    /// the block is as before.
    fn resize(
        &self,
        cache: &mut Self::Cache,
        block: Address,
        layout: Layout,
        size: usize,
    ) -> Option<Address> {
        scaffold::moved(self, cache, block, layout, size)
    }

    /// A thread ends.
    fn leave(&self, _cache: Self::Cache) {}

    /// Some time has passed.
    fn tick(&self) {}
}

/// What a stub does: panics, and says where the work is.
#[macro_export]
macro_rules! stage {
    ($stage:literal, $what:literal) => {
        panic!(concat!("stage ", $stage, " is not written yet: ", $what))
    };
}
