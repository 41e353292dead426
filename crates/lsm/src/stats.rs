//! What a store tells of itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};

use crate::cache::Cache;
use crate::run::Run;
use crate::table::{Table, TableMeta};
use crate::tally::Met;
use crate::version::{LEVELS, Version};

/// Counts since the store was opened. Each is one relaxed addition, nothing is reached through it.
/// What readers meet is counted elsewhere: `tally.rs`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    changes: AtomicU64,
    bytes: AtomicU64,
    stalls: AtomicU64,
    stall_ns: AtomicU64,
    slowed: AtomicU64,
    slowed_ns: AtomicU64,
    flushes: AtomicU64,
    flushed_bytes: AtomicU64,
    merges: AtomicU64,
    merged_bytes: AtomicU64,
    moves: AtomicU64,
}

/// A writer that waits; when it goes on, what it waited is counted.
#[derive(Debug)]
pub(crate) struct Stall<'a> {
    counters: &'a Counters,
    /// Begun with the stall.
    clock: MonotonicClock,
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        add(&self.counters.stall_ns, self.clock.now().as_nanos());
    }
}

fn add(counter: &AtomicU64, value: u64) {
    // Relaxed: a count.
    counter.fetch_add(value, Ordering::Relaxed);
}

impl Counters {
    /// Only by the one who holds the writer's lock, so that no addition is lost.
    #[inline]
    pub(crate) fn written(&self, changes: u64, bytes: usize) {
        // Relaxed, all: counts. Plain stores are cheaper, and there is one writer.
        let plus = |counter: &AtomicU64, value: u64| {
            counter.store(counter.load(Ordering::Relaxed) + value, Ordering::Relaxed);
        };
        plus(&self.changes, changes);
        plus(&self.bytes, bytes as u64);
    }

    /// A writer begins to wait, for as long as it holds what this returns.
    #[must_use]
    pub(crate) fn stall(&self) -> Stall<'_> {
        add(&self.stalls, 1);
        Stall { counters: self, clock: MonotonicClock::new() }
    }

    pub(crate) fn slowed(&self, delay: Duration) {
        add(&self.slowed, 1);
        add(&self.slowed_ns, u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn flushed(&self, bytes: u64) {
        add(&self.flushes, 1);
        add(&self.flushed_bytes, bytes);
    }

    pub(crate) fn merged(&self, bytes: u64) {
        add(&self.merges, 1);
        add(&self.merged_bytes, bytes);
    }

    pub(crate) fn moved(&self) {
        add(&self.moves, 1);
    }

    pub(crate) fn read(&self) -> Stats {
        // Relaxed: counts.
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            changes: get(&self.changes),
            change_bytes: get(&self.bytes),
            stalls: get(&self.stalls),
            stall_time: Duration::from_nanos(get(&self.stall_ns)),
            slowed: get(&self.slowed),
            slowed_time: Duration::from_nanos(get(&self.slowed_ns)),
            flushes: get(&self.flushes),
            flushed_bytes: get(&self.flushed_bytes),
            merges: get(&self.merges),
            merged_bytes: get(&self.merged_bytes),
            moves: get(&self.moves),
            ..Stats::default()
        }
    }
}

/// A table of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// Its number, which is in the name of its file.
    pub number: u64,
    /// The level on which it is.
    pub level: usize,
    /// The number of its run: tables of one run do not overlap, and a larger one is newer.
    pub run: u64,
    /// The length of its file in bytes.
    pub size: u64,
    /// Entries in it, older versions and tombstones included.
    pub entries: u64,
    /// Its smallest key.
    pub smallest: Vec<u8>,
    /// Its largest key.
    pub largest: Vec<u8>,
}

impl TableInfo {
    /// The tables of a version, from the first level down.
    pub(crate) fn all(version: &Version) -> Vec<Self> {
        let info = |level: usize, run: &Run, table: &Table| {
            let TableMeta { number, size, entries, smallest, largest, .. } = table.meta.clone();
            Self { number, level, run: run.number(), size, entries, smallest, largest }
        };
        let runs =
            (0..LEVELS).flat_map(|level| version.level(level).iter().map(move |it| (level, it)));
        runs.flat_map(|(level, run)| run.tables().iter().map(move |it| info(level, run, it)))
            .collect()
    }
}

/// What a store holds and did. Sizes are in bytes; counts are since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Changes that were made.
    pub changes: u64,
    /// What they took in memtables.
    pub change_bytes: u64,
    /// How often a writer had to wait for a flush or a merge.
    pub stalls: u64,
    /// How long they waited, all together.
    pub stall_time: Duration,
    /// How many writes waited for microseconds, so that none has to wait for longer.
    pub slowed: u64,
    /// How long they waited, all together.
    pub slowed_time: Duration,
    /// Memtables that were written out.
    pub flushes: u64,
    /// What was written for them.
    pub flushed_bytes: u64,
    /// Merges of tables.
    pub merges: u64,
    /// What was written for them.
    pub merged_bytes: u64,
    /// Tables that went down a level as they were.
    pub moves: u64,
    /// Blocks that readers found in the cache. Merges read past it and are not counted, here and
    /// below.
    pub block_hits: u64,
    /// Blocks that readers had to read from a file.
    pub block_misses: u64,
    /// Values apart that readers found in the cache.
    pub value_hits: u64,
    /// Values apart that readers had to read from a file.
    pub value_misses: u64,
    /// How often a filter spared a reader the look into a table.
    pub filtered: u64,
    /// How often a reader looked into a table whose filter let a key through that is not there.
    pub filtered_in_vain: u64,
    /// Memory of the memtables.
    pub memtable_bytes: usize,
    /// Memory of cached blocks and values apart.
    pub cached_bytes: usize,
    /// Memory of filters and indexes.
    pub pinned_bytes: usize,
    /// Snapshots that are held.
    pub snapshots: usize,
    /// For each level the number of tables and their size.
    pub levels: Vec<(usize, u64)>,
    /// Why the work behind the writes does not get on, if it does not.
    pub failure: Option<String>,
}

impl Stats {
    /// Adds what a cache holds and what its readers met.
    pub(crate) fn with(self, cache: &Cache) -> Self {
        let met = |what| cache.tally.sum(what);
        Self {
            block_hits: met(Met::BlockHit),
            block_misses: met(Met::BlockMiss),
            value_hits: met(Met::ValueHit),
            value_misses: met(Met::ValueMiss),
            filtered: met(Met::Filtered),
            filtered_in_vain: met(Met::FilteredInVain),
            cached_bytes: cache.used(),
            pinned_bytes: cache.pinned(),
            ..self
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(f, "written     {} changes, {:.1} MiB", self.changes, mib(self.change_bytes))?;
        let flushed = mib(self.flushed_bytes);
        writeln!(f, "flushed     {} memtables, {flushed:.1} MiB", self.flushes)?;
        let merged = mib(self.merged_bytes);
        writeln!(f, "merged      {} times, {merged:.1} MiB, {} moves", self.merges, self.moves)?;
        let Self { stalls, stall_time, slowed, slowed_time, .. } = self;
        write!(f, "stalls      {stalls} for {stall_time:.1?}, ")?;
        writeln!(f, "{slowed} writes slowed for {slowed_time:.1?}")?;
        let share = |hits: u64, misses: u64| 100.0 * hits as f64 / (hits + misses).max(1) as f64;
        for (what, hits, misses) in [
            ("blocks", self.block_hits, self.block_misses),
            ("values", self.value_hits, self.value_misses),
        ] {
            let percent = share(hits, misses);
            writeln!(f, "{what}      {hits} hits, {misses} misses ({percent:.1} % hits)")?;
        }
        let Self { filtered, filtered_in_vain, .. } = self;
        writeln!(f, "filters     {filtered} tables spared, {filtered_in_vain} looked at in vain")?;
        let sizes = [self.memtable_bytes, self.cached_bytes, self.pinned_bytes].map(|it| it as u64);
        let [memtables, cached, pinned] = sizes.map(mib);
        write!(f, "memory      {memtables:.1} MiB memtables, {cached:.1} MiB blocks, ")?;
        writeln!(f, "{pinned:.1} MiB filters and indexes")?;
        writeln!(f, "snapshots   {}", self.snapshots)?;
        for (level, (tables, bytes)) in self.levels.iter().enumerate().filter(|it| it.1.0 > 0) {
            writeln!(f, "level {level}     {tables} tables, {:.1} MiB", mib(*bytes))?;
        }
        match &self.failure {
            Some(cause) => writeln!(f, "failing     {cause}"),
            None => Ok(()),
        }
    }
}
