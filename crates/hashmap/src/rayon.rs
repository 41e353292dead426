//! Walks and fills by many threads, with rayon.
//!
//! A parallel walk reads under the pin of the thread that began it. That pin keeps alive what any
//! thread may reach while it is held, and the walk borrows it.

use std::hash::{BuildHasher, Hash};

use rayon::iter::plumbing::{Folder, UnindexedConsumer, UnindexedProducer, bridge_unindexed};
use rayon::iter::{FromParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator};

use crate::guard::Pinned;
use crate::map::HashMap;
use crate::raw::boxed::Sweep;

/// Entries in place, by many threads; see [`Pinned::par_iter`].
#[derive(Debug)]
pub struct ParIter<'p, K, V>(Sweep<'p, K, V>);

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Eq + Sync,
    V: Sync,
{
    /// As [`iter`](Self::iter), by many threads.
    pub fn par_iter(&self) -> ParIter<'_, K, V> {
        ParIter(self.map.raw.sweep(&self.pin))
    }
}

impl<'p, K: Eq + Sync, V: Sync> ParallelIterator for ParIter<'p, K, V> {
    type Item = (&'p K, &'p V);

    fn drive_unindexed<C: UnindexedConsumer<Self::Item>>(self, consumer: C) -> C::Result {
        bridge_unindexed(Producer(self.0), consumer)
    }
}

struct Producer<'p, K, V>(Sweep<'p, K, V>);

impl<'p, K: Eq + Sync, V: Sync> UnindexedProducer for Producer<'p, K, V> {
    type Item = (&'p K, &'p V);

    fn split(mut self) -> (Self, Option<Self>) {
        let rest = self.0.split().map(Self);
        (self, rest)
    }

    fn fold_with<F: Folder<Self::Item>>(self, folder: F) -> F {
        folder.consume_iter(self.0.map(|entry| (&entry.key, &entry.value)))
    }
}

impl<K, V, S> ParallelExtend<(K, V)> for HashMap<K, V, S>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
        let map = &*self;
        entries.into_par_iter().for_each(|(key, value)| {
            map.insert(key, value);
        });
    }
}

impl<K, V, S> FromParallelIterator<(K, V)> for HashMap<K, V, S>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Default + Sync,
{
    fn from_par_iter<I: IntoParallelIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.par_extend(entries);
        map
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
