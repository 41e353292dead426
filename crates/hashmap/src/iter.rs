//! Walks over a map: under a pin, in batches without one, and of a map that is given up.
//!
//! | type        | needs                | hands out          |
//! |-------------|----------------------|--------------------|
//! | [`Iter`]    | a pin for its life   | references         |
//! | [`Batches`] | a pin for each batch | copies             |
//! | [`IntoIter`]| the map itself       | keys and values    |

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::iter::FusedIterator;

use crate::map::HashMap;
use crate::raw::boxed::{Owned, Sweep};

/// Entries in place; see [`Pinned::iter`](crate::Pinned::iter).
pub struct Iter<'p, K, V>(Sweep<'p, K, V>);

impl<'p, K, V> Iter<'p, K, V> {
    pub(crate) fn new(sweep: Sweep<'p, K, V>) -> Self {
        Self(sweep)
    }
}

impl<'p, K: Eq, V> Iterator for Iter<'p, K, V> {
    type Item = (&'p K, &'p V);

    #[inline]
    fn next(&mut self) -> Option<(&'p K, &'p V)> {
        let entry = self.0.next()?;
        Some((&entry.key, &entry.value))
    }
}

impl<K: Eq, V> FusedIterator for Iter<'_, K, V> {}

impl<K, V> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

/// Copies of entries, some at a time; see [`HashMap::batches`].
pub struct Batches<'m, K, V, S> {
    map: &'m HashMap<K, V, S>,
    size: usize,
    /// The least hash not visited; `None` at the end.
    position: Option<u64>,
}

impl<'m, K, V, S> Batches<'m, K, V, S> {
    pub(crate) fn new(map: &'m HashMap<K, V, S>, size: usize) -> Self {
        Self { map, size: size.max(1), position: Some(0) }
    }
}

impl<K, V, S> Iterator for Batches<'_, K, V, S>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: BuildHasher,
{
    type Item = Vec<(K, V)>;

    fn next(&mut self) -> Option<Vec<(K, V)>> {
        let mut batch = Vec::new();
        let pinned = self.map.pin();
        while let Some(position) = self.position
            && batch.len() < self.size
        {
            self.position = self.map.raw.visit_from(position, &pinned.pin, |entry| {
                batch.push((entry.key.clone(), entry.value.clone()));
            });
        }
        (!batch.is_empty()).then_some(batch)
    }
}

impl<K, V, S> fmt::Debug for Batches<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Keys and values of a map that was given up.
pub struct IntoIter<K, V>(std::vec::IntoIter<Owned<K, V>>);

impl<K, V> IntoIter<K, V> {
    pub(crate) fn new(entries: Vec<Owned<K, V>>) -> Self {
        Self(entries.into_iter())
    }
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.0.next().map(Owned::into_parts)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<K, V> ExactSizeIterator for IntoIter<K, V> {}

impl<K, V> FusedIterator for IntoIter<K, V> {}

impl<K, V> fmt::Debug for IntoIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
