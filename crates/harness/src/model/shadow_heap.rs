//! What an allocator has handed out: intervals of addresses that never touch one another.

use std::collections::BTreeMap;

/// The live blocks of an allocator, by address. A block costs an entry and `O(log n)`.
///
/// It holds no memory itself; it only says whether what the allocator did was possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowHeap {
    /// Start and end of each live block; the end is excluded.
    ///
    /// Invariant: each end is at most the next start.
    live: BTreeMap<usize, usize>,
}

/// Why a heap cannot have done what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShadowError {
    /// Two live blocks share addresses.
    #[error("block {start:#x}..{end:#x} overlaps the live block {other_start:#x}..{other_end:#x}")]
    Overlap {
        /// Start of the new block.
        start: usize,
        /// End of the new block.
        end: usize,
        /// Start of the block that was there.
        other_start: usize,
        /// End of the block that was there.
        other_end: usize,
    },
    /// The block would go on beyond the last address.
    #[error("a block of {size} bytes at {start:#x} does not fit into the address space")]
    BeyondTheEnd {
        /// Start of the new block.
        start: usize,
        /// Its size in bytes.
        size: usize,
    },
    /// There is no block to release.
    #[error("no live block starts at {0:#x}, so none can be released there")]
    NotLive(usize),
}

impl ShadowHeap {
    /// A heap without blocks.
    pub const fn new() -> Self {
        Self { live: BTreeMap::new() }
    }

    /// Notes a new block of `size` bytes, at least one, at `start`.
    pub fn claim(&mut self, start: usize, size: usize) -> Result<(), ShadowError> {
        assert!(size > 0, "a block of no bytes has no place at {start:#x}");
        let end = start.checked_add(size).ok_or(ShadowError::BeyondTheEnd { start, size })?;
        // Ends ascend with starts, so only the last block that begins before `end` can reach in.
        if let Some((&other_start, &other_end)) = self.live.range(..end).next_back()
            && other_end > start
        {
            return Err(ShadowError::Overlap { start, end, other_start, other_end });
        }
        self.live.insert(start, end);
        Ok(())
    }

    /// Notes that the block at `start` is free again.
    pub fn release(&mut self, start: usize) -> Result<(), ShadowError> {
        self.live.remove(&start).map(drop).ok_or(ShadowError::NotLive(start))
    }

    /// Live blocks.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether no block is live.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}
