//! How far the entries of one table have come on their way to the next.
//!
//! Bins are moved in *chunks* of neighbours, so that memory is read and written in order. A helper
//! claims the next chunk; when all have been claimed, it takes one that is not finished, whoever
//! claimed it: a helper that was suspended, or whose hasher panicked, delays nobody.

use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// Units (see [`Migration::new`]) of a chunk: what one operation moves at most. So many that few
/// operations have to help at all, fewer than one in two hundred; so few that it takes some
/// microseconds.
pub(super) const CHUNK_UNITS: usize = 32;

/// Progress of a migration.
#[derive(Debug)]
pub(super) struct Migration {
    units: usize,
    /// Chunks claimed.
    claimed: AtomicUsize,
    /// Chunks that are not finished.
    left: AtomicUsize,
    /// One bit a chunk: it is finished.
    finished: Box<[AtomicU64]>,
}

impl Migration {
    /// A migration of so many units. A unit is what must move as one: a bin of the smaller table,
    /// and all those of the larger one that have its hashes.
    pub(super) fn new(units: usize) -> Self {
        let chunks = units.div_ceil(CHUNK_UNITS);
        Self {
            units,
            claimed: AtomicUsize::new(0),
            left: AtomicUsize::new(chunks),
            finished: (0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A chunk to work on; `None` where none is left.
    pub(super) fn claim(&self) -> Option<usize> {
        let chunks = self.units.div_ceil(CHUNK_UNITS);
        // Relaxed: a claim only spreads the helpers.
        let claim = self.claimed.fetch_add(1, Ordering::Relaxed);
        if claim < chunks {
            return Some(claim);
        }
        // Relaxed: a hint.
        if self.left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let unfinished = |index: usize| {
            // Relaxed: a hint; a chunk that is moved twice is found moved.
            let bits = self.finished[index].load(Ordering::Relaxed);
            let chunk = 64 * index + bits.trailing_ones() as usize;
            (bits != u64::MAX && chunk < chunks).then_some(chunk)
        };
        (0..self.finished.len()).find_map(unfinished)
    }

    /// The units of a chunk.
    pub(super) fn units(&self, chunk: usize) -> std::ops::Range<usize> {
        let start = chunk * CHUNK_UNITS;
        start..(start + CHUNK_UNITS).min(self.units)
    }

    /// Notes that every unit of a chunk has moved; true for the one call that ends the migration.
    pub(super) fn finish(&self, chunk: usize) -> bool {
        let bit = 1 << (chunk % 64);
        // Relaxed: `left` orders.
        if self.finished[chunk / 64].fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return false;
        }
        // AcqRel: who ends the migration has seen all that was moved.
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.finished)
    }
}
