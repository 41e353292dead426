//! Iterators over a map of words.

use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;

use crossbeam_epoch::{self as epoch, Guard};

use super::WordMap;
use crate::raw::inline::{Core, Walk};
use crate::word::Word;

/// The entries of a map, in no order.
///
/// Each entry that is present from before the iterator was made until after it has ended is
/// returned exactly once, however the map grows meanwhile; one that comes or goes, at most once. A
/// value is the one of the moment when the iterator came to its bin.
///
/// It keeps the tables that were in use when it was made.
pub struct Iter<'m, K, V, S> {
    core: &'m Core<S>,
    walk: Walk,
    guard: Guard,
    /// Entries of a bin that were not returned yet.
    entries: Vec<(u64, u64)>,
    types: PhantomData<fn() -> (K, V)>,
}

/// The keys of a map; see [`Iter`].
pub struct Keys<'m, K, V, S>(Iter<'m, K, V, S>);

/// The values of a map; see [`Iter`].
pub struct Values<'m, K, V, S>(Iter<'m, K, V, S>);

/// Removes the entries of a map and returns them.
///
/// Each entry is removed when it is returned; those that were not returned stay. One that comes
/// meanwhile may stay.
pub struct Drain<'m, K, V, S> {
    map: &'m WordMap<K, V, S>,
    entries: Iter<'m, K, V, S>,
}

impl<'m, K, V, S> Iter<'m, K, V, S> {
    pub(super) fn new(core: &'m Core<S>) -> Self {
        let guard = epoch::pin();
        let walk = Walk::new(core, &guard);
        Self { core, walk, guard, entries: Vec::new(), types: PhantomData }
    }
}

impl<'m, K, V, S> Keys<'m, K, V, S> {
    pub(super) fn new(entries: Iter<'m, K, V, S>) -> Self {
        Self(entries)
    }
}

impl<'m, K, V, S> Values<'m, K, V, S> {
    pub(super) fn new(entries: Iter<'m, K, V, S>) -> Self {
        Self(entries)
    }
}

impl<'m, K: Word, V: Word, S: BuildHasher> Drain<'m, K, V, S> {
    pub(super) fn new(map: &'m WordMap<K, V, S>) -> Self {
        Self { map, entries: map.iter() }
    }
}

impl<K: Word, V: Word, S: BuildHasher> Iterator for Iter<'_, K, V, S> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        if self.entries.is_empty() {
            self.core.walk_on(&mut self.walk, &self.guard, &mut self.entries);
        }
        let (key, value) = self.entries.pop()?;
        Some((K::from_word(key), V::from_word(value)))
    }

    /// A bin at a time, for those who want all entries.
    fn fold<A, F: FnMut(A, (K, V)) -> A>(mut self, start: A, mut add: F) -> A {
        let mut sum = start;
        loop {
            for (key, value) in self.entries.drain(..) {
                sum = add(sum, (K::from_word(key), V::from_word(value)));
            }
            self.core.walk_on(&mut self.walk, &self.guard, &mut self.entries);
            if self.entries.is_empty() {
                return sum;
            }
        }
    }
}

impl<K: Word, V: Word, S: BuildHasher> Iterator for Keys<'_, K, V, S> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        self.0.next().map(|(key, _value)| key)
    }
}

impl<K: Word, V: Word, S: BuildHasher> Iterator for Values<'_, K, V, S> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        self.0.next().map(|(_key, value)| value)
    }
}

impl<K: Word, V: Word, S: BuildHasher> Iterator for Drain<'_, K, V, S> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            let (key, _value) = self.entries.next()?;
            // Another thread may have removed it since.
            if let Some(value) = self.map.remove(key) {
                return Some((key, value));
            }
        }
    }
}

macro_rules! debug {
    ($($name:ident),*) => {$(
        impl<K, V, S> fmt::Debug for $name<'_, K, V, S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

debug!(Iter, Keys, Values, Drain);
