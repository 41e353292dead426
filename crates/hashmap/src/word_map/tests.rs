//! Tests of the map of words.

pub(crate) mod model;
#[cfg(not(any(loom, shuttle)))]
mod panics;
#[cfg(shuttle)]
mod schedules;
mod threads;

use harness::contract::{ConcurrentMap, MapHandle};

use super::*;

impl ConcurrentMap<u64, u64> for WordMap<u64, u64> {
    const NAME: &'static str = "hashmap-word";

    type Handle<'a> = WordMapRef<'a, u64, u64>;

    fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity(capacity)
    }

    fn handle(&self) -> WordMapRef<'_, u64, u64> {
        self.pin()
    }
}

impl MapHandle<u64, u64> for WordMapRef<'_, u64, u64> {
    fn get(&self, key: &u64) -> Option<u64> {
        self.get(*key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.insert(key, value)
    }

    fn remove(&self, key: &u64) -> Option<u64> {
        self.remove(*key)
    }

    fn update(&self, key: &u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        self.update(*key, |value| change(&value))
    }

    fn for_each(&self, mut visit: impl FnMut(&u64, &u64)) {
        self.for_each(|key, value| visit(&key, &value));
    }
}

harness::map_suite!(word_map, WordMap<u64, u64>);
