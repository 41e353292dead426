//! A map behind one lock: each operation is atomic because nothing else runs.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::contract::{ConcurrentMap, MapHandle};

/// The standard library's map behind a lock. Operations copy values out and keep no reference.
///
/// `change` and `visit` run while the lock is held, so they must not use the map.
#[derive(Debug)]
pub struct ModelMap<K, V> {
    entries: Mutex<HashMap<K, V>>,
}

impl<K, V> ModelMap<K, V> {
    /// A panic in `change` or `visit` leaves the map as it was, so poison means nothing here.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> ConcurrentMap<K, V> for ModelMap<K, V>
where
    K: Hash + Eq + Send,
    V: Clone + Send,
{
    const NAME: &'static str = "model";

    type Handle<'a>
        = &'a Self
    where
        Self: 'a;

    fn with_capacity(capacity: usize) -> Self {
        Self { entries: Mutex::new(HashMap::with_capacity(capacity)) }
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Hash + Eq, V: Clone> MapHandle<K, V> for &ModelMap<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    fn insert(&self, key: K, value: V) -> Option<V> {
        self.lock().insert(key, value)
    }

    fn remove(&self, key: &K) -> Option<V> {
        self.lock().remove(key)
    }

    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V> {
        let mut entries = self.lock();
        let value = entries.get_mut(key)?;
        *value = change(value);
        Some(value.clone())
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        for (key, value) in &*self.lock() {
            visit(key, value);
        }
    }
}
