//! A heap of one's own: blocks that can be given back all at once.
//!
//! ```text
//!   any thread: allocate --lock--> heap <--parcel of one-- free: any thread, the usual way
//!   destroy: every slab and span whose descriptor names the heap goes back to the pool
//! ```
//!
//! A free is posted at once: a block that waited in a parcel of some thread would outlive the heap.
//!
//! # What this module does not do
//!
//! It makes no thread faster: an allocation takes the heap's lock.

#![expect(unsafe_code, reason = "blocks are handed out and given back by address")]

use std::ptr::NonNull;

use crate::global::Strata;
use crate::heap::{Heap as Slabs, Role};
use crate::local;
use crate::lock::Locked;
use crate::options::Options;
use crate::secure;
use crate::valgrind;
use crate::world::WORLD;

/// A heap whose blocks can be freed one by one, by any thread, or all at once.
///
/// ```
/// use std::alloc::Layout;
///
/// let heap = allocator::Heap::new().expect("there is memory");
/// let block = heap.allocate(Layout::new::<[u64; 8]>()).expect("there is memory");
/// assert!(block.cast::<u64>().is_aligned());
/// // SAFETY: nobody uses the block any more.
/// unsafe { heap.destroy() };
/// ```
///
/// Dropped without [`destroy`](Self::destroy), it leaves its blocks valid; they are freed as those
/// of a thread that has ended.
#[derive(Debug)]
pub struct Heap {
    blocks: Blocks,
}

#[derive(Debug)]
enum Blocks {
    Ordinary(Locked<&'static Slabs>),
    Secure(secure::Owner),
}

impl Heap {
    /// A heap without blocks; `None` where there is no memory.
    pub fn new() -> Option<Self> {
        local::set_up(&Options::new());
        if secure::is_on() {
            return Some(Self { blocks: Blocks::Secure(secure::Owner::fresh()) });
        }
        Some(Self { blocks: Blocks::Ordinary(Locked::new(WORLD.heap(Role::Object)?)) })
    }

    /// A block; `None` where there is no memory, or beyond 32 MiB, which a heap of one's own
    /// refuses.
    ///
    /// It may be freed by [`free`](Self::free), or by any [`Strata`](crate::Strata).
    pub fn allocate(&self, layout: std::alloc::Layout) -> Option<NonNull<u8>> {
        if layout.size() > crate::pool::SPAN_MAX * crate::size_class::SLICE {
            return None;
        }
        let (size, align) = (layout.size().max(1), layout.align());
        let _hush = valgrind::hush();
        let block = match &self.blocks {
            Blocks::Ordinary(slabs) => slabs.with(|slabs| slabs.allocate(size, align)),
            Blocks::Secure(owner) => secure::allocate(size, align, *owner),
        };
        valgrind::made(block, layout.size(), false);
        NonNull::new(block)
    }

    /// Frees a block, on any thread.
    ///
    /// # Safety
    ///
    /// The block came from this allocator, is not free, and nobody uses it any more.
    pub unsafe fn free(&self, block: NonNull<u8>) {
        // SAFETY: the caller says so.
        unsafe { Strata::new().free(block) };
    }

    /// Gives all blocks back at once, those that are out as well.
    ///
    /// # Safety
    ///
    /// Nobody uses a block of this heap any more, and nobody is about to free one.
    pub unsafe fn destroy(self) {
        let _hush = valgrind::hush();
        match &self.blocks {
            Blocks::Ordinary(slabs) => slabs.with(|slabs| slabs.forget_all()),
            Blocks::Secure(owner) => secure::destroy(*owner),
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let _hush = valgrind::hush();
        match &self.blocks {
            Blocks::Ordinary(slabs) => slabs.with(|slabs| slabs.retire()),
            Blocks::Secure(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
