//! What the threads of a line do, one type each.

use env::clock::Clock;
use harness::contract::OrderedStore;
use harness::workload::{KeyDistribution, Mix, scatter};

use super::{BATCH, KEY_LEN, Loaded, Turn, Work, key, scattered};

/// Entries of a scan.
const SCAN: usize = 100;
/// Keys that are in a queue.
const BACKLOG: u64 = 1_000;
/// Keys that are written before a store settles.
const SETTLED: usize = 10_000;

pub(super) struct Ascending;
pub(super) struct Scattered;
pub(super) struct Watched;
pub(super) struct Batches;
pub(super) struct Reads;
pub(super) struct Misses;
pub(super) struct Scans;

impl Work for Ascending {
    const LOADED: bool = false;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let key = key(turn.next_fresh());
        store.put(&key, turn.next_value())
    }
}

impl Work for Scattered {
    const LOADED: bool = false;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let key = scattered(turn.next_fresh());
        store.put(&key, turn.next_value())
    }
}

impl Work for Watched {
    const LOADED: bool = false;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let key = scattered(turn.next_fresh());
        let value = turn.next_value();
        let start = store.clock.now();
        let written = store.put(&key, value);
        let taken = store.clock.now().saturating_since(start);
        store.taken.add([u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX)]);
        written
    }
}

impl Work for Batches {
    const LOADED: bool = false;
    const WEIGHT: u64 = BATCH as u64;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        store.put_batch(turn)
    }
}

impl Work for Reads {
    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let number = scatter(turn.next_fresh()) % store.entries;
        store.get(&scattered(number))
    }
}

impl Work for Misses {
    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let number = store.entries + turn.next_fresh();
        1 + store.get(&scattered(number))
    }
}

impl Work for Scans {
    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let number = scatter(turn.next_fresh()) % store.entries;
        store.scan(&scattered(number), SCAN)
    }
}

pub(super) struct HotScans;
pub(super) struct Queue;
pub(super) struct Settled;

/// After a fill of half as many changes as reads, hot keys have many versions in memory.
impl Work for HotScans {
    const MIX: Mix = Mix::YCSB_A;
    const BEFORE: u64 = 2;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let operation = turn.operations.next_operation();
        store.scan(&scattered(operation.key), SCAN)
    }
}

/// Whoever takes from a queue looks from its beginning, where all is removed already.
impl Work for Queue {
    const LOADED: bool = false;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let last = key(turn.next_fresh());
        store.put(&last, turn.next_value());
        if turn.fresh <= BACKLOG {
            return 1;
        }
        let mut first = None;
        let visit = |key: &[u8], _: &[u8]| first = key.first_chunk::<KEY_LEN>().copied();
        store.store.scan(&key(0), 1, visit).expect("the disk is well");
        let first = first.expect("the queue has a backlog");
        store.store.delete(&first).expect("there is room on the disk");
        u64::from(first[KEY_LEN - 1])
    }
}

impl Work for Settled {
    const LOADED: bool = false;
    const WEIGHT: u64 = SETTLED as u64;

    fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
        let written = (0..SETTLED / BATCH).map(|_| store.put_batch(turn)).sum();
        store.store.settle().expect("there is room on the disk");
        written
    }
}

macro_rules! ycsb {
    ($($name:ident: $mix:ident over $keys:ident;)+) => {$(
        pub(super) struct $name;

        impl Work for $name {
            const MIX: Mix = Mix::$mix;
            const KEYS: KeyDistribution = KeyDistribution::$keys;

            fn turn<S: OrderedStore>(store: &Loaded<S>, turn: &mut Turn) -> u64 {
                let operation = turn.operations.next_operation();
                store.operate(operation, turn)
            }
        }
    )+};
}

ycsb! {
    YcsbA: YCSB_A over ScrambledZipfian;
    YcsbB: YCSB_B over ScrambledZipfian;
    YcsbC: YCSB_C over ScrambledZipfian;
    YcsbD: YCSB_D over Latest;
    YcsbE: YCSB_E over ScrambledZipfian;
    YcsbF: YCSB_F over ScrambledZipfian;
}
