//! When a heap takes a sample for the heap profile: see [`profile`](crate::profile).
//!
//! Each slab counts down for itself, in allocations, since its blocks are of one size; the heap
//! counts the bytes of spans. The exponential distribution has no memory, so that many counters,
//! each drawn by itself, make the same samples as one for all bytes would.

use std::cell::Cell;

use super::{Fresh, Heap, slab_at};
use crate::profile;
use crate::size_class::size_of_class;
use crate::slab::{Counts, Slab};

/// What draws the distances.
pub(super) struct Sampler {
    /// State of the generator.
    state: Cell<u64>,
    /// Bytes of spans until the next sample.
    bytes_left: Cell<isize>,
}

impl Sampler {
    pub(super) const fn new() -> Self {
        Self { state: Cell::new(0), bytes_left: Cell::new(isize::MAX) }
    }

    /// Begins, with a seed that no other heap has.
    pub(super) fn start(&self, seed: u64) {
        self.state.set(seed);
        self.bytes_left.set(self.distance());
    }

    /// Whether a span of `size` bytes is no sample.
    #[inline(always)]
    pub(super) fn may_pass(&self, size: usize) -> bool {
        self.bytes_left.get() >= 0 && self.bytes_left.get().unsigned_abs() >= size
    }

    /// Counts one that is none.
    #[inline(always)]
    pub(super) fn pass(&self, size: usize) {
        self.bytes_left.set(self.bytes_left.get().wrapping_sub_unsigned(size));
    }

    fn distance(&self) -> isize {
        let mut state = self.state.get();
        let distance = profile::distance(&mut state);
        self.state.set(state);
        distance
    }
}

impl Heap {
    /// Lets a slab count down from anew.
    pub(super) fn arm(&self, slab: &'static Slab) {
        let size = size_of_class(usize::from(slab.class.get()));
        let left = self.sampler.distance().unsigned_abs() / size;
        let left = u32::try_from(left).unwrap_or(u32::MAX).min(Counts::LEFT_MAX);
        slab.counts.set(slab.counts.get().with_left(left));
    }

    /// A block whose turn it is to be a sample: a span, although a slab has blocks of its class.
    // Inlined, as its callers are: the unwinder takes a tenth of a microsecond for each frame.
    #[inline(always)]
    pub(super) fn allocate_sample(&'static self, slab: &'static Slab, align: usize) -> Fresh {
        // Far off: to find the call stack may allocate.
        slab.counts.set(slab.counts.get().with_left(Counts::LEFT_MAX));
        let size = slab.block_size();
        let fresh = match profile::rate() {
            Some(_) => self.allocate_span(size, align),
            None => Fresh::NULL,
        };
        // Without a profile, or memory for a sample, this was the last one of the slab.
        if !fresh.start.is_null() {
            profile::record(slab_at(fresh.start), size);
            self.arm(slab);
        }
        fresh
    }

    /// A span, which is a sample if its turn has come.
    pub(super) fn allocate_large(&'static self, size: usize, align: usize) -> Fresh {
        let fresh = self.allocate_span(size, align);
        if self.sampler.may_pass(size) {
            self.sampler.pass(size);
        } else {
            self.sampler.bytes_left.set(isize::MAX);
            if !fresh.start.is_null() {
                profile::record(slab_at(fresh.start), size);
            }
            self.sampler.bytes_left.set(self.sampler.distance());
        }
        fresh
    }
}
