//! scc: buckets of 32 inline entries, each under a lock of its own; resizes as it goes.

use std::hash::Hash;

use harness::contract::{ConcurrentMap, MapHandle};

use super::Hasher;

/// A map with the shared hasher.
#[derive(Debug)]
pub struct Map<K, V>(scc::HashMap<K, V, Hasher>)
where
    K: Eq + Hash;

/// A reference: each operation guards itself.
#[derive(Debug)]
pub struct Handle<'a, K, V>(&'a scc::HashMap<K, V, Hasher>)
where
    K: Eq + Hash;

impl<K, V> ConcurrentMap<K, V> for Map<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const NAME: &'static str = "scc";

    type Handle<'a> = Handle<'a, K, V>;

    fn with_capacity(capacity: usize) -> Self {
        Self(scc::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
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
        self.0.read_sync(key, |_, value| value.clone())
    }

    #[inline(always)]
    fn insert(&self, key: K, value: V) -> Option<V> {
        self.0.upsert_sync(key, value)
    }

    #[inline(always)]
    fn remove(&self, key: &K) -> Option<V> {
        self.0.remove_sync(key).map(|(_, value)| value)
    }

    #[inline(always)]
    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V> {
        self.0.update_sync(key, |_, value| {
            *value = change(value);
            value.clone()
        })
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        self.0.iter_sync(|key, value| {
            visit(key, value);
            true
        });
    }
}
