//! Ours, boxed: any keys and values, lock-free.

use std::fmt;
use std::hash::Hash;

use harness::contract::{ConcurrentMap, MapHandle};
use hashmap::{HashMap, Session};

use super::Hasher;

/// A map with the shared hasher.
pub struct Map<K, V>(HashMap<K, V, Hasher>);

/// One pin for many operations.
pub struct Handle<'a, K, V>(Session<'a, K, V, Hasher>);

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for Handle<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl<K, V> ConcurrentMap<K, V> for Map<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const NAME: &'static str = "hashmap";

    type Handle<'a> = Handle<'a, K, V>;

    fn with_capacity(capacity: usize) -> Self {
        Self(HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> Handle<'_, K, V> {
        Handle(self.0.session())
    }
}

impl<K, V> MapHandle<K, V> for Handle<'_, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    #[inline(always)]
    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    #[inline(always)]
    fn insert(&self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    #[inline(always)]
    fn remove(&self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    #[inline(always)]
    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V> {
        self.0.update(key, change)
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        self.0.with(|pinned| pinned.iter().for_each(|(key, value)| visit(key, value)));
    }
}
