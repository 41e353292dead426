//! What most people write first: hashbrown behind reader-writer locks, one of them or 64.
//!
//! Not crates but lines that a reader can place the others by; on few processors they are hard to
//! beat.

use std::hash::{BuildHasher, Hash};

use harness::contract::{ConcurrentMap, MapHandle};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

use super::Hasher;

/// A table under a lock, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<K, V>(RwLock<HashTable<(K, V)>>);

/// `SHARDS` tables, a power of two. A key is hashed once, for the shard and for its table.
#[derive(Debug)]
pub struct Sharded<K, V, const SHARDS: usize> {
    hasher: Hasher,
    shards: Box<[Shard<K, V>]>,
}

/// One lock for all.
pub type Single<K, V> = Sharded<K, V, 1>;

/// 64 locks.
pub type Sharded64<K, V> = Sharded<K, V, 64>;

impl<K: Hash, V, const SHARDS: usize> Sharded<K, V, SHARDS> {
    /// The table of a hash. It looks at the lowest bits itself and at the seven highest; the ones
    /// between choose the shard.
    #[inline(always)]
    fn table(&self, hash: u64) -> &RwLock<HashTable<(K, V)>> {
        if SHARDS == 1 {
            return &self.shards[0].0;
        }
        let index = (hash << 7) >> (u64::BITS - SHARDS.trailing_zeros());
        &self.shards[usize::try_from(index).expect("below the number of shards")].0
    }
}

impl<K, V, const SHARDS: usize> ConcurrentMap<K, V> for Sharded<K, V, SHARDS>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const NAME: &'static str = if SHARDS == 1 { "rwlock" } else { "rwlock-64" };

    type Handle<'a> = &'a Self;

    fn with_capacity(capacity: usize) -> Self {
        let each = capacity.div_ceil(SHARDS);
        let shard = |_| Shard(RwLock::new(HashTable::with_capacity(each)));
        Self { hasher: Hasher::default(), shards: (0..SHARDS).map(shard).collect() }
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K, V, const SHARDS: usize> MapHandle<K, V> for &Sharded<K, V, SHARDS>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    #[inline(always)]
    fn get(&self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let table = self.table(hash).read();
        table.find(hash, |(held, _)| held == key).map(|(_, value)| value.clone())
    }

    #[inline(always)]
    fn insert(&self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        let mut table = self.table(hash).write();
        match table.entry(hash, |(held, _)| *held == key, |(held, _)| self.hasher.hash_one(held)) {
            Entry::Occupied(mut entry) => Some(std::mem::replace(&mut entry.get_mut().1, value)),
            Entry::Vacant(entry) => {
                entry.insert((key, value));
                None
            }
        }
    }

    #[inline(always)]
    fn remove(&self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let mut table = self.table(hash).write();
        let entry = table.find_entry(hash, |(held, _)| held == key).ok()?;
        Some(entry.remove().0.1)
    }

    #[inline(always)]
    fn update(&self, key: &K, change: impl Fn(&V) -> V) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let mut table = self.table(hash).write();
        let (_, value) = table.find_mut(hash, |(held, _)| held == key)?;
        *value = change(value);
        Some(value.clone())
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            shard.0.read().iter().for_each(|(key, value)| visit(key, value));
        }
    }
}
