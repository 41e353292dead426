//! The map of words: its API.
//!
//! [`WordMap`] has every operation for occasional use, each of which pins the epoch for itself.
//! [`WordMapRef`], which [`WordMap::pin`] returns, has the same ones for a thread at work, and pins
//! once. Both copy values out; no operation returns a reference into the map.
//!
//! # What this module does not do
//!
//! It holds no protocol: words go to `raw`, and come back.

mod batch;
mod bulk;
mod handle;
mod iter;
mod traits;

use std::hash::BuildHasher;
use std::marker::PhantomData;

pub use handle::WordMapRef;
pub use iter::{Drain, Iter, Keys, Values};

use crate::error::CapacityError;
use crate::hash::RandomState;
use crate::raw::inline::{Core, Session, bins_for};
use crate::word::Word;

/// A concurrent map of small `Copy` keys and values, stored in the table itself.
///
/// | operation           | progress                                       | cost                       |
/// |---------------------|------------------------------------------------|----------------------------|
/// | reads               | lock-free; no write to shared memory           | one head, and one slot     |
/// | writes              | wait for another writer of the same 14 slots   | the same, and one CAS      |
/// | growing, shrinking  | a few microseconds of it in some of the writes | each entry is copied once  |
///
/// An overwritten value leaves nothing behind, so that a reader that stands still costs no memory
/// but that of tables which the map has outgrown since.
///
/// ```
/// use hashmap::WordMap;
///
/// let visits: WordMap<u64, u64> = WordMap::new();
/// visits.insert(7, 1);
/// visits.update(7, |count| count + 1);
/// assert_eq!(visits.get(7), Some(2));
///
/// let handle = visits.pin();
/// for page in 0..100 {
///     handle.insert(page, 0);
/// }
/// assert_eq!(visits.len(), 100);
/// ```
pub struct WordMap<K, V, S = RandomState> {
    core: Core<S>,
    entries: Entries<K, V>,
}

/// A map gives and takes keys and values, and holds none of them.
type Entries<K, V> = PhantomData<fn(K, V) -> (K, V)>;

/// What a map is made of at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordMapStats {
    /// Entries, counted as by [`WordMap::len`].
    pub entries: usize,
    /// Entries that fit before the map grows.
    pub capacity: usize,
    /// Bytes of the tables in use, without the blocks of bins with more than 22 entries.
    pub table_bytes: usize,
    /// Whether entries are being moved to another table.
    pub resizing: bool,
    /// Outgrown tables that wait for their last readers, or for a writer to free them.
    pub retired_tables: usize,
}

impl<K, V> WordMap<K, V> {
    /// An empty map with room for ten entries.
    pub fn new() -> Self {
        Self::with_hasher(RandomState::default())
    }

    /// An empty map with room for `capacity` entries. It does not shrink below that by itself.
    ///
    /// # Panics
    ///
    /// If there is no memory for it; see [`try_with_capacity_and_hasher`].
    ///
    /// [`try_with_capacity_and_hasher`]: WordMap::try_with_capacity_and_hasher
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::default())
    }
}

impl<K, V, S> WordMap<K, V, S> {
    /// An empty map whose keys are hashed by `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_capacity_and_hasher(0, hasher)
    }

    /// An empty map with room for `capacity` entries whose keys are hashed by `hasher`.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        match Self::try_with_capacity_and_hasher(capacity, hasher) {
            Ok(map) => map,
            Err(error) => panic!("{error}"),
        }
    }

    /// An empty map with room for `capacity` entries whose keys are hashed by `hasher`, if there is
    /// memory for it.
    pub fn try_with_capacity_and_hasher(capacity: usize, hasher: S) -> Result<Self, CapacityError> {
        let bins = bins_for(capacity).ok_or(CapacityError::TooLarge { capacity })?;
        let core = Core::new(bins, hasher).ok_or(CapacityError::OutOfMemory { capacity })?;
        Ok(Self { core, entries: PhantomData })
    }

    /// A handle for the calling thread, held for as many operations as it likes.
    #[inline]
    pub fn pin(&self) -> WordMapRef<'_, K, V, S> {
        WordMapRef::new(Session::new(&self.core))
    }

    /// Number of entries. Reads a word for each stripe of a counter, some four for each processor;
    /// exact while nobody writes, else a count that some of the writes under way are in.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether [`len`](WordMap::len) is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that fit before the map grows.
    pub fn capacity(&self) -> usize {
        self.core.capacity(&crossbeam_epoch::pin())
    }

    /// The hasher.
    pub fn hasher(&self) -> &S {
        self.core.hasher()
    }

    /// What the map is made of at the moment.
    pub fn stats(&self) -> WordMapStats {
        let guard = crossbeam_epoch::pin();
        WordMapStats {
            entries: self.core.len(),
            capacity: self.core.capacity(&guard),
            table_bytes: self.core.table_bytes(&guard),
            resizing: self.core.is_resizing(&guard),
            retired_tables: self.core.retired_tables(),
        }
    }
}

/// Each of these is the operation of the same name of [`WordMapRef`], under a pin of its own.
impl<K: Word, V: Word, S: BuildHasher> WordMap<K, V, S> {
    /// The value of a key.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        self.pin().get(key)
    }

    /// Whether a key is there.
    #[inline]
    pub fn contains_key(&self, key: K) -> bool {
        self.pin().contains_key(key)
    }

    /// Sets the value of a key; returns the one before.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.pin().insert(key, value)
    }

    /// Sets the value of a key that has none.
    #[inline]
    pub fn try_insert(&self, key: K, value: V) -> Result<(), V> {
        self.pin().try_insert(key, value)
    }

    /// Removes a key; returns its value.
    #[inline]
    pub fn remove(&self, key: K) -> Option<V> {
        self.pin().remove(key)
    }

    /// Removes a key if `condition` says so of its value; returns the value.
    #[inline]
    pub fn remove_if(&self, key: K, condition: impl FnMut(V) -> bool) -> Option<V> {
        self.pin().remove_if(key, condition)
    }

    /// Replaces a value by what `change` makes of it; returns the new one.
    #[inline]
    pub fn update(&self, key: K, change: impl FnMut(V) -> V) -> Option<V> {
        self.pin().update(key, change)
    }

    /// Replaces what a key has by what `change` makes of it; returns what it had and has.
    #[inline]
    pub fn compute(
        &self,
        key: K,
        change: impl FnMut(Option<V>) -> Option<V>,
    ) -> (Option<V>, Option<V>) {
        self.pin().compute(key, change)
    }

    /// The value of a key, which is given the one that `make` makes if it has none.
    #[inline]
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> V {
        self.pin().get_or_insert_with(key, make)
    }

    /// Replaces what a key has, if it is `expected`.
    #[inline]
    pub fn compare_exchange(
        &self,
        key: K,
        expected: Option<V>,
        new: Option<V>,
    ) -> Result<(), Option<V>> {
        self.pin().compare_exchange(key, expected, new)
    }

    /// Removes all entries; see [`WordMapRef::clear`].
    pub fn clear(&self) {
        self.pin().clear();
    }

    /// Keeps the entries that `keep` says so of; see [`WordMapRef::retain`].
    pub fn retain(&self, keep: impl FnMut(K, V) -> bool) {
        self.pin().retain(keep);
    }

    /// Makes room for `additional` more entries; see [`WordMapRef::reserve`].
    pub fn reserve(&self, additional: usize) {
        self.pin().reserve(additional);
    }

    /// Gives back memory that the entries do not need; see [`WordMapRef::shrink_to_fit`].
    pub fn shrink_to_fit(&self) {
        self.pin().shrink_to_fit();
    }

    /// All entries; see [`Iter`].
    pub fn iter(&self) -> Iter<'_, K, V, S> {
        Iter::new(&self.core)
    }

    /// All keys; see [`Iter`].
    pub fn keys(&self) -> Keys<'_, K, V, S> {
        Keys::new(self.iter())
    }

    /// All values; see [`Iter`].
    pub fn values(&self) -> Values<'_, K, V, S> {
        Values::new(self.iter())
    }

    /// Removes entries and returns them; see [`Drain`].
    pub fn drain(&self) -> Drain<'_, K, V, S> {
        Drain::new(self)
    }
}

#[cfg(test)]
pub(crate) mod tests;
