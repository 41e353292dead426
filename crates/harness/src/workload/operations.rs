//! Whole workloads, and the stream of operations that each thread works through.

use super::keys::{KeyDistribution, KeyStream};
use super::mix::{Mix, OperationKind};
use super::values::ValueSize;
use super::{Size, Sizes, WorkloadError};
use crate::rng::SplitMix64;

/// Which keys inserts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inserts {
    /// New ones, never used before: the set of keys grows.
    New,
    /// Keys drawn like those of the other operations: inserts and removals of the same keys
    /// balance each other.
    Drawn,
}

/// A workload: everything about a stream of operations except the thread that runs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// Stable name, the first part of the record's path: `ycsb-a`, `read-heavy`.
    pub name: &'static str,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Shares of the operations.
    pub mix: Mix,
    /// How keys are drawn.
    pub keys: KeyDistribution,
    /// Which keys inserts use.
    pub inserts: Inserts,
    /// Records to load before the stream starts: keys `0 .. records`.
    pub records: Sizes,
    /// Operations to run, over all threads.
    pub operations: Sizes,
    /// Lengths of values.
    pub value: ValueSize,
    /// Largest length of a scan; lengths are uniform from 1.
    pub scan_max: u32,
}

/// Records and operations of the YCSB workloads: 1 KB records, so a gigabyte at full size.
const YCSB_RECORDS: Sizes = Sizes { smoke: 1_000, quick: 100_000, full: 1_000_000 };
const YCSB_OPERATIONS: Sizes = Sizes { smoke: 2_000, quick: 200_000, full: 5_000_000 };
const MAP_RECORDS: Sizes = Sizes { smoke: 1_000, quick: 1_000_000, full: 10_000_000 };
const MAP_OPERATIONS: Sizes = Sizes { smoke: 10_000, quick: 4_000_000, full: 50_000_000 };

const fn ycsb(name: &'static str, seed: u64, mix: Mix, keys: KeyDistribution) -> Workload {
    Workload {
        name,
        seed,
        mix,
        keys,
        inserts: Inserts::New,
        records: YCSB_RECORDS,
        operations: YCSB_OPERATIONS,
        value: ValueSize::YCSB_RECORD,
        scan_max: 100,
    }
}

const fn map(name: &'static str, seed: u64, mix: Mix, inserts: Inserts) -> Workload {
    Workload {
        name,
        seed,
        mix,
        keys: KeyDistribution::Uniform,
        inserts,
        records: MAP_RECORDS,
        operations: MAP_OPERATIONS,
        value: ValueSize::Fixed(8),
        scan_max: 1,
    }
}

impl Workload {
    /// YCSB's core workloads A to F.
    pub const YCSB: [Self; 6] = [
        ycsb("ycsb-a", 0xA, Mix::YCSB_A, KeyDistribution::ScrambledZipfian),
        ycsb("ycsb-b", 0xB, Mix::YCSB_B, KeyDistribution::ScrambledZipfian),
        ycsb("ycsb-c", 0xC, Mix::YCSB_C, KeyDistribution::ScrambledZipfian),
        ycsb("ycsb-d", 0xD, Mix::YCSB_D, KeyDistribution::Latest),
        ycsb("ycsb-e", 0xE, Mix::YCSB_E, KeyDistribution::ScrambledZipfian),
        ycsb("ycsb-f", 0xF, Mix::YCSB_F, KeyDistribution::ScrambledZipfian),
    ];

    /// The workloads for maps. Change `keys` for another distribution.
    ///
    /// Where inserts and removals balance, a map that was loaded with all records shrinks to half
    /// of them; load every other one to begin in the steady state.
    pub const MAPS: [Self; 5] = [
        map("read-only", 0x10, Mix::READ_ONLY, Inserts::Drawn),
        map("read-heavy", 0x11, Mix::READ_HEAVY, Inserts::Drawn),
        map("exchange", 0x12, Mix::EXCHANGE, Inserts::Drawn),
        map("grow", 0x13, Mix::RAPID_GROW, Inserts::New),
        map("update", 0x14, Mix::UPDATE, Inserts::Drawn),
    ];

    /// The workload of that name, among [`Workload::YCSB`] and [`Workload::MAPS`].
    pub fn named(name: &str) -> Option<Self> {
        Self::YCSB.into_iter().chain(Self::MAPS).find(|workload| workload.name == name)
    }

    /// The same workload with other keys.
    #[must_use]
    pub const fn with_keys(self, keys: KeyDistribution) -> Self {
        Self { keys, ..self }
    }

    /// The operations of thread `thread` out of `threads`.
    pub fn stream(
        &self,
        size: Size,
        thread: u64,
        threads: u64,
    ) -> Result<Operations, WorkloadError> {
        if thread >= threads {
            return Err(WorkloadError::NoSuchThread { thread, threads });
        }
        self.mix.check()?;
        self.value.check()?;
        if self.scan_max == 0 {
            return Err(WorkloadError::EmptyRange { what: "scan length", low: 1, high: 0 });
        }
        let records = self.records.at(size);
        // Two forks of one generator a thread: the choice of operations and that of keys are
        // independent of each other, and neither shifts when the other changes.
        let mut root = SplitMix64::new(self.seed ^ super::scatter(thread + 1));
        let keys = self.keys.stream(records, root.next_u64())?;
        Ok(Operations {
            workload: *self,
            keys,
            rng: root.fork(),
            records,
            inserted: 0,
            thread,
            threads,
        })
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// What to do.
    pub kind: OperationKind,
    /// The key, or where a scan starts.
    pub key: u64,
    /// Bytes of the value that is written, or records of a scan; zero where neither applies.
    pub length: u32,
}

/// The endless stream of operations of one thread.
///
/// New keys ([`Inserts::New`]) of thread `t` out of `n` are `records + t`, `records + t + n`,
/// `records + t + 2 n`, and so on: no two threads insert the same key. A thread believes that the
/// others insert as fast as it does, so a read of a recent key may miss by as much as one thread
/// is ahead of another; with one thread it never misses.
#[derive(Clone, Debug)]
pub struct Operations {
    workload: Workload,
    keys: KeyStream,
    rng: SplitMix64,
    records: u64,
    inserted: u64,
    thread: u64,
    threads: u64,
}

impl Operations {
    /// The next operation.
    pub fn next_operation(&mut self) -> Operation {
        let kind = self.workload.mix.draw(&mut self.rng);
        let key = match (kind, self.workload.inserts) {
            (OperationKind::Insert, Inserts::New) => self.new_key(),
            _ => self.keys.next_key(),
        };
        Operation { kind, key, length: self.length_of(kind) }
    }

    fn new_key(&mut self) -> u64 {
        let key = self.records + self.inserted * self.threads + self.thread;
        self.inserted += 1;
        self.keys.grow_to(self.records + self.inserted * self.threads);
        key
    }

    fn length_of(&mut self, kind: OperationKind) -> u32 {
        match kind {
            OperationKind::Read | OperationKind::Remove => 0,
            OperationKind::Scan => {
                let longest = u64::from(self.workload.scan_max);
                1 + u32::try_from(self.rng.below(longest)).expect("below a u32")
            }
            OperationKind::Insert
            | OperationKind::Update
            | OperationKind::Upsert
            | OperationKind::ReadModifyWrite => self.workload.value.draw(&mut self.rng),
        }
    }
}

impl Iterator for Operations {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        Some(self.next_operation())
    }
}
