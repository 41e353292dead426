//! When huge pages are asked for.
//!
//! A huge page makes the first touch of 2 MiB several times cheaper, and costs 2 MiB in a process
//! that needs 100 KiB of it. So three things must come together:
//!
//! - Memory has never been used. Slices are handed out in order, so that such a chunk is about to
//!   be filled.
//! - Much is in use besides, or the last block with a mapping of its own was used. How much that is
//!   goes by the heaps: each has a slab of its own for every class, and may use little of it. So it
//!   is [`DENSE`], and [`SPARSE`] for each heap but the first.
//! - What was opened last has been touched: a program that makes large blocks and leaves most of
//!   them alone, as compressors do for small files, would pay for all that they might have held.
//!
//! A huge page that took longer than [`SLOW_NS`] to come ends the attempts: the system has to look
//! for them, and small ones are cheaper.

#![expect(unsafe_code, reason = "pages are touched by address")]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::os::clock_ns;
use crate::segment::CHUNK;
use crate::size_class::SLICE;
use crate::world::World;

/// Slices in use from which on huge pages are asked for: 8 MiB.
const DENSE: usize = (8 << 20) / SLICE;
/// Slices that a heap may have and hardly use: 4 MiB, one for each class up to 8 KiB.
const SPARSE: usize = (4 << 20) / SLICE;
/// Heaps that count: with a hundred threads it is the memory that is large.
const HEAPS_MAX: usize = 16;
/// A huge page that takes longer than as many small ones would is no gain.
const SLOW_NS: u64 = 1_500_000;
/// The bit of `probe` that stands for a block with a mapping of its own.
const OWN: usize = 1;

/// See the module's header. All of it is a rule of thumb, so that nothing orders anything.
#[derive(Debug)]
pub(crate) struct Huge {
    /// Chunks that were asked for.
    pub(crate) chunks: AtomicUsize,
    is_slow: AtomicBool,
    /// A page of what was opened last, and [`OWN`]; zero for none.
    probe: AtomicUsize,
}

impl Huge {
    pub(super) const fn new() -> Self {
        Self {
            chunks: AtomicUsize::new(0),
            is_slow: AtomicBool::new(false),
            probe: AtomicUsize::new(0),
        }
    }

    /// `page` lies in slices that are used for the first time, beside `used` others: whether they
    /// are worth huge pages.
    pub(super) fn expects_use(&self, world: &World, page: *mut u8, used: usize) -> bool {
        self.expects(world, page.expose_provenance(), used)
    }

    /// The same of a block with a mapping of its own.
    pub(super) fn expects_use_of_own(&self, world: &World, page: *mut u8, used: usize) -> bool {
        self.expects(world, page.expose_provenance() | OWN, used)
    }

    fn expects(&self, world: &World, probe: usize, used: usize) -> bool {
        // Relaxed: see `Huge`, here and below.
        let before = self.probe.swap(probe, Ordering::Relaxed);
        let page = std::ptr::with_exposed_provenance_mut(before & !OWN);
        let others = world.heaps_made().min(HEAPS_MAX).saturating_sub(1);
        let dense = DENSE + others * SPARSE;
        world.options().huge_pages
            && !self.is_slow.load(Ordering::Relaxed)
            && (used > dense || before & OWN != 0)
            && world.os().is_touched(page)
    }

    /// Asks for a huge page at the start of a chunk and looks whether it comes in time; false where
    /// no more are to be asked for.
    pub(super) fn ask(&self, world: &World, chunk: *mut u8) -> bool {
        let asked = world.os().advise_huge(chunk, CHUNK * SLICE);
        let in_time = asked && {
            self.chunks.fetch_add(1, Ordering::Relaxed);
            let before = clock_ns(libc::CLOCK_MONOTONIC);
            // SAFETY: the byte is mapped, and aligned to a page.
            let word = unsafe { AtomicU64::from_ptr(chunk.cast()) };
            // Relaxed: it touches the page and changes nothing.
            word.fetch_or(0, Ordering::Relaxed);
            clock_ns(libc::CLOCK_MONOTONIC) - before <= SLOW_NS
        };
        if !in_time {
            self.is_slow.store(true, Ordering::Relaxed);
        }
        in_time
    }
}
