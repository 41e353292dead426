//! What becomes of the values: each is dropped, once, in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use crate::check::suite::together::together;
use crate::check::suite::{Examination, Mismatch};
use crate::contract::{ConcurrentMap, MapHandle};
use crate::rng::SplitMix64;
use crate::workload::scatter;

/// A value that counts how many of it are alive: those made and copied, less those dropped.
#[derive(Debug)]
pub struct Tracked {
    alive: Arc<AtomicI64>,
}

impl Tracked {
    /// One more of those that `alive` counts.
    pub fn new(alive: &Arc<AtomicI64>) -> Self {
        // Relaxed, here and below: a count that is read after the threads were joined.
        alive.fetch_add(1, Ordering::Relaxed);
        Self { alive: Arc::clone(alive) }
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        Self::new(&self.alive)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Times that a map is given the processor to finish deferred reclamation.
const PATIENCE: u32 = 2_000;

/// Threads overwrite, update and remove values; then the map is dropped. After that none is alive,
/// and none was dropped twice. Maps that reclaim later may take their time to do it.
pub fn drops_every_value<M: ConcurrentMap<u64, Tracked>>(examination: &mut Examination) {
    examination.begin("drops_every_value");
    let seed = examination.seed();
    examination.once("4 threads", || {
        let alive = Arc::new(AtomicI64::new(0));
        let map = M::with_capacity(0);
        together(4, |thread| {
            let mut rng = SplitMix64::new(seed ^ scatter(u64::from(thread) + 1));
            for _ in 0..5_000 {
                let handle = map.handle();
                let key = rng.below(300);
                drop(match rng.below(4) {
                    0 | 1 => handle.insert(key, Tracked::new(&alive)),
                    2 => handle.update(&key, Tracked::clone),
                    _ => handle.remove(&key),
                });
            }
        });
        let mut entries = 0_i64;
        map.handle().for_each(|_key, _value| entries += 1);
        let before = alive.load(Ordering::Relaxed);
        if before < entries {
            let expected = format!("{entries} values in as many entries");
            return Err(Mismatch::new(expected, format!("{before} alive: one was dropped twice")));
        }
        drop(map);
        for _ in 0..PATIENCE {
            if alive.load(Ordering::Relaxed) == 0 {
                return Ok(());
            }
            thread::yield_now();
        }
        let left = alive.load(Ordering::Relaxed);
        Err(Mismatch::new("no value alive after the map is dropped", format!("{left}")))
    });
}
