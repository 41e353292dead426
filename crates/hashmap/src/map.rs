//! A hash map for any types, whose entries are read in place under a pin.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::error::CapacityError;
use crate::guard::Pinned;
use crate::hash::RandomState;
use crate::pin::Pin;
use crate::raw::boxed::Raw;

/// The map.
pub struct HashMap<K, V, S = RandomState> {
    pub(crate) raw: Raw<K, V>,
    pub(crate) hasher: S,
}

impl<K, V> HashMap<K, V, RandomState> {
    /// An empty map of the smallest size.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty map in which `capacity` entries fit before it grows.
    ///
    /// Panics where there is no memory for it; see [`try_with_capacity_and_hasher`](Self::try_with_capacity_and_hasher).
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::default())
    }
}

impl<K, V, S> HashMap<K, V, S> {
    /// An empty map that hashes with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_capacity_and_hasher(0, hasher)
    }

    /// An empty map in which `capacity` entries fit before it grows.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        match Self::try_with_capacity_and_hasher(capacity, hasher) {
            Ok(map) => map,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`with_capacity_and_hasher`](Self::with_capacity_and_hasher), without the panic.
    pub fn try_with_capacity_and_hasher(capacity: usize, hasher: S) -> Result<Self, CapacityError> {
        Ok(Self { raw: Raw::with_capacity(capacity)?, hasher })
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of entries that were unlinked and are not freed yet.
    pub fn garbage(&self) -> usize {
        self.raw.garbage()
    }
}

impl<K, V, S> HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
    S: BuildHasher,
{
    /// Pins the calling thread: what it reads through the pin stays alive until the pin ends.
    #[inline]
    pub fn pin(&self) -> Pinned<'_, K, V, S> {
        Pinned { map: self, pin: Pin::new(self.raw.disposal()) }
    }
}

impl<K, V, S: Default> Default for HashMap<K, V, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K, V, S> fmt::Debug for HashMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashMap").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
