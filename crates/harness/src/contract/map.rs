//! Concurrent maps.

/// A map that many threads change at once.
pub trait ConcurrentMap<K, V>: Send + Sync + Sized {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// What one thread works through: an epoch pin where the map has one, else a reference.
    type Handle<'a>: MapHandle<K, V>
    where
        Self: 'a;

    /// An empty map with room for `capacity` entries; zero lets it grow from its smallest size.
    fn with_capacity(capacity: usize) -> Self;

    /// A handle for the calling thread, held for as many operations as the caller likes.
    fn handle(&self) -> Self::Handle<'_>;
}

/// The operations of a map, each of them atomic.
pub trait MapHandle<K, V> {
    /// A copy of the value of `key`.
    fn get(&self, key: &K) -> Option<V>;

    /// Sets the value of `key` and returns the former one.
    fn insert(&self, key: K, value: V) -> Option<V>;

    /// Removes `key` and returns its value.
    fn remove(&self, key: &K) -> Option<V>;

    /// Replaces the value of `key` by what `change` makes of it, as one atomic step, and returns
    /// the new value; `None`, and nothing changed, where the key is absent. `change` may run more
    /// than once.
    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V>;

    /// Calls `visit` for entries. Each entry that is present from before the call until after it
    /// is visited exactly once; one that comes or goes meanwhile, at most once.
    fn for_each(&self, visit: impl FnMut(&K, &V));
}
