//! Ordered key-value stores.

use std::error::Error;
use std::path::Path;

/// What a store lost is told by what a crash may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// An acknowledged write survives the death of the process (`kill -9`).
    Os,
    /// An acknowledged write survives the loss of power.
    Sync,
}

/// How a store is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Memory for write buffers and caches together, in bytes.
    pub memory_budget: u64,
    /// Whether blocks are compressed (with lz4, where the engine has it).
    pub compressed: bool,
}

/// Any failure of an engine; the engine's own words are kept.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// An embedded store whose keys are byte strings in lexicographic order.
pub trait OrderedStore: Send + Sync + Sized {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// Opens the store in `directory`, which it creates where it is missing, and recovers.
    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError>;

    /// Sets the value of `key`.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// A copy of the value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes `key`; removing an absent key is no error.
    fn delete(&self, key: &[u8]) -> Result<(), StoreError>;

    /// Applies all changes or none: a value sets the key, `None` removes it. The last change of a
    /// key wins.
    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError>;

    /// Calls `visit` for at most `limit` entries from `from` on, in order, as of one moment.
    /// Returns how many it visited.
    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError>;

    /// Returns once all background work that earlier writes caused is done.
    fn settle(&self) -> Result<(), StoreError>;
}
