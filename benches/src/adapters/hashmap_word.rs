//! Ours, inline: words as keys and values, in the table itself.

use harness::contract::{ConcurrentMap, MapHandle};
use hashmap::{WordMap, WordMapRef};

use super::Hasher;

/// A map with the shared hasher.
#[derive(Debug)]
pub struct Map(WordMap<u64, u64, Hasher>);

/// One pin for many operations.
#[derive(Debug)]
pub struct Handle<'a>(WordMapRef<'a, u64, u64, Hasher>);

impl ConcurrentMap<u64, u64> for Map {
    const NAME: &'static str = "hashmap-word";

    type Handle<'a> = Handle<'a>;

    fn with_capacity(capacity: usize) -> Self {
        Self(WordMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> Handle<'_> {
        Handle(self.0.pin())
    }
}

impl Handle<'_> {
    /// Adds up the values of `keys`, looked up as one batch; no peer has such a call.
    #[inline(always)]
    pub fn sum_of(&self, keys: &[u64]) -> u64 {
        let values = self.0.get_many(keys);
        values.iter().flatten().fold(0, |sum, value| sum.wrapping_add(*value))
    }
}

impl MapHandle<u64, u64> for Handle<'_> {
    #[inline(always)]
    fn get(&self, key: &u64) -> Option<u64> {
        self.0.get(*key)
    }

    #[inline(always)]
    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.0.insert(key, value)
    }

    #[inline(always)]
    fn remove(&self, key: &u64) -> Option<u64> {
        self.0.remove(*key)
    }

    #[inline(always)]
    fn update(&self, key: &u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        self.0.update(*key, |value| change(&value))
    }

    fn for_each(&self, mut visit: impl FnMut(&u64, &u64)) {
        self.0.for_each(|key, value| visit(&key, &value));
    }
}
