//! One block of an allocator, behind a safe interface: the only unsafe code of the suites.
//!
//! A block writes a pattern into its bytes and can tell whether it is still there. It goes through
//! raw pointers only and never makes a reference, because an allocator with a defect may hand out
//! the same bytes twice, and two blocks that share bytes must be a finding.

#![expect(unsafe_code, reason = "an allocator is exercised through the methods of `GlobalAlloc`")]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::check::suite::Mismatch;
use crate::contract::Allocator;
use crate::model::{ShadowError, ShadowHeap};

/// What all blocks of one examination are noted in.
pub(super) type Shadow = Mutex<ShadowHeap>;

/// A live block. Dropping it frees it.
pub(super) struct Block<'a, A: Allocator> {
    start: NonNull<u8>,
    layout: Layout,
    /// First byte of the pattern; later ones follow from it.
    tag: u8,
    /// False once a resizing has failed: then nobody can say where the block is, so it is lost.
    live: bool,
    shadow: &'a Shadow,
    allocator: PhantomData<&'static A>,
}

// SAFETY: a block owns its bytes, and `GlobalAlloc` lets any thread free what any thread made.
unsafe impl<A: Allocator> Send for Block<'_, A> {}

impl<'a, A: Allocator> Block<'a, A> {
    /// A new block, examined for its place and filled with the pattern of `tag`. Where `zeroed` is
    /// set its bytes are examined first.
    pub(super) fn new(
        layout: Layout,
        zeroed: bool,
        tag: u8,
        shadow: &'a Shadow,
    ) -> Result<Self, Mismatch> {
        assert!(layout.size() > 0, "`GlobalAlloc` does not allow blocks of no bytes");
        let pointer = if zeroed {
            // SAFETY: the layout has a size above zero.
            unsafe { A::get().alloc_zeroed(layout) }
        } else {
            // SAFETY: the layout has a size above zero.
            unsafe { A::get().alloc(layout) }
        };
        let start = examine_place(pointer, layout, shadow)?;
        let block = Self { start, layout, tag, live: true, shadow, allocator: PhantomData };
        if zeroed {
            block.find(|_offset| 0, 0..layout.size())?;
        }
        block.fill();
        Ok(block)
    }

    /// A new block, examined for its place only. Its bytes are neither written nor read.
    pub(super) fn without_contents(layout: Layout, shadow: &'a Shadow) -> Result<Self, Mismatch> {
        assert!(layout.size() > 0, "`GlobalAlloc` does not allow blocks of no bytes");
        // SAFETY: the layout has a size above zero.
        let pointer = unsafe { A::get().alloc(layout) };
        let start = examine_place(pointer, layout, shadow)?;
        Ok(Self { start, layout, tag: 0, live: true, shadow, allocator: PhantomData })
    }

    /// Address of the first byte.
    pub(super) fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Examines the pattern.
    pub(super) fn check(&self) -> Result<(), Mismatch> {
        self.find(|offset| pattern(self.tag, offset), 0..self.layout.size())
    }

    /// Changes the size and examines that the common part of the contents is kept.
    pub(super) fn resize(&mut self, size: usize) -> Result<(), Mismatch> {
        assert!(size > 0, "`GlobalAlloc` does not allow blocks of no bytes");
        self.check()?;
        let kept = size.min(self.layout.size());
        // The old block ceases to be before the new one is: they may share their place.
        release(self.shadow, self.address());
        self.live = false;
        // SAFETY: the block came from this allocator with this layout, and the new size is above
        // zero and, being one of the suite's, far below `isize::MAX`.
        let pointer = unsafe { A::get().realloc(self.start.as_ptr(), self.layout, size) };
        let layout = layout(size, self.layout.align());
        self.start = examine_place(pointer, layout, self.shadow)?;
        self.layout = layout;
        self.live = true;
        self.find(|offset| pattern(self.tag, offset), 0..kept)?;
        self.fill();
        Ok(())
    }

    fn fill(&self) {
        for offset in 0..self.layout.size() {
            // SAFETY: the offset lies within the block.
            let byte = unsafe { self.start.add(offset) };
            // SAFETY: the shadow heap knows of no other block with this byte.
            unsafe { byte.write(pattern(self.tag, offset)) };
        }
    }

    /// Compares bytes with what they should be.
    fn find(
        &self,
        wanted: impl Fn(usize) -> u8,
        offsets: std::ops::Range<usize>,
    ) -> Result<(), Mismatch> {
        for offset in offsets {
            // SAFETY: the offset lies within the block.
            let byte = unsafe { self.start.add(offset) };
            // SAFETY: the byte was written by `fill` or zeroed by the allocator; one that merely
            // claims to have zeroed it is what this line is there to find.
            let got = unsafe { byte.read() };
            let wanted = wanted(offset);
            if got != wanted {
                let expected = format!("{wanted:#04x} in byte {offset} of {:?}", self.layout);
                return Err(Mismatch::new(expected, format!("{got:#04x}")));
            }
        }
        Ok(())
    }
}

impl<A: Allocator> Drop for Block<'_, A> {
    fn drop(&mut self) {
        if self.live {
            release(self.shadow, self.address());
            // SAFETY: the block is live and came from this allocator with this layout.
            unsafe { A::get().dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

/// A layout of the suite's own sizes.
pub(super) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("sizes are small and alignments powers of two")
}

fn pattern(tag: u8, offset: usize) -> u8 {
    // The second term tells pages apart.
    let low = offset.to_le_bytes();
    tag ^ low[0].wrapping_mul(31) ^ low[1].wrapping_mul(7)
}

fn examine_place(
    pointer: *mut u8,
    layout: Layout,
    shadow: &Shadow,
) -> Result<NonNull<u8>, Mismatch> {
    let Some(start) = NonNull::new(pointer) else {
        return Err(Mismatch::new(format!("memory for {layout:?}"), "null"));
    };
    let address = start.addr().get();
    if !address.is_multiple_of(layout.align()) {
        let expected = format!("an address that fits {layout:?}");
        return Err(Mismatch::new(expected, format!("{address:#x}")));
    }
    lock(shadow).claim(address, layout.size()).map_err(|error: ShadowError| {
        Mismatch::new("blocks that are disjoint", error.to_string())
    })?;
    Ok(start)
}

fn release(shadow: &Shadow, address: usize) {
    lock(shadow).release(address).expect("a live block is in the shadow heap");
}

/// A panic in another thread of the suite leaves the shadow heap whole.
fn lock(shadow: &Shadow) -> MutexGuard<'_, ShadowHeap> {
    shadow.lock().unwrap_or_else(PoisonError::into_inner)
}
