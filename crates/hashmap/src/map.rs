//! A hash map for any types, whose entries are read in place under a pin.
//!
//! [`HashMap`] is shared by reference. A thread [pins](HashMap::pin) itself and then works through
//! [`Pinned`]; what it reads lives until the pin ends, whatever others do to the map. Everything is
//! lock-free: no operation waits for another thread.
//!
//! ```
//! use hashmap::HashMap;
//!
//! let map: HashMap<String, u64> = HashMap::new();
//! std::thread::scope(|scope| {
//!     for _ in 0..4 {
//!         scope.spawn(|| {
//!             let pinned = map.pin();
//!             for word in ["lock", "free", "lock"] {
//!                 pinned.update_or_insert_with(word, |count| count + 1, || 1);
//!             }
//!         });
//!     }
//! });
//! assert_eq!(map.get_cloned("lock"), Some(8));
//! ```
//!
//! # Garbage
//!
//! While a pin is held, what the whole process unlinks after it is not freed. A thread that stalls
//! under a pin therefore costs an entry for each overwrite and each removal.
//! [`HashMap::garbage`] counts the bytes, [`HashMap::with_garbage_max`] says how many there may be
//! (by default, any number), and [`Pinned::admit`] is where a writer asks:
//!
//! ```
//! use hashmap::{GarbageError, HashMap};
//!
//! fn overwrite(map: &HashMap<u64, u64>) -> Result<(), GarbageError> {
//!     map.pin().admit()?.insert(1, 2);
//!     Ok(())
//! }
//!
//! let map = HashMap::default().with_garbage_max(64 << 20);
//! assert_eq!(overwrite(&map), Ok(()));
//! ```
//!
//! Where all who unlink ask before each operation, there is never more than the maximum and, for
//! each handle in use, a bag of 120 entries, or what its last operation unlinked where that is more
//! ([`Pinned::retain`], [`Pinned::insert_many`], a table that was outgrown). What keys and values
//! own on the heap comes on top.
//!
//! Asking is the one operation that fails; the others neither fail nor wait, whatever the maximum.
//! They cannot, if they are to be lock-free: a write that waited for room would wait for a reader,
//! which may be an older handle of the same thread. A writer that is refused still has its key and
//! its value, and knows best whether to wait, to shed load, or to write nevertheless.
//!
//! # What this module does not do
//!
//! It does not free what a pin holds back, and it does not find out which pin that is.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::error::CapacityError;
use crate::guard::Pinned;
use crate::hash::RandomState;
use crate::iter::{Batches, IntoIter};
use crate::pin::{self, Pin};
use crate::raw::boxed::Raw;
use crate::session::Session;

/// A concurrent hash map. See [the module](self).
pub struct HashMap<K, V, S = RandomState> {
    pub(crate) raw: Raw<K, V>,
    pub(crate) hasher: S,
    garbage_max: usize,
}

/// What a map is made of at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Entries.
    pub len: usize,
    /// Bins of the newest table. A bin has six slots.
    pub bins: usize,
    /// Tables; more than one while entries move.
    pub tables: usize,
    /// Heap bytes of tables and entries, without what keys and values own.
    pub bytes: usize,
    /// Bytes unlinked and not freed.
    pub garbage: usize,
}

impl<K, V> HashMap<K, V, RandomState> {
    /// An empty map of the smallest size.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty map in which `capacity` entries fit before it grows.
    ///
    /// Panics where there is no memory for it.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::default())
    }
}

impl<K, V, S> HashMap<K, V, S> {
    /// An empty map that hashes with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_capacity_and_hasher(0, hasher)
    }

    /// An empty map that hashes with `hasher` and in which `capacity` entries fit before it grows.
    ///
    /// Panics where there is no memory for it.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        match Self::try_with_capacity_and_hasher(capacity, hasher) {
            Ok(map) => map,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`with_capacity_and_hasher`](Self::with_capacity_and_hasher), with an error instead of
    /// the panic.
    pub fn try_with_capacity_and_hasher(capacity: usize, hasher: S) -> Result<Self, CapacityError> {
        Ok(Self { raw: Raw::with_capacity(capacity)?, hasher, garbage_max: usize::MAX })
    }

    /// The same map, of which at most `bytes` may be unlinked and not freed when [`Pinned::admit`]
    /// is asked. Without this, any number may. See [the module](self#garbage) for what that bounds.
    #[must_use]
    pub fn with_garbage_max(self, bytes: usize) -> Self {
        Self { garbage_max: bytes, ..self }
    }

    /// Number of entries. Reads one word for each processor. Exact while nobody writes; else
    /// between the least and the greatest number that there was during the call, give or take the
    /// operations under way.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there are no entries, as [`len`](Self::len) sees it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of entries and tables that were unlinked and handed over, and are not freed yet.
    pub fn garbage(&self) -> usize {
        self.raw.garbage()
    }

    /// How many bytes of garbage there may be for [`Pinned::admit`] to succeed.
    pub fn garbage_max(&self) -> usize {
        self.garbage_max
    }

    /// What hashes the keys.
    pub fn hasher(&self) -> &S {
        &self.hasher
    }
}

impl<K, V, S> HashMap<K, V, S>
where
    K: Send + 'static,
    V: Send + 'static,
{
    /// Pins the calling thread: what it reads through the pin lives until the pin ends.
    #[inline]
    pub fn pin(&self) -> Pinned<'_, K, V, S> {
        Pinned { map: self, pin: Pin::new(self.raw.disposal()) }
    }

    /// What the map is made of. Walks the spills of the tables.
    pub fn stats(&self) -> Stats {
        let pinned = self.pin();
        let (bins, tables) = self.raw.shape(&pinned.pin);
        let bytes = self.raw.bytes(&pinned.pin);
        Stats { len: self.len(), bins, tables, bytes, garbage: self.garbage() }
    }

    /// Lets the collector free what is due. Nothing that was unlinked since the oldest pin of the
    /// process began is due, and each round takes up some; call it again while it helps.
    pub fn collect(&self) {
        pin::collect();
    }
}

impl<K, V, S> HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
    S: BuildHasher,
{
    /// A handle that copies values out and renews its pin by itself.
    pub fn session(&self) -> Session<'_, K, V, S>
    where
        V: Clone,
    {
        Session::new(self)
    }

    /// Calls `read` with the value of `key`, under a pin of its own.
    pub fn with<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.pin().get(key).map(read)
    }

    /// A copy of the value of `key`.
    pub fn get_cloned<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.with(key, V::clone)
    }

    /// Whether `key` is there.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.with(key, |_| ()).is_some()
    }

    /// Sets the value of `key`. Says whether the key is new.
    pub fn insert(&self, key: K, value: V) -> bool {
        self.pin().insert(key, value).is_none()
    }

    /// Removes `key`. Says whether it was there.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.pin().remove(key).is_some()
    }

    /// Copies of all entries, `size` (or one) at a time or a few more, each batch under a pin of
    /// its own: the iterator may be kept across an `.await`. What [`Pinned::iter`] promises holds
    /// for the whole walk.
    pub fn batches(&self, size: usize) -> Batches<'_, K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        Batches::new(self, size)
    }
}

impl<K, V, S: Default> Default for HashMap<K, V, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K, V, S> Clone for HashMap<K, V, S>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: BuildHasher + Clone,
{
    fn clone(&self) -> Self {
        let mut copy = Self::with_capacity_and_hasher(self.len(), self.hasher.clone())
            .with_garbage_max(self.garbage_max);
        copy.extend(self.pin().iter().map(|(key, value)| (key.clone(), value.clone())));
        copy
    }
}

/// Equal where each has the entries of the other. Of maps that others write to meanwhile it says
/// nothing.
impl<K, V, S> PartialEq for HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: PartialEq + Send + 'static,
    S: BuildHasher,
{
    fn eq(&self, other: &Self) -> bool {
        let (pinned, other_pinned) = (self.pin(), other.pin());
        self.len() == other.len()
            && pinned.iter().all(|(key, value)| other_pinned.get(key) == Some(value))
    }
}

impl<K, V, S> Eq for HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Eq + Send + 'static,
    S: BuildHasher,
{
}

impl<K, V, S> Extend<(K, V)> for HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
    S: BuildHasher,
{
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<K, V, S> Extend<(K, V)> for &HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
    S: BuildHasher,
{
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K, V, S> FromIterator<(K, V)> for HashMap<K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
    S: BuildHasher + Default,
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<K, V, const N: usize> From<[(K, V); N]> for HashMap<K, V, RandomState>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
{
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K, V, S> IntoIterator for HashMap<K, V, S> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(self) -> IntoIter<K, V> {
        IntoIter::new(self.raw.into_entries())
    }
}

impl<K, V, S> fmt::Debug for HashMap<K, V, S>
where
    K: Eq + fmt::Debug + Send + 'static,
    V: fmt::Debug + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pin().fmt(f)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
