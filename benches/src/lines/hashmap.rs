//! Lines of the hash map.
//!
//! Workloads are `<mix>/<keys>/<distribution>/<entries>`: `exchange/u64/zipf/1M`.
//!
//! | mix          | what happens                                                              |
//! |--------------|---------------------------------------------------------------------------|
//! | `read-only`  | reads, half of which find nothing                                         |
//! | `read-heavy` | 98 % reads, 1 % inserts, 1 % removals; every other key is there           |
//! | `exchange`   | 10 % reads, 40 % inserts, 40 % removals, 10 % updates; the same           |
//! | `update`     | 50 % reads, 50 % updates of keys that are there                           |
//! | `grow`       | from empty: 80 % inserts of new keys, 5 % reads and removals, 10 % updates |
//! | `iterate`    | one thread visits all entries again and again, the others update          |
//! | `batch`      | reads in batches of 64: ours has a call for that, the peers have a loop   |
//! | `memory`     | what an entry weighs, in a process of its own, inserted one by one        |
//! | `grow/worst` | the worst single insert on the way to four million, in processor time     |
//! | `grow/reads` | the same of reads, one after each insert, of a key that came a while ago  |
//! | `drop`       | a map is dropped; an entry of it counts as an operation                   |
//! | `one-hash`   | inserts of keys that all have one hash: 4,096 of them, or 100,000         |
//!
//! Maps of the first four mixes and of `batch` are asked for room for their entries before they are
//! filled, as the benchmark does that the mixes come from. Those of a line that ends in `grown`
//! came to their size from empty: they differ where a table that was asked for is in huge pages.
//!
//! All maps hash with the same hasher. A handle (a pin, a guard; a reference where the map has
//! neither) is taken once for some thousand operations, as a peer's documentation advises.

mod growing;
mod mixed;
mod weighed;
mod whole;

use std::marker::PhantomData;

use harness::contract::ConcurrentMap;
use harness::duel::{Contender, Line, Make};
use harness::workload::{KeyDistribution, Mix, Sizes};

use crate::adapters::{
    dashmap, flurry, hashmap, hashmap_word, papaya, rwlock, scc, yours_map as yours,
};

const BUILD: &str = "hashmap";
const OURS: &str = env!("CARGO_PKG_VERSION");

/// The versions of the peers, as in the manifest.
const VERSIONS: [(&str, &str); 6] = [
    ("papaya", "0.2.5"),
    ("scc", "3.8.8"),
    ("dashmap", "6.2.1"),
    ("flurry", "0.5.2"),
    ("rwlock-64", "hashbrown 0.17.1"),
    ("rwlock", "hashbrown 0.17.1"),
];

/// How many entries a line is about: as many as its name says, and few where nothing is measured.
const fn entries(count: u64) -> Sizes {
    let smoke = if count < SMOKE_ENTRIES { count } else { SMOKE_ENTRIES };
    Sizes { smoke, quick: count, full: count }
}

const SMOKE_ENTRIES: u64 = 1_000;

/// What a line does, known when it is compiled, so that nothing is decided while it is measured.
trait Spec: 'static {
    const MIX: Mix;
    const ENTRIES: Sizes;
    const KEYS: KeyDistribution;
    /// Keys that are drawn for each entry that is there: two where every other key is.
    const KEYS_AN_ENTRY: u64;
    /// Whether the map comes to its size from empty and is not asked for room.
    const GROWN: bool = false;
}

/// Makes a type for each line and a list of them.
macro_rules! specs {
    ($($name:ident: $mix:expr, $entries:expr, $keys:ident, $per_entry:expr;)+) => {$(
        struct $name;

        impl Spec for $name {
            const MIX: Mix = $mix;
            const ENTRIES: Sizes = entries($entries);
            const KEYS: KeyDistribution = KeyDistribution::$keys;
            const KEYS_AN_ENTRY: u64 = $per_entry;
        }
    )+};
}

const K: u64 = 1_000;
const M: u64 = 1_000_000;

specs! {
    ReadOnlyUniform1K: Mix::READ_ONLY, K, Uniform, 2;
    ReadOnlyZipf1K: Mix::READ_ONLY, K, ScrambledZipfian, 2;
    ReadOnlyUniform1M: Mix::READ_ONLY, M, Uniform, 2;
    ReadOnlyZipf1M: Mix::READ_ONLY, M, ScrambledZipfian, 2;
    ReadOnlyUniform10M: Mix::READ_ONLY, 10 * M, Uniform, 2;
    ReadHeavyUniform1K: Mix::READ_HEAVY, K, Uniform, 2;
    ReadHeavyZipf1K: Mix::READ_HEAVY, K, ScrambledZipfian, 2;
    ReadHeavyUniform1M: Mix::READ_HEAVY, M, Uniform, 2;
    ReadHeavyZipf1M: Mix::READ_HEAVY, M, ScrambledZipfian, 2;
    ReadHeavyUniform10M: Mix::READ_HEAVY, 10 * M, Uniform, 2;
    ExchangeUniform1K: Mix::EXCHANGE, K, Uniform, 2;
    ExchangeZipf1K: Mix::EXCHANGE, K, ScrambledZipfian, 2;
    ExchangeUniform1M: Mix::EXCHANGE, M, Uniform, 2;
    ExchangeZipf1M: Mix::EXCHANGE, M, ScrambledZipfian, 2;
    ExchangeUniform10M: Mix::EXCHANGE, 10 * M, Uniform, 2;
    UpdateUniform1K: Mix::UPDATE, K, Uniform, 1;
    UpdateZipf1K: Mix::UPDATE, K, ScrambledZipfian, 1;
    UpdateUniform1M: Mix::UPDATE, M, Uniform, 1;
    UpdateZipf1M: Mix::UPDATE, M, ScrambledZipfian, 1;
    UpdateUniform10M: Mix::UPDATE, 10 * M, Uniform, 1;
}

/// The same line with maps that came to their size from empty.
struct Grown<S>(PhantomData<fn() -> S>);

impl<S: Spec> Spec for Grown<S> {
    const MIX: Mix = S::MIX;
    const ENTRIES: Sizes = S::ENTRIES;
    const KEYS: KeyDistribution = S::KEYS;
    const KEYS_AN_ENTRY: u64 = S::KEYS_AN_ENTRY;
    const GROWN: bool = true;
}

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for threads in [1, 2, 4] {
        mixes(threads, &mut lines);
        lines.push(line("grow/u64/new", threads, words(growing::makers)));
    }
    lines.push(line("iterate/u64/uniform/1k", 2, words(mixed::iterating::<UpdateUniform1K>)));
    lines.push(line("read-heavy/str/uniform/1k", 2, strings::<ReadHeavyUniform1K>()));
    lines.push(line("read-heavy/str/uniform/1M", 2, strings::<ReadHeavyUniform1M>()).costly());
    lines.push(line("exchange/str/uniform/1k", 2, strings::<ExchangeUniform1K>()));
    lines.push(line("grow/latency", 1, words(growing::paced_makers)).with_latency(OFFERED));
    lines.push(line("memory/u64/1M", 1, words(weighed::makers::<ReadOnlyUniform1M>)).separate());
    let heavy = line("memory/u64/10M", 1, words(weighed::makers::<ReadOnlyUniform10M>));
    lines.push(heavy.separate().costly().full_only());
    let few = line("one-hash/4k", 1, whole::one_hash());
    lines.push(few.exactly(entries(4_096)));
    let many = line("one-hash/100k", 1, whole::one_hash());
    lines.push(many.exactly(entries(100_000)).costly().full_only());
    let mut growing = words(whole::worst_makers);
    growing.push(whole::floor());
    let worst = line("grow/worst", 1, growing).exactly(entries(4 * M));
    lines.push(worst.separate().costly().full_only());
    let reads = line("grow/reads", 1, words(whole::reading_makers)).exactly(entries(M));
    lines.push(reads.separate().costly());
    let dropping = line("drop/u64/1M", 1, words(whole::dropping_makers)).exactly(entries(M));
    lines.push(dropping.separate().costly());
    for line in &mut lines {
        line.full_only |= line.threads == 4;
    }
    lines
}

/// Inserts a second while their latency is measured.
const OFFERED: u64 = 1_000_000;

fn mixes(threads: usize, lines: &mut Vec<Line>) {
    macro_rules! of {
        ($($workload:literal: $spec:ident, $also:ident;)+) => {$(
            let all = words(mixed::makers::<$spec>);
            lines.push(line($workload, threads, all).$also());
        )+};
    }
    of! {
        "read-only/u64/uniform/1k": ReadOnlyUniform1K, into;
        "read-only/u64/zipf/1k": ReadOnlyZipf1K, into;
        "read-only/u64/uniform/1M": ReadOnlyUniform1M, costly;
        "read-only/u64/zipf/1M": ReadOnlyZipf1M, costly;
        "read-heavy/u64/uniform/1k": ReadHeavyUniform1K, into;
        "read-heavy/u64/zipf/1k": ReadHeavyZipf1K, into;
        "read-heavy/u64/uniform/1M": ReadHeavyUniform1M, costly;
        "read-heavy/u64/zipf/1M": ReadHeavyZipf1M, costly;
        "exchange/u64/uniform/1k": ExchangeUniform1K, into;
        "exchange/u64/zipf/1k": ExchangeZipf1K, into;
        "exchange/u64/uniform/1M": ExchangeUniform1M, costly;
        "exchange/u64/zipf/1M": ExchangeZipf1M, costly;
        "update/u64/uniform/1k": UpdateUniform1K, into;
        "update/u64/zipf/1k": UpdateZipf1K, into;
        "update/u64/uniform/1M": UpdateUniform1M, costly;
        "update/u64/zipf/1M": UpdateZipf1M, costly;
    }
    let mut large = Vec::new();
    macro_rules! large {
        ($($workload:literal: $makers:expr;)+) => {$(
            large.push(line($workload, threads, words($makers)).costly());
        )+};
    }
    large! {
        "read-only/u64/uniform/1M/grown": mixed::makers::<Grown<ReadOnlyUniform1M>>;
        "update/u64/uniform/1M/grown": mixed::makers::<Grown<UpdateUniform1M>>;
        "batch/u64/uniform/1M": mixed::batched::<ReadOnlyUniform1M>;
        "batch/u64/uniform/10M": mixed::batched::<ReadOnlyUniform10M>;
        "read-only/u64/uniform/10M": mixed::makers::<ReadOnlyUniform10M>;
        "read-heavy/u64/uniform/10M": mixed::makers::<ReadHeavyUniform10M>;
        "exchange/u64/uniform/10M": mixed::makers::<ExchangeUniform10M>;
        "update/u64/uniform/10M": mixed::makers::<UpdateUniform10M>;
    }
    for line in &mut large {
        line.full_only = line.workload.ends_with("/10M");
    }
    lines.extend(large);
}

fn line(workload: &'static str, threads: usize, contenders: Vec<Contender>) -> Line {
    Line::new(BUILD, workload, threads, contenders)
}

/// How a line is made for each map of words, in the order of [`words`].
type WordMakers = [Make; 9];

/// The maps from `u64` to `u64`: the learner's where it was judged, and the eight others.
fn words(makers: impl FnOnce() -> WordMakers) -> Vec<Contender> {
    let names = [
        <hashmap_word::Map as ConcurrentMap<u64, u64>>::NAME,
        <hashmap::Map<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <papaya::Map<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <scc::Map<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <dashmap::Map<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <flurry::Map<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <rwlock::Sharded64<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <rwlock::Single<u64, u64> as ConcurrentMap<u64, u64>>::NAME,
        <yours::Map as ConcurrentMap<u64, u64>>::NAME,
    ];
    let all = names.into_iter().zip(makers()).map(|(name, make)| contender(name, make));
    all.filter(|it| it.name != "yours" || yours::is_judged()).collect()
}

fn contender(name: &'static str, make: Make) -> Contender {
    let ours = ["hashmap", "hashmap-word", "yours"].contains(&name);
    let known = VERSIONS.iter().find(|(peer, _)| *peer == name);
    Contender { name, version: known.map_or(OURS, |(_, version)| version), ours, make }
}

/// Instantiates a function that makes a subject for each of the maps.
macro_rules! for_each_map {
    ($make:ident $(, $spec:ty)?) => {
        [
            $make::<$crate::adapters::hashmap_word::Map $(, $spec)?>,
            $make::<$crate::adapters::hashmap::Map<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::papaya::Map<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::scc::Map<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::dashmap::Map<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::flurry::Map<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::rwlock::Sharded64<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::rwlock::Single<u64, u64> $(, $spec)?>,
            $make::<$crate::adapters::yours_map::Map $(, $spec)?>,
        ]
    };
}
use for_each_map;

/// The seven maps from short strings; the map of words has no place for them.
fn strings<S: Spec>() -> Vec<Contender> {
    type Text = Box<str>;
    let makers: [(&'static str, Make); 7] = [
        ("hashmap", mixed::by_text::<hashmap::Map<Text, u64>, S>),
        ("papaya", mixed::by_text::<papaya::Map<Text, u64>, S>),
        ("scc", mixed::by_text::<scc::Map<Text, u64>, S>),
        ("dashmap", mixed::by_text::<dashmap::Map<Text, u64>, S>),
        ("flurry", mixed::by_text::<flurry::Map<Text, u64>, S>),
        ("rwlock-64", mixed::by_text::<rwlock::Sharded64<Text, u64>, S>),
        ("rwlock", mixed::by_text::<rwlock::Single<Text, u64>, S>),
    ];
    makers.into_iter().map(|(name, make)| contender(name, make)).collect()
}
