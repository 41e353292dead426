//! What the allocator holds, counted when asked, so that no fast path counts anything.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::segment::{HEAD, SLICES};
use crate::size_class::SLICE;
use crate::slab::Kind;
use crate::world::World;

/// A snapshot, in bytes where nothing else is said. Threads go on while it is taken, so that
/// figures may be off by what they do meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Blocks that are out, as large as their class; mappings of their own are not in it.
    pub live: usize,
    /// Slices that heaps have, for blocks that are out and for ones that are not.
    pub held: usize,
    /// Free slices that still cost memory.
    pub dirty: usize,
    /// Addresses that were mapped, most of which cost no memory.
    pub mapped: usize,
    /// Given back to the system, all told.
    pub purged: u64,
    /// Huge pages that were asked for.
    pub huge_pages: usize,
    /// Heaps that were made: the most threads at once.
    pub heaps: usize,
    /// Heaps whose thread has ended.
    pub orphans: usize,
}

impl Stats {
    pub(crate) fn of(world: &World) -> Self {
        let mut stats = Self::default();
        world.each_heap(|_| stats.heaps += 1);
        world.pool.each_segment(|segment| {
            for slab in (HEAD..SLICES).map(|index| segment.slab(index)) {
                stats.live += match slab.kind.get() {
                    Kind::Slab => slab.used() as usize * slab.block_size(),
                    Kind::Span => slab.block_size(),
                    _ => 0,
                };
            }
        });
        // Relaxed: counts.
        let pool = &world.pool;
        stats.held = pool.used.load(Ordering::Relaxed) * SLICE;
        stats.dirty = pool.dirty.load(Ordering::Relaxed) * SLICE;
        stats.mapped = pool.mapped.load(Ordering::Relaxed);
        stats.purged = pool.purged.load(Ordering::Relaxed);
        stats.huge_pages = pool.huge.chunks.load(Ordering::Relaxed);
        stats.orphans = world.orphans.load(Ordering::Relaxed);
        if crate::secure::is_on() {
            crate::secure::count(&mut stats);
        }
        stats
    }
}

impl fmt::Display for Stats {
    /// One line for each figure, in KiB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in [
            ("live", self.live),
            ("held", self.held),
            ("dirty", self.dirty),
            ("mapped", self.mapped),
            ("purged", usize::try_from(self.purged).unwrap_or(usize::MAX)),
        ] {
            writeln!(f, "{name:>10} {:>12} KiB", bytes / 1024)?;
        }
        writeln!(f, "{:>10} {:>12} asked for", "huge pages", self.huge_pages)?;
        write!(f, "{:>10} {:>12}, {} without a thread", "heaps", self.heaps, self.orphans)
    }
}
