//! A map whose insert looks first and writes later, caught by its own history.
//!
//! ```text
//! cargo run --release -p harness --example linearizable
//! ```
//!
//! Two threads insert one key. Both may find it absent, which no order of the two explains. The
//! example runs them until that happens and prints what the checker draws.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::HashMap;
use std::sync::{Barrier, Mutex};
use std::thread;

use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::check;
use harness::check::model::{MapCell, MapOp};

/// Runs after which the example gives up.
const TRIES: u32 = 100_000;

/// A map as a beginner writes it: correct alone, wrong together.
#[derive(Default)]
struct RacyMap(Mutex<HashMap<u8, u64>>);

impl RacyMap {
    fn insert(&self, key: u8, value: u64) -> Option<u64> {
        let former = self.0.lock().expect("nobody panics").get(&key).copied();
        // Here the other thread may come in.
        thread::yield_now();
        self.0.lock().expect("nobody panics").insert(key, value);
        former
    }
}

type MapHistory = History<MapOp<u8>, Option<u64>>;

/// Two inserts of one key on two threads, and a read after both.
fn two_inserts() -> MapHistory {
    let (map, recorder, start) = (RacyMap::default(), Recorder::new(), Barrier::new(2));
    let insert = |value: u64| {
        let mut log: Log<MapOp<u8>, Option<u64>> = recorder.log();
        start.wait();
        log.record(MapOp::Insert(7, value), |_| map.insert(7, value));
        log
    };
    let mut logs = thread::scope(|scope| {
        let other = scope.spawn(|| insert(1));
        let here = insert(2);
        vec![here, other.join().expect("nobody panics")]
    });
    let mut log = recorder.log();
    log.record(MapOp::Get(7), |_| map.0.lock().expect("nobody panics").get(&7).copied());
    logs.push(log);
    History::from_logs(logs)
}

fn main() {
    for run in 1..=TRIES {
        let verdict = check(&MapCell::default(), &two_inserts());
        if !verdict.is_linearizable() {
            println!("run {run}:\n{verdict}");
            return;
        }
    }
    println!(
        "{TRIES} runs without a race; schedules that are explored find it at once, see `sync`"
    );
}
