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

/// Why a thread should not unlink more: too much is unlinked already and cannot be freed, since
/// some thread holds a pin. Drop or renew old handles, or try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{garbage} bytes are unlinked and not freed, {garbage_max} are allowed, and a pin holds them \
     back; drop or renew old handles, or try again later"
)]
#[non_exhaustive]
pub struct GarbageError {
    /// Bytes that were unlinked and not freed when the thread was not admitted.
    pub garbage: usize,
    /// Bytes that may be; see [`HashMap::with_garbage_max`](crate::HashMap::with_garbage_max).
    pub garbage_max: usize,
}
