//! Your store. This is the only file that you edit; `cargo study` judges it, stage by stage.
//!
//! Take atomics and locks from `harness::sync`: in a plain build they are those of the standard
//! library, and under the explorer of schedules they are its own. Take files from the `Fs` that you
//! are given: the disk behind it may be one that loses power. What is no stage's point is in
//! `scaffold.rs` and the files beneath it, ready to be used.

use std::path::Path;

use env::fs::Fs;
use harness::sync::Arc;

use crate::scaffold::{Change, Options, Result, Source, Version};
use crate::stage;

/// Stage 1: records in a file, and the end that a crash left.
#[derive(Debug)]
pub struct Log;

impl Log {
    /// Opens a log, makes it where there is none, and returns its records. What lies behind the
    /// last whole one is cut off.
    pub fn open(_fs: &dyn Fs, _path: &Path) -> Result<(Self, Vec<Vec<u8>>)> {
        stage!(1, "read records until one is not whole, and cut the file there")
    }

    /// Writes a record behind the last one.
    pub fn append(&mut self, _record: &[u8]) -> Result<()> {
        stage!(1, "write a record that can be told from half of one")
    }

    /// Makes all records durable.
    pub fn sync(&mut self) -> Result<()> {
        stage!(1, "sync the file")
    }
}

/// Stage 2: the memtable that takes writes, and the one that is on its way to a table.
#[derive(Debug, Default)]
pub struct Memtables;

impl Memtables {
    /// Empty ones.
    pub fn new() -> Self {
        stage!(2, "make an empty memtable")
    }

    /// Inserts a version into the memtable that takes writes; the bytes that this one has now.
    pub fn insert(&self, _version: Version) -> usize {
        stage!(2, "insert a version")
    }

    /// Begins a new memtable; the versions of the one before, which nobody changes any more and
    /// readers go on seeing.
    pub fn freeze(&self) -> Vec<Version> {
        stage!(2, "switch to a new memtable while writers run")
    }

    /// Forgets the frozen memtable: its versions are in a table.
    pub fn forget_frozen(&self) {
        stage!(2, "forget the frozen memtable")
    }

    /// The newest version of a key that is not newer than `sequence`.
    pub fn get(&self, _key: &[u8], _sequence: u64) -> Option<Version> {
        stage!(2, "look for a version in both memtables")
    }

    /// Copies of all versions from a key on: of each memtable, the newer one first.
    pub fn scan(&self, _from: &[u8]) -> Vec<Vec<Version>> {
        stage!(2, "copy both memtables from a key on")
    }
}

/// Stages 3 and 4: sorted versions in a file that never changes.
#[derive(Debug)]
pub struct Table;

impl Table {
    /// Writes a table; it is durable, with its name, when this returns.
    pub fn write(_fs: &dyn Fs, _path: &Path, _versions: Source<'_>) -> Result<()> {
        stage!(3, "write blocks, and behind them an index")
    }

    /// Opens a table: reads its filter and its index, and no block.
    pub fn open(_fs: &dyn Fs, _path: &Path) -> Result<Self> {
        stage!(3, "read the index")
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        stage!(3, "the size of the file")
    }

    /// The newest version of a key that is not newer than `sequence`.
    pub fn get(&self, _key: &[u8], _sequence: u64) -> Result<Option<Version>> {
        stage!(3, "find the block by the index and the version in the block")
    }

    /// All versions from a key on, read block by block as they are asked for.
    pub fn scan(&self, _from: &[u8]) -> Source<'_> {
        stage!(3, "go from block to block")
    }
}

/// Stage 4: a Bloom filter. What is in it, is in the file.
#[derive(Debug)]
pub struct Filter(pub Vec<u8>);

impl Filter {
    /// A filter of keys with these hashes.
    pub fn new(_hashes: &[u64]) -> Self {
        stage!(4, "set some bits for each hash")
    }

    /// Whether a key with this hash may be among them. False is certain.
    pub fn may_hold(&self, _hash: u64) -> bool {
        stage!(4, "look at the same bits")
    }
}

/// Stage 5: all versions of sorted sources in one order.
pub fn merge(_sources: Vec<Source<'_>>) -> Source<'_> {
    stage!(5, "take the smallest head of all sources, again and again")
}

/// Stage 5: what somebody sees who looks at the moment `sequence`.
pub fn visible(
    _versions: Source<'_>,
    _sequence: u64,
) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> {
    std::iter::from_fn(|| stage!(5, "one version of each key, or none"))
}

/// Stage 6: the level that is to be merged into the next one, by the sizes of all tables of each
/// level. Level 1 may have `base` bytes.
pub fn due(_levels: &[Vec<u64>], _base: u64) -> Option<usize> {
    stage!(6, "find the first level that has too much")
}

/// Stage 6: the versions that a merge keeps. Nobody looks at a moment before `oldest`; with
/// `is_bottom` nothing older lies beneath.
pub fn retain(_versions: Source<'_>, _oldest: u64, _is_bottom: bool) -> Source<'_> {
    stage!(6, "leave out what nobody can see")
}

/// Stage 7: the store.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Opens the store in a folder, makes it where there is none, and recovers.
    pub fn open(_fs: Arc<dyn Fs>, _folder: &Path, _options: Options) -> Result<Self> {
        stage!(7, "read the manifest, open its tables, replay the logs")
    }

    /// Makes all changes or none. The last one of a key wins.
    pub fn write(&self, _changes: &[Change<'_>]) -> Result<()> {
        stage!(7, "log, then memtable, then the number that readers go by")
    }

    /// The value of a key.
    pub fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>> {
        stage!(7, "memtables first, then the tables from the newest to the oldest")
    }

    /// At most `limit` entries from a key on, as of one moment.
    pub fn scan(&self, _from: &[u8], _limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        stage!(7, "merge memtables and tables")
    }

    /// Writes the memtable out, and merges what is due.
    pub fn settle(&self) -> Result<()> {
        stage!(7, "switch log and memtable, write the table, change the manifest, merge")
    }

    /// The present moment, to look at for as long as one likes.
    pub fn snapshot(&self) -> Snapshot<'_> {
        stage!(8, "note the moment, so that merges keep what it sees")
    }
}

/// Stage 8: the store as it was at one moment.
#[derive(Debug)]
pub struct Snapshot<'s>(std::marker::PhantomData<&'s Store>);

impl Snapshot<'_> {
    /// The value that a key had.
    pub fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>> {
        stage!(8, "as `Store::get`, at an earlier moment")
    }

    /// At most `limit` of the entries that there were, from a key on.
    pub fn scan(&self, _from: &[u8], _limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        stage!(8, "as `Store::scan`, at an earlier moment")
    }
}
