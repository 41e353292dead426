//! How far the entries of one table have come on their way to the next.
//!
//! Bins are moved in *chunks* of neighbours, so that memory is read and written in order. A helper
//! claims the next chunk; when all have been claimed, it takes one that is not finished, whoever
//! claimed it: a helper that was suspended, or whose hasher panicked, delays nobody.

use std::ops::Range;

use crate::raw::hook::stride;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// Units (see [`Migration::new`]) of a chunk: what one operation moves at most. So many that few
/// operations have to help at all, fewer than one in two hundred; so few that it takes some
/// microseconds.
const CHUNK_UNITS: usize = 32;

/// Neighbouring chunks whose memory is given back together: 112 KiB of slots that become twice as
/// many, some ten microseconds for the system.
const STRETCH_CHUNKS: usize = 16;

// A stretch is a part of one word of `finished`.
const _: () = assert!((u64::BITS as usize).is_multiple_of(STRETCH_CHUNKS));

/// What came to an end with a chunk, for the one call that ended it.
#[derive(Debug)]
pub(super) struct Finish {
    /// Units of a stretch, all of which have moved.
    pub(super) stretch: Option<Range<usize>>,
    /// The migration.
    pub(super) is_last: bool,
}

/// Progress of a migration.
#[derive(Debug)]
pub(super) struct Migration {
    units: usize,
    /// Units of each chunk but the last.
    chunk_units: usize,
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
        let chunk_units = stride(CHUNK_UNITS).clamp(1, units.max(1));
        let chunks = units.div_ceil(chunk_units);
        Self {
            units,
            chunk_units,
            claimed: AtomicUsize::new(0),
            left: AtomicUsize::new(chunks),
            finished: (0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A chunk to work on; `None` where none is left.
    pub(super) fn claim(&self) -> Option<usize> {
        let chunks = self.units.div_ceil(self.chunk_units);
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
    pub(super) fn units(&self, chunk: usize) -> Range<usize> {
        let start = chunk * self.chunk_units;
        start..(start + self.chunk_units).min(self.units)
    }

    /// Notes that every unit of a chunk has moved.
    pub(super) fn finish(&self, chunk: usize) -> Finish {
        let bit = 1 << (chunk % 64);
        // AcqRel: who ends a stretch comes after all who moved a part of it.
        let before = self.finished[chunk / 64].fetch_or(bit, Ordering::AcqRel);
        if before & bit != 0 {
            return Finish { stretch: None, is_last: false };
        }
        let first = chunk - chunk % STRETCH_CHUNKS;
        let stretch = ((1 << STRETCH_CHUNKS) - 1) << (first % 64);
        let is_whole = (before | bit) & stretch == stretch;
        let stretch = first * self.chunk_units..(first + STRETCH_CHUNKS) * self.chunk_units;
        Finish {
            stretch: is_whole.then_some(stretch),
            // AcqRel: who ends the migration has seen all that was moved.
            is_last: self.left.fetch_sub(1, Ordering::AcqRel) == 1,
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.finished)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn each_whole_stretch_ends_once_and_the_migration_at_the_last_chunk() {
        let chunks = 5 * STRETCH_CHUNKS + 3;
        let migration = Migration::new(chunks * CHUNK_UNITS - 1);
        let mut stretches = Vec::new();
        // Every seventh, round and round: a prime to the number of chunks.
        for step in 0..chunks {
            let chunk = step * 7 % chunks;
            let finish = migration.finish(chunk);
            stretches.extend(finish.stretch);
            assert_eq!(finish.is_last, step + 1 == chunks);
            let again = migration.finish(chunk);
            assert!(again.stretch.is_none() && !again.is_last, "it has ended already");
        }
        stretches.sort_by_key(|stretch| stretch.start);
        let units = STRETCH_CHUNKS * CHUNK_UNITS;
        let whole: Vec<_> = (0..5).map(|index| index * units..(index + 1) * units).collect();
        assert_eq!(stretches, whole, "the rest is no whole stretch");
    }
}
