//! dashmap: hashbrown tables in shards, each under a reader-writer lock.

use std::hash::Hash;

use harness::contract::{ConcurrentMap, MapHandle};

use super::Hasher;

/// A map with the shared hasher and the default number of shards.
#[derive(Debug)]
pub struct Map<K: Eq + Hash, V>(dashmap::DashMap<K, V, Hasher>);

/// A reference: each operation locks a shard.
#[derive(Debug)]
pub struct Handle<'a, K: Eq + Hash, V>(&'a dashmap::DashMap<K, V, Hasher>);

impl<K, V> ConcurrentMap<K, V> for Map<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const NAME: &'static str = "dashmap";

    type Handle<'a> = Handle<'a, K, V>;

    fn with_capacity(capacity: usize) -> Self {
        Self(dashmap::DashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> Handle<'_, K, V> {
        Handle(&self.0)
    }
}

impl<K, V> MapHandle<K, V> for Handle<'_, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    #[inline(always)]
    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).map(|entry| entry.value().clone())
    }

    #[inline(always)]
    fn insert(&self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    #[inline(always)]
    fn remove(&self, key: &K) -> Option<V> {
        self.0.remove(key).map(|(_, value)| value)
    }

    #[inline(always)]
    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V> {
        let mut entry = self.0.get_mut(key)?;
        *entry = change(&entry);
        Some(entry.clone())
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        self.0.iter().for_each(|entry| visit(entry.key(), entry.value()));
    }
}
