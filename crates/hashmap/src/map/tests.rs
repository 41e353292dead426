//! Tests of the map.

use harness::check::suite::map::Tracked;
use harness::contract::{ConcurrentMap, MapHandle};

use super::*;
use crate::pin;

/// The map as the suite wants it.
struct Judged<V: Send + Sync + 'static>(HashMap<u64, V>);

struct Handle<'a, V: Send + Sync + 'static>(Session<'a, u64, V, RandomState>);

impl<V: Clone + Send + Sync + 'static> ConcurrentMap<u64, V> for Judged<V> {
    const NAME: &'static str = "hashmap";

    type Handle<'a> = Handle<'a, V>;

    fn with_capacity(capacity: usize) -> Self {
        Self(HashMap::with_capacity(capacity))
    }

    fn handle(&self) -> Handle<'_, V> {
        Handle(self.0.session())
    }
}

impl<V: Clone + Send + Sync + 'static> MapHandle<u64, V> for Handle<'_, V> {
    fn get(&self, key: &u64) -> Option<V> {
        self.0.get(key)
    }

    fn insert(&self, key: u64, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    fn remove(&self, key: &u64) -> Option<V> {
        self.0.remove(key)
    }

    fn update(&self, key: &u64, change: impl Fn(&V) -> V) -> Option<V> {
        self.0.update(key, change)
    }

    fn for_each(&self, mut visit: impl FnMut(&u64, &V)) {
        self.0.with(|pinned| pinned.iter().for_each(|(key, value)| visit(key, value)));
    }
}

/// Other tests of this process hold pins as well, so what is due may take some rounds.
impl<V: Send + Sync + 'static> Drop for Judged<V> {
    fn drop(&mut self) {
        for _ in 0..1_000_000 {
            if self.0.garbage() == 0 {
                break;
            }
            pin::collect();
            std::thread::yield_now();
        }
    }
}

harness::map_suite!(suite, Judged<u64>, tracked = Judged<Tracked>);
