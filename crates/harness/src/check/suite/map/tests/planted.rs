//! A map in shards, sound or with one bug planted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use crate::contract::{ConcurrentMap, MapHandle};

pub(super) const NOTHING: u8 = 0;
pub(super) const RACY_INSERT: u8 = 1;
pub(super) const RACY_UPDATE: u8 = 2;
pub(super) const RACY_REMOVE: u8 = 3;
pub(super) const LOST_REMOVE: u8 = 4;
pub(super) const STALE_GET: u8 = 5;
pub(super) const WRONG_FORMER: u8 = 6;
pub(super) const UPDATE_CREATES: u8 = 7;
pub(super) const VISIT_SKIPS: u8 = 8;
pub(super) const VISIT_REPEATS: u8 = 9;
pub(super) const LOST_ON_GROWTH: u8 = 10;
pub(super) const LEAKS: u8 = 11;
pub(super) const PANICS: u8 = 12;

type Shard<V> = Mutex<HashMap<u64, V>>;

pub(super) struct Planted<const BUG: u8, V> {
    shards: [Shard<V>; 4],
    /// What the last overwriting insert replaced; only for [`STALE_GET`].
    replaced: Mutex<Option<(u64, V)>>,
    requests: AtomicU64,
}

impl<const BUG: u8, V> Planted<BUG, V> {
    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, V>> {
        self.shards[usize::try_from(key % 4).unwrap()].lock().unwrap()
    }

    /// True for one request in seven.
    fn seldom(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) % 7 == 6
    }
}

impl<const BUG: u8, V: Clone + Send> ConcurrentMap<u64, V> for Planted<BUG, V> {
    const NAME: &'static str = "planted";

    type Handle<'a>
        = &'a Self
    where
        Self: 'a;

    fn with_capacity(_capacity: usize) -> Self {
        let (replaced, requests) = (Mutex::default(), AtomicU64::new(0));
        Self { shards: Default::default(), replaced, requests }
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<const BUG: u8, V: Clone> MapHandle<u64, V> for &Planted<BUG, V> {
    fn get(&self, key: &u64) -> Option<V> {
        if BUG == STALE_GET
            && self.seldom()
            && let Some((replaced, value)) = &*self.replaced.lock().unwrap()
            && replaced == key
        {
            return Some(value.clone());
        }
        self.shard(*key).get(key).cloned()
    }

    fn insert(&self, key: u64, value: V) -> Option<V> {
        if BUG == RACY_INSERT {
            let former = self.shard(key).get(&key).cloned();
            thread::yield_now();
            self.shard(key).insert(key, value);
            return former;
        }
        let mut shard = self.shard(key);
        assert!(BUG != PANICS || key != 7 || shard.len() < 20, "too many entries");
        if BUG == LOST_ON_GROWTH && shard.len() == shard.capacity() && shard.len() > 20 {
            let victim = *shard.keys().next().unwrap();
            shard.remove(&victim);
        }
        let former = shard.insert(key, value);
        match (BUG, &former) {
            (STALE_GET, Some(value)) => {
                *self.replaced.lock().unwrap() = Some((key, value.clone()));
            }
            (LEAKS, Some(value)) => {
                let _leaked: &mut V = Box::leak(Box::new(value.clone()));
            }
            (WRONG_FORMER, _) => return None,
            _ => {}
        }
        former
    }

    fn remove(&self, key: &u64) -> Option<V> {
        match BUG {
            RACY_REMOVE => {
                let former = self.get(key);
                thread::yield_now();
                self.shard(*key).remove(key);
                former
            }
            LOST_REMOVE if self.seldom() => self.get(key),
            _ => self.shard(*key).remove(key),
        }
    }

    fn update(&self, key: &u64, change: impl Fn(&V) -> V) -> Option<V> {
        if BUG == RACY_UPDATE {
            let next = change(&self.get(key)?);
            thread::yield_now();
            self.shard(*key).insert(*key, next.clone());
            return Some(next);
        }
        let mut shard = self.shard(*key);
        if BUG == UPDATE_CREATES && !shard.contains_key(key) {
            let other = shard.values().next().cloned()?;
            shard.insert(*key, other);
        }
        let value = shard.get_mut(key)?;
        *value = change(value);
        Some(value.clone())
    }

    fn for_each(&self, mut visit: impl FnMut(&u64, &V)) {
        for (number, shard) in self.shards.iter().enumerate() {
            let entries = shard.lock().unwrap();
            for (place, (key, value)) in entries.iter().enumerate() {
                if BUG == VISIT_SKIPS && number == 2 && place % 40 == 1 {
                    continue;
                }
                visit(key, value);
                if BUG == VISIT_REPEATS && place == 3 {
                    visit(key, value);
                }
            }
        }
    }
}
