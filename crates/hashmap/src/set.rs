//! A hash set: a map whose values are nothing.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::error::{CapacityError, GarbageError};
use crate::guard::Pinned;
use crate::hash::RandomState;
use crate::map::HashMap;

/// A concurrent hash set. What [`HashMap`] says of keys holds for its elements.
///
/// ```
/// let seen: hashmap::HashSet<&str> = ["a", "b"].into_iter().collect();
/// let pinned = seen.pin();
/// assert!(pinned.insert("c") && !pinned.insert("a"));
/// assert!(pinned.remove("b"));
/// assert_eq!(seen.len(), 2);
/// ```
pub struct HashSet<T, S = RandomState> {
    pub(crate) map: HashMap<T, (), S>,
}

/// A pinned thread's view of a set. Not `Send`.
pub struct PinnedSet<'s, T, S>(Pinned<'s, T, (), S>);

impl<T> HashSet<T, RandomState> {
    /// An empty set of the smallest size.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty set in which `capacity` elements fit before it grows.
    ///
    /// Panics where there is no memory for it.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { map: HashMap::with_capacity(capacity) }
    }
}

impl<T, S> HashSet<T, S> {
    /// An empty set that hashes with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self { map: HashMap::with_hasher(hasher) }
    }

    /// An empty set that hashes with `hasher` and in which `capacity` elements fit before it grows.
    ///
    /// Panics where there is no memory for it.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self { map: HashMap::with_capacity_and_hasher(capacity, hasher) }
    }

    /// The same set with a maximum for [`PinnedSet::admit`]; see [`HashMap::with_garbage_max`].
    #[must_use]
    pub fn with_garbage_max(self, bytes: usize) -> Self {
        Self { map: self.map.with_garbage_max(bytes) }
    }

    /// Bytes that are unlinked and not freed; see [`HashMap::garbage`].
    pub fn garbage(&self) -> usize {
        self.map.garbage()
    }

    /// Number of elements; see [`HashMap::len`].
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl<T, S> HashSet<T, S>
where
    T: Eq + Hash + Send + 'static,
    S: BuildHasher,
{
    /// Pins the calling thread: what it reads through the pin lives until the pin ends.
    pub fn pin(&self) -> PinnedSet<'_, T, S> {
        PinnedSet(self.map.pin())
    }

    /// Whether `element` is there.
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.contains_key(element)
    }
}

impl<T, S> PinnedSet<'_, T, S>
where
    T: Eq + Hash + Send + 'static,
    S: BuildHasher,
{
    /// Whether `element` is there.
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.contains_key(element)
    }

    /// The stored element that equals `element`.
    pub fn get<Q>(&self, element: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.get_key_value(element).map(|(stored, ())| stored)
    }

    /// Inserts `element` unless it is there. Says whether it was not.
    pub fn insert(&self, element: T) -> bool {
        self.0.try_insert(element, ()).is_ok()
    }

    /// Removes `element`. Says whether it was there.
    pub fn remove<Q>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.remove(element).is_some()
    }

    /// Removes `element` and returns the stored one.
    pub fn take<Q>(&self, element: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.remove_entry(element).map(|(stored, ())| stored)
    }

    /// Looks up each of `elements` and calls `found` with its number in `elements` and the stored
    /// one; see [`Pinned::get_many`].
    pub fn get_many<'p>(&'p self, elements: &[T], mut found: impl FnMut(usize, Option<&'p T>)) {
        self.0.find_many(elements, |index, entry| found(index, entry.map(|it| &it.key)));
    }

    /// Whether each element is there, in their order; see [`Pinned::contains_many`].
    pub fn contains_many(&self, elements: &[T]) -> Vec<bool> {
        self.0.contains_many(elements)
    }

    /// Inserts those of `elements` that are not there, in their order; returns how many were not.
    /// Each insertion is atomic for itself; their cache misses overlap.
    pub fn insert_many(&self, elements: impl IntoIterator<Item = T>) -> usize {
        let Pinned { map, pin } = &self.0;
        let entries = elements.into_iter().map(|element| (element, ()));
        self.0.place_many(entries, |entry| map.raw.try_insert(entry, pin).is_ok())
    }

    /// All elements; see [`Pinned::iter`].
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    /// Removes the elements for which `may_stay` does not hold.
    pub fn retain(&self, mut may_stay: impl FnMut(&T) -> bool) {
        self.0.retain(|element, ()| may_stay(element));
    }

    /// Removes the elements that are there, one after the other.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Makes room for `more` elements. Renews the pin.
    pub fn reserve(&mut self, more: usize) -> Result<(), CapacityError> {
        self.0.reserve(more)
    }

    /// Makes the table as small as the elements allow. Renews the pin.
    pub fn shrink_to_fit(&mut self) -> Result<(), CapacityError> {
        self.0.shrink_to_fit()
    }

    /// Lets go of everything read so far and pins anew; see [`Pinned::renew`].
    pub fn renew(&mut self) {
        self.0.renew();
    }

    /// This handle, for one operation that unlinks, if there is room for more garbage; see
    /// [`Pinned::admit`].
    pub fn admit(&mut self) -> Result<&Self, GarbageError> {
        self.0.admit()?;
        Ok(self)
    }
}

impl<T, S: Default> Default for HashSet<T, S> {
    fn default() -> Self {
        Self { map: HashMap::default() }
    }
}

impl<T, S> Clone for HashSet<T, S>
where
    T: Eq + Hash + Clone + Send + 'static,
    S: BuildHasher + Clone,
{
    fn clone(&self) -> Self {
        Self { map: self.map.clone() }
    }
}

impl<T, S> PartialEq for HashSet<T, S>
where
    T: Eq + Hash + Send + 'static,
    S: BuildHasher,
{
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<T, S> Eq for HashSet<T, S>
where
    T: Eq + Hash + Send + 'static,
    S: BuildHasher,
{
}

impl<T, S> Extend<T> for HashSet<T, S>
where
    T: Eq + Hash + Send + 'static,
    S: BuildHasher,
{
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        self.map.extend(elements.into_iter().map(|it| (it, ())));
    }
}

impl<T, S> FromIterator<T> for HashSet<T, S>
where
    T: Eq + Hash + Send + 'static,
    S: BuildHasher + Default,
{
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self { map: elements.into_iter().map(|it| (it, ())).collect() }
    }
}

impl<T, S> fmt::Debug for HashSet<T, S>
where
    T: Eq + fmt::Debug + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.map.pin().keys()).finish()
    }
}

impl<T, S> fmt::Debug for PinnedSet<'_, T, S>
where
    T: Eq + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
