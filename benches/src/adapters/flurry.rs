//! flurry: Java's `ConcurrentHashMap` in Rust; lock-free reads, a lock for each bin that is
//! written.

use std::hash::Hash;

use flurry::HashMapRef;
use harness::contract::{ConcurrentMap, MapHandle};

use super::Hasher;

/// A map with the shared hasher.
#[derive(Debug)]
pub struct Map<K: 'static, V: 'static>(flurry::HashMap<K, V, Hasher>);

/// One guard for many operations.
#[derive(Debug)]
pub struct Handle<'a, K: 'static, V: 'static>(HashMapRef<'a, K, V, Hasher>);

impl<K, V> ConcurrentMap<K, V> for Map<K, V>
where
    K: Clone + Ord + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const NAME: &'static str = "flurry";

    type Handle<'a> = Handle<'a, K, V>;

    fn with_capacity(capacity: usize) -> Self {
        Self(flurry::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> Handle<'_, K, V> {
        Handle(self.0.pin())
    }
}

impl<K, V> MapHandle<K, V> for Handle<'_, K, V>
where
    K: Clone + Ord + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    #[inline(always)]
    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).cloned()
    }

    #[inline(always)]
    fn insert(&self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value).cloned()
    }

    #[inline(always)]
    fn remove(&self, key: &K) -> Option<V> {
        self.0.remove(key).cloned()
    }

    #[inline(always)]
    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V> {
        self.0.compute_if_present(key, |_, value| Some(change(value))).cloned()
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        self.0.iter().for_each(|(key, value)| visit(key, value));
    }
}
