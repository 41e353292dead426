//! The worst single insert while a map grows from empty to four million entries.
//!
//! ```text
//! cargo run --release -p benches --example worst_insert
//! ```
//!
//! Each insert is timed by the processor time of its own thread, not by the wall: a thread that is
//! preempted or a virtual machine that is paused for milliseconds does not show. What does show is
//! work that the map itself does in one call, such as moving a whole table. Reading that clock
//! costs a system call, which is why the small percentiles are those of the clock.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use std::process::Command;

use benches::adapters::{dashmap, flurry, hashmap, hashmap_word, papaya, rwlock, scc};
use harness::contract::{ConcurrentMap, MapHandle};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

/// Entries at the end.
const ENTRIES: u64 = 4_000_000;

/// More than any insert takes: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

fn main() {
    // Each map in a process of its own: what one leaves to be freed must not be another's work.
    match std::env::args().nth(1) {
        Some(name) => measure(&name),
        None => measure_all(),
    }
}

fn measure_all() {
    let head = ["CPU time", "p50", "p99", "p99.9", "p99.99", "max"];
    let [name, p50, p99, p999, p9999, max] = head;
    println!("{name:<14}{p50:>10}{p99:>10}{p999:>10}{p9999:>10}{max:>12}");
    let program = std::env::current_exe().expect("this program exists");
    for (name, _) in MAPS {
        let status = Command::new(&program).arg(name).status().expect("this program starts");
        assert!(status.success(), "{name}: {status}");
    }
}

fn measure(name: &str) {
    let (_, show) = MAPS.iter().find(|(map, _)| *map == name).expect("a map of this name");
    show();
}

/// Every map, and what measures it.
const MAPS: [(&str, fn()); 8] = [
    ("hashmap-word", show::<hashmap_word::Map>),
    ("hashmap", show::<hashmap::Map<u64, u64>>),
    ("papaya", show::<papaya::Map<u64, u64>>),
    ("scc", show::<scc::Map<u64, u64>>),
    ("dashmap", show::<dashmap::Map<u64, u64>>),
    ("flurry", show::<flurry::Map<u64, u64>>),
    ("rwlock-64", show::<rwlock::Sharded64<u64, u64>>),
    ("rwlock", show::<rwlock::Single<u64, u64>>),
];

fn show<M: ConcurrentMap<u64, u64>>() {
    let histogram = grow::<M>();
    let at = |quantile| format!("{} ns", histogram.value_at_quantile(quantile));
    println!(
        "{:<14}{:>10}{:>10}{:>10}{:>10}{:>12}",
        M::NAME,
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        format!("{:.1} us", histogram.max() as f64 / 1e3),
    );
}

fn grow<M: ConcurrentMap<u64, u64>>() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are legal");
    let map = M::with_capacity(0);
    let handle = map.handle();
    for key in 0..ENTRIES {
        let start = cpu_ns();
        let former = handle.insert(key, key);
        histogram.saturating_record(cpu_ns() - start);
        assert!(former.is_none(), "{}: {key} is there already", M::NAME);
    }
    histogram
}

/// Processor time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is not negative");
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).expect("a fraction of a second")
}
