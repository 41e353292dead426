//! What can go wrong.

/// Why a map cannot have so many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapacityError {
    /// The table would be larger than a map supports: some 10^11 entries.
    #[error("a table for {capacity} entries is larger than supported (10^11); ask for fewer")]
    TooLarge {
        /// Entries that were asked for.
        capacity: usize,
    },
    /// The allocator refused.
    #[error("no memory for a table of {capacity} entries; ask for fewer or free memory")]
    OutOfMemory {
        /// Entries that were asked for.
        capacity: usize,
    },
}
