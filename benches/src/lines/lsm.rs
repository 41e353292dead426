//! Lines of the ordered store.
//!
//! | workload             | what happens                                                            |
//! |----------------------|-------------------------------------------------------------------------|
//! | `fillseq/...`        | new keys in ascending order                                             |
//! | `fillrandom/...`     | new keys in no order                                                    |
//! | `fill-watched/...`   | the same, with the time that each takes: a store pauses for its rewrites  |
//! | `batch-100/...`      | new keys, a hundred in a batch; a key counts as an operation            |
//! | `readrandom/...`     | keys that are there, each as likely as any other                        |
//! | `readmissing/...`    | keys that are not there, between those that are                         |
//! | `scan100/...`        | a hundred entries from a key on; a scan counts as an operation          |
//! | `scan100-hot/...`    | scans from hot keys on, right after as many changes as there are keys   |
//! | `queue/...`          | a key behind all, and the first of all found and removed: one operation |
//! | `settled/...`        | ten thousand new keys, then all work behind them done; a key counts     |
//! | `ycsb-a` to `ycsb-f` | YCSB's mixes over scrambled Zipfian keys, `d` over the latest           |
//! | `...-lz4`            | the same with blocks compressed by LZ4                                  |
//! | `...-tight`          | the same with a fifth of the memory: the data is several times as large |
//! | `...-cold`           | each pass opens the store, whose files are not in memory, and goes on   |
//!
//! What follows is the size of values and what an acknowledged write survives: `os` a kill of the
//! process, `sync` a loss of power as well. Each contender has a process of its own, the same
//! memory for buffers and cache (a fifth for the memtable where there is one), blocks of 4 KiB, ten
//! bits of filter a key, two background threads and no compression. Reading lines begin on a store
//! that was loaded and has settled; all data has been through its files and was read once. Lines of
//! more than two threads and the three variants are for `--full`, or for who asks for them. `redb`
//! and `sled` have no LZ4. A cold pass has a number of operations; to open the store is part of it,
//! since some read there what others read later.
//!
//! At the end each store is settled, and that is timed apart; what it wrote until then and the size
//! of its files are recorded, so that nobody gains by leaving work for later.
//!
//! `lsm-apart` is ours with values of a kilobyte and more kept apart from their keys, on lines
//! that have such values, and `rocksdb-blob` is the same of `RocksDB`. `rocksdb-user-log` leaves
//! its log in the process and `sled` its writes: on `os` lines both survive less than the others.
//!
//! Keys are 16 bytes: five that all share, as keys do in a store of more than one kind of thing,
//! and a number of eleven digits. The data of a reading line is four times the memtable and about
//! fits the cache, or is twenty times the memtable and four times the whole memory where that is
//! tight. Values are half compressible.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::marker::PhantomData;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use env::clock::{Clock, MonotonicClock};
use env::fs::{Fs, OsFs};
use harness::contract::{OrderedStore, StoreSpec, Unsupported};
use harness::duel::{Contender, LatencyLog, Line, Make, OwnFigures, Subject};
use harness::workload::{
    Inserts, KeyDistribution, Mix, Operation, OperationKind, Operations, Size, Sizes, ValueContent,
    ValueSize, Workload, scatter,
};
use tempfile::TempDir;

#[cfg(feature = "rocksdb")]
use crate::adapters::rocksdb;
use crate::adapters::{fjall, lsm, redb, sled, yours_store as yours};

mod terms;
mod works;

use self::terms::{Anew, Cold, Lz4, Os, Synced, Terms, Tight};
use self::works::{
    Ascending, Batches, HotScans, Misses, Queue, Reads, Scans, Scattered, Settled, Watched, YcsbA,
    YcsbB, YcsbC, YcsbD, YcsbE, YcsbF,
};

const BUILD: &str = "lsm";
const OURS: &str = env!("CARGO_PKG_VERSION");
const KEY_LEN: usize = 16;
/// Six bits each, in the order of the bytes.
const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
/// Keys of a batch.
const BATCH: usize = 100;
/// Most threads of a line.
const THREADS: u64 = 4;

/// Entries before the first round of a reading line.
const ENTRIES: Sizes = Sizes { smoke: 1_000, quick: 100_000, full: 2_000_000 };
/// Memory for buffers and caches.
const MEMORY: Sizes = Sizes { smoke: 1 << 20, quick: 16 << 20, full: 320 << 20 };

/// Writes of a pass that fills a store beyond its memory.
const BEYOND: Sizes = Sizes { smoke: 1_000, quick: 100_000, full: 1_000_000 };
/// Operations of a pass on a store that is cold.
const COLD: Sizes = Sizes { smoke: 64, quick: 1_000, full: 10_000 };

/// A line for each row of a table.
macro_rules! lines {
    ($($workload:literal, $threads:literal: $work:ident, $value:literal, $terms:ident;)+) => {
        [$(line($workload, $threads, for_each!($work, $value, $terms))),+]
    };
}

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = Vec::from(lines! {
        "fillseq/100/os", 1: Ascending, 100, Os;
        "fillrandom/100/os", 1: Scattered, 100, Os;
        "fillrandom/100/os", 2: Scattered, 100, Os;
        "fill-watched/100/os", 1: Watched, 100, Os;
        "batch-100/100/os", 1: Batches, 100, Os;
        "readrandom/100/os", 1: Reads, 100, Os;
        "readrandom/100/os", 2: Reads, 100, Os;
        "readmissing/100/os", 1: Misses, 100, Os;
        "scan100/100/os", 1: Scans, 100, Os;
        "scan100-hot/100/os", 1: HotScans, 100, Os;
        "queue/100/os", 1: Queue, 100, Os;
        "settled/100/os", 1: Settled, 100, Os;
        "ycsb-a/100/os", 1: YcsbA, 100, Os;
        "ycsb-b/100/os", 1: YcsbB, 100, Os;
        "ycsb-c/100/os", 1: YcsbC, 100, Os;
        "ycsb-d/100/os", 1: YcsbD, 100, Os;
        "ycsb-e/100/os", 1: YcsbE, 100, Os;
        "ycsb-f/100/os", 1: YcsbF, 100, Os;
        "fillrandom/4k/os", 1: Scattered, 4096, Os;
        "readrandom/4k/os", 1: Reads, 4096, Os;
        "fillrandom/100/sync", 1: Scattered, 100, Synced;
    });
    let dear = lines! {
        "fillrandom/100/os", 4: Scattered, 100, Os;
        "readrandom/100/os", 4: Reads, 100, Os;
        "ycsb-a/100/os", 4: YcsbA, 100, Os;
        "fillrandom/100/sync", 4: Scattered, 100, Synced;
        "settled-lz4/100/os", 1: Settled, 100, Lz4;
        "readrandom-lz4/100/os", 1: Reads, 100, Lz4;
        "scan100-lz4/100/os", 1: Scans, 100, Lz4;
        "fillrandom-tight/100/os", 1: Scattered, 100, Tight;
        "readrandom-tight/100/os", 1: Reads, 100, Tight;
        "scan100-tight/100/os", 1: Scans, 100, Tight;
        "ycsb-a-tight/100/os", 1: YcsbA, 100, Tight;
        "readrandom-cold/100/os", 1: Reads, 100, Cold;
        "scan100-cold/100/os", 1: Scans, 100, Cold;
        "readrandom-cold/4k/os", 1: Reads, 4096, Cold;
    };
    lines.extend(dear.map(Line::full_only));
    lines
}

fn line(workload: &'static str, threads: usize, mut contenders: Vec<Contender>) -> Line {
    contenders.retain(|it| it.name != yours::Store::NAME || yours::is_judged());
    // Small values lie beside their keys either way.
    contenders.retain(|it| it.name != lsm::APART_NAME || workload.contains("4k"));
    let has_codec = |it: &Contender| ![redb::Store::NAME, sled::Store::NAME].contains(&it.name);
    contenders.retain(|it| has_codec(it) || !workload.contains("-lz4"));
    #[cfg(feature = "rocksdb")]
    contenders.retain(|it| match it.name {
        rocksdb::BLOB_NAME => workload.contains("4k"),
        rocksdb::USER_LOG_NAME => workload.ends_with("/os"),
        _ => true,
    });
    let line = Line::new(BUILD, workload, threads, contenders).separate().costly();
    match workload {
        "fillrandom-tight/100/os" => line.exactly(BEYOND),
        _ if workload.contains("-cold") => line.exactly(COLD),
        _ => line,
    }
}

fn contender<S: OrderedStore>(version: &'static str, make: Make) -> Contender {
    let ours = [BUILD, lsm::APART_NAME, yours::Store::NAME].contains(&S::NAME);
    Contender { name: S::NAME, version, ours, make }
}

/// Instantiates a line for each store.
macro_rules! for_each {
    ($work:ident, $value:literal, $terms:ident) => {
        vec![
            contender::<lsm::Store>(OURS, made::<lsm::Store, $work, $value, $terms>),
            contender::<lsm::Store<true>>(OURS, made::<lsm::Store<true>, $work, $value, $terms>),
            contender::<yours::Store>(OURS, made::<yours::Store, $work, $value, $terms>),
            contender::<fjall::Store>("3.1.13", made::<fjall::Store, $work, $value, $terms>),
            contender::<redb::Store>("4.4.0", made::<redb::Store, $work, $value, $terms>),
            contender::<sled::Store>("0.34.7", made::<sled::Store, $work, $value, $terms>),
            #[cfg(feature = "rocksdb")]
            contender::<rocksdb::Store>("0.25.0", made::<rocksdb::Store, $work, $value, $terms>),
            #[cfg(feature = "rocksdb")]
            contender::<rocksdb::Store<{ rocksdb::BLOB }>>(
                "0.25.0",
                made::<rocksdb::Store<{ rocksdb::BLOB }>, $work, $value, $terms>,
            ),
            #[cfg(feature = "rocksdb")]
            contender::<rocksdb::Store<{ rocksdb::USER_LOG }>>(
                "0.25.0",
                made::<rocksdb::Store<{ rocksdb::USER_LOG }>, $work, $value, $terms>,
            ),
        ]
    };
}
use for_each;

/// What the threads of a line do.
trait Work: Send + Sync + 'static {
    /// Whether the store is loaded before.
    const LOADED: bool = true;
    /// The mix of a YCSB line, and whether there is one.
    const MIX: Mix = Mix::READ_ONLY;
    /// Which keys the mix is over.
    const KEYS: KeyDistribution = KeyDistribution::ScrambledZipfian;
    /// How many operations of the mix are done before the first round, for each entry.
    const BEFORE: u64 = 0;

    /// One operation on the `number`th turn of a thread.
    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64;

    /// How many operations a turn counts for.
    const WEIGHT: u64 = 1;
}

/// The part of a subject that belongs to one thread.
struct Turn {
    operations: Operations,
    /// New keys that it has written.
    fresh: u64,
    thread: u64,
    content: ValueContent,
    value: Vec<u8>,
}

impl Turn {
    /// A key that no thread has written before.
    fn next_fresh(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh * THREADS + self.thread
    }

    fn next_value(&mut self) -> &[u8] {
        self.content.fill(&mut self.value);
        &self.value
    }
}

/// A store, and how far each thread has come.
struct Loaded<S> {
    store: S,
    entries: u64,
    turns: Vec<Mutex<Turn>>,
    /// How long operations took, on a line that asks each.
    taken: LatencyLog,
    clock: MonotonicClock,
    folder: TempDir,
    /// How it was opened.
    spec: StoreSpec,
}

/// A store at work.
struct Working<S, W> {
    loaded: Loaded<S>,
    work: PhantomData<fn() -> W>,
}

/// The key of a number whose neighbours lie far apart.
fn scattered(number: u64) -> [u8; KEY_LEN] {
    key(scatter(number))
}

/// The key of a number: what all keys share, and eleven digits that sort as the number does.
fn key(number: u64) -> [u8; KEY_LEN] {
    let mut key = *b"user:...........";
    for (place, digit) in key[5..].iter_mut().rev().enumerate() {
        *digit = DIGITS[(number >> (6 * place) & 63) as usize];
    }
    key
}

fn made<S: OrderedStore + 'static, W: Work, const VALUE: usize, T: Terms>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let spec = T::spec(MEMORY.at(size));
    let store = S::open(folder.path(), &spec).expect("an empty directory can be opened");
    // Large values are fewer, so that all lines hold about as many bytes.
    let entries = ENTRIES.at(size) / (VALUE as u64 / 128 + 1);
    let workload = Workload {
        name: "store",
        seed: 11,
        mix: W::MIX,
        keys: W::KEYS,
        inserts: Inserts::New,
        records: Sizes { smoke: entries, quick: entries, full: entries },
        operations: ENTRIES,
        value: ValueSize::Fixed(u32::try_from(VALUE).expect("values are small")),
        scan_max: 100,
    };
    let turn = |thread| {
        let operations = workload.stream(size, thread, THREADS).expect("the workload is sound");
        let content = ValueContent::new(0.5, thread).expect("a half is a share");
        Mutex::new(Turn { operations, fresh: 0, thread, content, value: vec![0; VALUE] })
    };
    let turns: Vec<_> = (0..THREADS).map(turn).collect();
    let (taken, clock) = (LatencyLog::default(), MonotonicClock::new());
    let loaded = Loaded { store, entries, turns, taken, clock, folder, spec };
    if W::LOADED {
        loaded.load(VALUE);
    }
    loaded.warm_up(W::BEFORE * entries);
    let working = Working::<S, W> { loaded, work: PhantomData };
    Ok(if T::COLD { Box::new(Anew::new(working)) } else { Box::new(working) })
}

impl<S> Loaded<S> {
    /// The store, and all that belongs to it with another in its place.
    fn exchange<T>(self, store: T) -> (S, Loaded<T>) {
        let Self { store: old, entries, turns, taken, clock, folder, spec } = self;
        (old, Loaded { store, entries, turns, taken, clock, folder, spec })
    }
}

impl<S: OrderedStore> Loaded<S> {
    fn load(&self, value_len: usize) {
        let mut content = ValueContent::new(0.5, 99).expect("a half is a share");
        let mut number = 0;
        while number < self.entries {
            let end = (number + 1_000).min(self.entries);
            let entries: Vec<_> =
                (number..end).map(|it| (scattered(it), content.value(value_len))).collect();
            let changes: Vec<(&[u8], Option<&[u8]>)> =
                entries.iter().map(|(key, value)| (&key[..], Some(&value[..]))).collect();
            self.store.write_batch(&changes).expect("there is room on the disk");
            number = end;
        }
        self.store.settle().expect("there is room on the disk");
        // Caches are warm: what is measured is the store, not the first touch of a file.
        for number in 0..self.entries {
            self.get(&scattered(number));
        }
    }

    /// Does some operations of the first thread's mix, and settles nothing.
    fn warm_up(&self, operations: u64) {
        let mut turn = self.turns[0].lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..operations {
            let operation = turn.operations.next_operation();
            self.operate(operation, &mut turn);
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> u64 {
        self.store.put(key, value).expect("there is room on the disk");
        1
    }

    /// New keys in one batch.
    fn put_batch(&self, turn: &mut Turn) -> u64 {
        let keys: [_; BATCH] = std::array::from_fn(|_| scattered(turn.next_fresh()));
        let value = turn.next_value();
        let changes = keys.each_ref().map(|key| (&key[..], Some(value)));
        self.store.write_batch(&changes).expect("there is room on the disk");
        BATCH as u64
    }

    fn get(&self, key: &[u8]) -> u64 {
        let found = self.store.get(key).expect("the disk is well");
        found.map_or(0, |value| value.len() as u64)
    }

    fn scan(&self, key: &[u8], count: usize) -> u64 {
        let mut bytes = 0;
        let visit = |key: &[u8], value: &[u8]| bytes += (key.len() + value.len()) as u64;
        self.store.scan(key, count, visit).expect("the disk is well");
        bytes
    }

    fn operate(&self, operation: Operation, turn: &mut Turn) -> u64 {
        let key = scattered(operation.key);
        match operation.kind {
            OperationKind::Read => self.get(&key),
            OperationKind::Scan => self.scan(&key, operation.length as usize),
            OperationKind::ReadModifyWrite => self.get(&key) + self.put(&key, turn.next_value()),
            _ => self.put(&key, turn.next_value()),
        }
    }
}

/// The sizes of all files in a folder, together.
fn bytes_in(folder: &Path) -> u64 {
    let entries = OsFs.list(folder).expect("the folder is there");
    let paths = entries.iter().map(|it| (folder.join(&it.name), it.is_dir));
    // A store may remove a file between the two looks.
    paths
        .map(|(path, is_dir)| if is_dir { bytes_in(&path) } else { OsFs.size(&path).unwrap_or(0) })
        .sum()
}

impl<S: OrderedStore, W: Work> Subject for Working<S, W> {
    fn run(&self, thread: usize, _: u64, operations: u64) -> u64 {
        let turn = &self.loaded.turns[thread];
        let mut turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = operations.div_ceil(W::WEIGHT);
        (0..turns).fold(0, |sum, _| sum.wrapping_add(W::turn(&self.loaded, &mut turn)))
    }

    fn own_figures(&self) -> OwnFigures {
        let Loaded { store, taken, clock, folder, .. } = &self.loaded;
        let start = clock.now();
        store.settle().expect("there is room on the disk");
        let settle_ns = clock.now().saturating_since(start).as_nanos() as f64;
        let disk = bytes_in(folder.path()) as f64;
        let (settle_ns, disk, latency) = (Some(settle_ns), Some(disk), taken.take());
        OwnFigures { settle_ns, disk, latency, ..OwnFigures::default() }
    }
}
