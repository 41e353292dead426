//! Keys that all have one hash: what an attacker with the hasher's seed would send.
//!
//! ```text
//! cargo run --release -p benches --example one_hash
//! ```
//!
//! No map can tell such keys apart by their hash, so each search is a walk over all that collide,
//! and `n` inserts cost `n * n / 2` comparisons. What differs is the cost of a comparison, and what
//! a map does when a bin will not stop growing: a table that doubles for it doubles without end.
//! flurry turns such a bin into a tree, for which it demands that keys have an order.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use std::hash::{BuildHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

use benches::adapters::{dashmap, flurry, hashmap, papaya, rwlock, scc};
use env::clock::{Clock, MonotonicClock};
use env::fs::{FsExt, OsFs};
use harness::contract::{ConcurrentMap, MapHandle};

/// How many keys collide.
const COUNTS: [u64; 2] = [4_096, 100_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        // Each map in a process of its own: memory that one leaves behind is not another's.
        [name, count] => measure(name, count.parse().expect("a number of keys")),
        _ => measure_all(),
    }
}

fn measure_all() {
    println!("{:<14}{:>9}{:>14}{:>14}{:>12}", "map", "keys", "insert all", "get all", "B/key");
    let program = std::env::current_exe().expect("this program exists");
    for count in COUNTS {
        for (name, _) in MAPS {
            let arguments = [name.to_owned(), count.to_string()];
            let status = Command::new(&program).args(&arguments).status();
            let status = status.expect("this program starts");
            assert!(status.success(), "{name}: {status}");
        }
    }
}

fn measure(name: &str, count: u64) {
    let (_, show) = MAPS.iter().find(|(map, _)| *map == name).expect("a map of this name");
    show(count);
}

/// Measures a map with so many keys.
type Show = fn(u64);

/// Every map, and what measures it.
const MAPS: [(&str, Show); 8] = [
    ("hashmap-word", show_words),
    ("hashmap", show::<hashmap::Map<OneHash, u64>>),
    ("papaya", show::<papaya::Map<OneHash, u64>>),
    ("scc", show::<scc::Map<OneHash, u64>>),
    ("dashmap", show::<dashmap::Map<OneHash, u64>>),
    ("flurry", show::<flurry::Map<OneHash, u64>>),
    ("rwlock-64", show::<rwlock::Sharded64<OneHash, u64>>),
    ("rwlock", show::<rwlock::Single<OneHash, u64>>),
];

/// A key that hashes like every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OneHash(u64);

impl Hash for OneHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(0);
    }
}

fn show<M: ConcurrentMap<OneHash, u64>>(count: u64) {
    let before = rss();
    let map = M::with_capacity(0);
    let handle = map.handle();
    let insert = |key| handle.insert(OneHash(key), key).is_none();
    let insert_ns = timed(count, insert);
    let bytes = rss().saturating_sub(before);
    let get_ns = timed(count, |key| handle.get(&OneHash(key)) == Some(key));
    print(M::NAME, count, [insert_ns, get_ns], bytes);
}

/// A hasher for words that makes nothing of them.
#[derive(Clone, Debug, Default)]
struct Constant;

impl BuildHasher for Constant {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

impl Hasher for Constant {
    fn write(&mut self, _bytes: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}

/// A map of words hashes the words of its keys, so that here the hasher is what collides.
fn show_words(count: u64) {
    let before = rss();
    let map: ::hashmap::WordMap<u64, u64, Constant> = ::hashmap::WordMap::with_hasher(Constant);
    let handle = map.pin();
    let insert_ns = timed(count, |key| handle.insert(key, key).is_none());
    let bytes = rss().saturating_sub(before);
    let get_ns = timed(count, |key| handle.get(key) == Some(key));
    print("hashmap-word", count, [insert_ns, get_ns], bytes);
}

/// Nanoseconds for all keys.
fn timed(count: u64, call: impl Fn(u64) -> bool) -> f64 {
    let clock = MonotonicClock::new();
    for key in 0..count {
        assert!(call(key), "key {key}");
    }
    clock.now().as_nanos() as f64
}

fn print(name: &str, count: u64, [insert_ns, get_ns]: [f64; 2], bytes: u64) {
    let [insert, get] = [insert_ns, get_ns].map(|ns| format!("{:.1} ms", ns / 1e6));
    let each = bytes as f64 / count as f64;
    println!("{name:<14}{count:>9}{insert:>14}{get:>14}{each:>12.0}");
}

/// Bytes of this process in memory.
fn rss() -> u64 {
    let text = OsFs.read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
