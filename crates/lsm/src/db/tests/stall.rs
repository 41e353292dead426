//! Writers that are faster than the work behind them: what piles up stays within its bounds, and
//! when they end it is worked off.

use std::sync::atomic::AtomicBool;
use std::thread;

use env::clock::{Clock, MonotonicClock};
use harness::sim::SimDisk;

use super::*;

const WRITERS: u64 = 3;
const WRITES: u64 = 3_000;

#[test]
fn writers_who_are_too_fast_are_held_up() {
    let options = Options {
        memtable_size: 8 << 10,
        background: Background::Threads,
        // So small that each entry is merged many times, which is what they are to be faster than.
        table_size: 1 << 10,
        ..tiny()
    };
    let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
    let (is_over, clock) = (AtomicBool::new(false), MonotonicClock::new());
    let (runs, full) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || {
                    for number in 0..WRITES {
                        let key = (number * WRITERS + writer).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        db.put(&key.to_be_bytes(), &[7; 100]).expect("the disk is well");
                    }
                })
            })
            .collect();
        let watcher = scope.spawn(|| {
            let (mut runs, mut full) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                let state = db.core().all_families()[0].share();
                runs = runs.max(state.version.level(0).len());
                full = full.max(state.immutables.len());
            }
            (runs, full)
        });
        for writer in writers {
            writer.join().expect("no write fails");
        }
        is_over.store(true, Ordering::Relaxed);
        watcher.join().expect("it only looks")
    });
    let stats = db.stats();
    assert!(stats.slowed > 0 && stats.stalls > 0, "they were not too fast: {stats}");
    let waited = [stats.stall_time, stats.slowed_time];
    assert!(waited.iter().all(|it| !it.is_zero()), "they waited: {stats}");
    let lived = Duration::from_nanos(clock.now().as_nanos() * WRITERS);
    assert!(waited.iter().sum::<Duration>() <= lived, "no longer than they lived: {stats}");
    // Memtables that were full already follow those that fill the level.
    let (memtables, runs_max) = (options.memtables.get(), db.core().runs_max());
    assert!(runs <= runs_max + memtables, "{runs} runs, at most {runs_max}");
    assert!(full < memtables, "{full} memtables wait, {memtables} may be");
    db.settle().expect("the disk is well");
    let left = db.stats().levels[0].0;
    assert!(left < options.level0_tables, "{left} runs are left");
    assert_eq!(db.iter().count() as u64, WRITERS * WRITES);
}
