//! The store, as its users see it.

mod attempt;
mod copy;
mod core;
mod garbage;
mod ingest;
mod open;
mod output;
mod pace;
mod read;
mod removals;
mod work;
mod write;

use std::borrow::Cow;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_epoch as epoch;
use env::fs::{Fs, OsFs};

use self::copy::By;
pub use self::copy::Copied;
pub(crate) use self::core::State;
use self::core::{Core, FamilyCore};
pub use self::ingest::Ingest;
pub(crate) use self::open::{DEFAULT, open_families};
use self::work::Duty;
pub(crate) use self::write::insert;
use crate::batch::{Change, FamilyId};
use crate::iter::Iter;
use crate::options::Background;
use crate::planted::planted;
use crate::range::Range;
use crate::stamp::{Kind, Sequence};
use crate::stats::{Stats, TableInfo};
use crate::sync::thread::{self, JoinHandle};
use crate::version::LEVELS;
use crate::{Batch, Error, Isolation, Options, Result, Transaction};

/// An open store.
///
/// Threads share it by reference. Its methods for keys are those of the family that is always
/// there; [`Db::family`] opens others. When the last handle goes, threads end and the directory is
/// free; nothing has to be closed, and nothing is lost if that never happens.
///
/// ```
/// use lsm::{Db, Options};
///
/// # let folder = tempfile::tempdir().expect("the temporary directory is writable");
/// let db = Db::open(folder.path(), Options::default())?;
/// db.put(b"lemon", b"yellow")?;
/// let before = db.snapshot();
/// db.put(b"lemon", b"green")?;
/// assert_eq!(db.get(b"lemon")?.as_deref(), Some(&b"green"[..]));
/// assert_eq!(before.get(b"lemon")?.as_deref(), Some(&b"yellow"[..]));
/// # Ok::<(), lsm::Error>(())
/// ```
#[derive(Debug)]
pub struct Db {
    default: Family,
}

/// A part of a store with keys of its own (RocksDB's column family). Batches may change several.
///
/// A copy is another handle of the same family.
#[derive(Clone, Debug)]
pub struct Family {
    handle: Arc<Handle>,
    core: Arc<FamilyCore>,
}

/// A moment of a store. What it sees stays until it is dropped.
#[derive(Debug)]
pub struct Snapshot {
    default: Family,
    sequence: Sequence,
}

/// What keeps a store open.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    fn new(core: Arc<Core>) -> Self {
        let mut threads = Vec::new();
        if core.options.background == Background::Threads {
            for duty in [Duty::Flush, Duty::Compact] {
                core.work.lock().busy += 1;
                let core = Arc::clone(&core);
                threads.push(thread::spawn(move || {
                    // A writer that is woken while both processors flush and merge would wait for
                    // the end of a turn: that was most of the longest pauses of a fill.
                    env::priority::stand_back();
                    core.serve(duty);
                }));
            }
        }
        Self { core, threads }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        {
            let mut work = self.core.work.lock();
            work.is_ending = true;
            self.core.call(&mut work);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; the log has everything.
            thread.join().ok();
        }
    }
}

impl Db {
    /// Opens the store in a directory, which is made where it is missing.
    ///
    /// Takes as long as it takes to read the log and the filters and indexes of all tables. The log
    /// holds about what was not in tables yet, [`Options::memtables`] of them for each family at
    /// most, and some segments more where there are families that are seldom written.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_on(Arc::new(OsFs), folder.as_ref(), options)
    }

    /// The same on another file system, such as a simulated one.
    pub fn open_on(fs: Arc<dyn Fs>, folder: &Path, options: Options) -> Result<Self> {
        let core = open::open(fs, folder, options)?;
        let default = core.all_families().swap_remove(0);
        let handle = Arc::new(Handle::new(core));
        Ok(Self { default: Family { handle, core: default } })
    }

    /// Sets the value of a key.
    #[inline]
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.default.put(key, value)
    }

    /// A copy of the value of a key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.default.get(key)
    }

    /// Removes a key, present or not.
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.default.delete(key)
    }

    /// Changes the value of a key by an operand, without reading it: what comes of it,
    /// [`Options::merge_operator`] says when it is read.
    pub fn merge(&self, key: &[u8], operand: &[u8]) -> Result<()> {
        self.default.merge(key, operand)
    }

    /// Sets the value of a key for some time; then the key is absent.
    pub fn put_for(&self, key: &[u8], value: &[u8], time: Duration) -> Result<()> {
        self.default.put_for(key, value, time)
    }

    /// Removes all keys from `start` on and below `end`, at the cost of one change.
    pub fn delete_range(&self, start: &[u8], end: &[u8]) -> Result<()> {
        self.default.delete_range(start, end)
    }

    /// Makes all changes of a batch, or none. The batch is as it was, to be cleared or used again.
    pub fn write(&self, batch: &mut Batch) -> Result<()> {
        self.core().commit(batch)
    }

    /// Copies of the values of several keys, all of one moment.
    pub fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.default.get_many(keys)
    }

    /// An iterator over all entries, as of now.
    pub fn iter(&self) -> Iter {
        self.default.iter()
    }

    /// An iterator over the entries whose keys are in a range.
    pub fn range<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Iter {
        self.default.range(range)
    }

    /// An iterator over the entries whose keys begin with these bytes.
    pub fn prefix(&self, prefix: &[u8]) -> Iter {
        self.default.prefix(prefix)
    }

    /// The present moment, to read from later.
    pub fn snapshot(&self) -> Snapshot {
        let core = self.core();
        let sequence = core.snapshots.take(|| core.visible());
        Snapshot { default: self.default.clone(), sequence }
    }

    /// Begins a transaction, which reads from this moment on.
    pub fn transaction(&self, isolation: Isolation) -> Transaction {
        Transaction::new(self.snapshot(), isolation)
    }

    /// Sets a key to `new`, or removes it where that is `None`, if it has the value `expected`, or
    /// is absent where that is `None`. Returns whether it was so.
    pub fn compare_and_set(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool> {
        self.default.compare_and_set(key, expected, new)
    }

    /// Begins to bring in sorted entries; see [`Family::ingest`].
    pub fn ingest(&self) -> Ingest {
        self.default.ingest()
    }

    /// The family that is always there.
    pub fn default_family(&self) -> &Family {
        &self.default
    }

    /// The family of this name, which is made where there is none.
    pub fn family(&self, name: &str) -> Result<Family> {
        let core = self.core().open_family(name)?;
        Ok(Family { handle: Arc::clone(&self.default.handle), core })
    }

    /// The names of all families.
    pub fn families(&self) -> Vec<String> {
        self.core().all_families().iter().map(|it| it.name.clone()).collect()
    }

    /// Takes a family away with all that it holds; what is written to it later is refused. The one
    /// that is always there cannot be dropped.
    pub fn drop_family(&self, family: &Family) -> Result<()> {
        self.default.require_same_store(family)?;
        if family.id() == 0 {
            return Err(Error::DefaultFamily);
        }
        self.core().drop_family(family.id())
    }

    /// Makes durable everything that was written before the call, whatever the options say.
    pub fn sync(&self) -> Result<()> {
        Ok(self.core().log.sync()?)
    }

    /// Writes all memtables out and waits until no merge is due.
    pub fn settle(&self) -> Result<()> {
        let core = self.core();
        {
            let _writer = (!planted!(FrozenUnlocked)).then(|| core.writer.lock());
            for family in &core.all_families() {
                if !family.share().memtable.is_empty() {
                    core.switch(family, 0);
                }
            }
        }
        core.wait_until_idle()
    }

    /// Merges everything that there is, so that each family lies on one level. For before a long
    /// time of reading; the store does what is needed by itself.
    pub fn compact(&self) -> Result<()> {
        self.settle()?;
        let core = self.core();
        core.all_families().iter().try_for_each(|family| core.compact_all(family))
    }

    /// Makes `folder` a copy of the store as it is now, by links where the file system allows: at
    /// the cost of a flush, whatever the size. Readers and writers go on meanwhile. The copy is a
    /// store like any other once it is opened; until then it can be made anew.
    pub fn checkpoint(&self, folder: impl AsRef<Path>) -> Result<Copied> {
        self.core().copy_to(folder.as_ref(), By::Link)
    }

    /// Makes `folder` a copy of the store as it is now, by bytes: it may be on another disk. Made
    /// anew, it takes only the tables that it does not have, and where that is interrupted it
    /// is the copy that it was. To restore, open it, or a copy of it.
    pub fn backup(&self, folder: impl AsRef<Path>) -> Result<Copied> {
        self.core().copy_to(folder.as_ref(), By::Bytes)
    }

    /// Reads everything and checks it: every record of manifest and log, every byte of each table,
    /// and the values to which it points.
    pub fn verify(&self) -> Result<()> {
        let core = self.core();
        core.manifest.lock().verify()?;
        core.log.verify()?;
        for family in core.all_families() {
            let version = Arc::clone(&family.share().version);
            version.tables().try_for_each(|(_, table)| table.verify())?;
        }
        Ok(())
    }

    /// What the store holds and did.
    pub fn stats(&self) -> Stats {
        let core = self.core();
        let mut stats = core.counters.read().with(&core.cache);
        stats.levels = vec![(0, 0); LEVELS];
        for family in core.all_families() {
            let state = family.share();
            stats.memtable_bytes += state.memory();
            for (level, table) in state.version.tables() {
                stats.levels[level].0 += 1;
                stats.levels[level].1 += table.meta.size;
            }
        }
        stats.snapshots = core.snapshots.count();
        stats.failure = core.work.lock().failure.as_ref().map(ToString::to_string);
        stats
    }

    fn core(&self) -> &Arc<Core> {
        &self.default.handle.core
    }
}

impl Family {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    pub(crate) fn id(&self) -> FamilyId {
        self.core.id
    }

    pub(crate) fn core(&self) -> &Arc<FamilyCore> {
        &self.core
    }

    pub(crate) fn shared_core(&self) -> &Arc<Core> {
        &self.handle.core
    }

    /// Families of all stores have the same numbers.
    #[inline]
    pub(crate) fn require_same_store(&self, other: &Self) -> Result<()> {
        if Arc::ptr_eq(&self.handle, &other.handle) { Ok(()) } else { Err(Error::Foreign) }
    }

    /// Sets the value of a key.
    #[inline]
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(&Change { kind: Kind::Value, family: self.id(), key, value })
    }

    /// Removes a key, present or not.
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.change(&Change { kind: Kind::Tombstone, family: self.id(), key, value: &[] })
    }

    /// Changes the value of a key by an operand, without reading it: what comes of it,
    /// [`Options::merge_operator`] says when it is read. Refused where there is none.
    pub fn merge(&self, key: &[u8], operand: &[u8]) -> Result<()> {
        if !self.handle.core.meaning.has_operator() {
            return Err(Error::NoMergeOperator);
        }
        self.change(&Change { kind: Kind::Operand, family: self.id(), key, value: operand })
    }

    /// Sets the value of a key for some time, by the clock of [`Options::clock`]; then the key is
    /// absent, also for snapshots. Its space comes back with the merges that follow.
    pub fn put_for(&self, key: &[u8], value: &[u8], time: Duration) -> Result<()> {
        let mut batch = Batch::new();
        let until = self.handle.core.meaning.now().saturating_add(time);
        batch.put_until_in(self, key, value, until)?;
        self.handle.core.commit(&mut batch)
    }

    /// Removes all keys from `start` on and below `end`, at the cost of one change. Their space
    /// comes back with the merges that follow, and at once for tables that hold nothing else.
    pub fn delete_range(&self, start: &[u8], end: &[u8]) -> Result<()> {
        self.change(&Change { kind: Kind::Removal, family: self.id(), key: start, value: end })
    }

    /// Begins to bring in entries that come in the order of their keys: as tables, so that each is
    /// written once, and where the range was empty never again.
    ///
    /// Values stay with their keys, whatever [`Options::value_threshold`] says.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().expect("the temporary directory is writable");
    /// # let db = lsm::Db::open(folder.path(), lsm::Options::default())?;
    /// let mut ingest = db.ingest();
    /// for number in 0..1_000_u32 {
    ///     ingest.put(&number.to_be_bytes(), b"value")?;
    /// }
    /// assert_eq!(ingest.finish()?, 1_000);
    /// # assert_eq!(db.get(&7_u32.to_be_bytes())?.as_deref(), Some(&b"value"[..]));
    /// # Ok::<(), lsm::Error>(())
    /// ```
    pub fn ingest(&self) -> Ingest {
        Ingest::new(self.clone())
    }

    #[inline]
    fn change(&self, change: &Change<'_>) -> Result<()> {
        let mut batch = Batch::new();
        batch.push(change)?;
        self.handle.core.commit(&mut batch)
    }

    /// Sets a key to `new`, or removes it where that is `None`, if it has the value `expected`, or
    /// is absent where that is `None`. Returns whether it was so. Other writers wait meanwhile.
    pub fn compare_and_set(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool> {
        let mut batch = Batch::new();
        match new {
            Some(value) => batch.put_in(self, key, value)?,
            None => batch.delete_in(self, key)?,
        }
        let core = &self.handle.core;
        let differs = || {
            let guard = epoch::pin();
            let found = core.value(&self.core, key, None, &guard)?;
            Ok((found.as_deref() != expected).then_some(()))
        };
        Ok(core.commit_unless(&mut batch, differs)?.is_none())
    }

    /// A copy of the value of a key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        Ok(self.handle.core.value(&self.core, key, None, &guard)?.map(Cow::into_owned))
    }

    /// Calls `read` with the value of a key, without a copy where it was put as it is.
    #[inline]
    pub fn get_with<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let guard = epoch::pin();
        Ok(self.handle.core.value(&self.core, key, None, &guard)?.map(|it| read(&it)))
    }

    /// Copies of the values of several keys, all of one moment.
    pub fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.handle.core.values(&self.core, keys, None)
    }

    /// An iterator over all entries, as of now.
    pub fn iter(&self) -> Iter {
        self.handle.core.iter(&self.core, Range::default(), None)
    }

    /// Its tables, from the first level down.
    pub fn tables(&self) -> Vec<TableInfo> {
        TableInfo::all(&self.core.share().version)
    }

    /// About how many bytes of tables hold the keys of a range, to a block for each table. What is
    /// in memory is not counted, and what was overwritten or removed is until it is merged away.
    pub fn approximate_size<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> u64 {
        let Range { lower, upper } = Range::of(&range);
        let state = self.core.share();
        let tables = state.version.tables();
        tables.map(|(_, table)| table.bytes_between(&lower, upper.as_deref())).sum()
    }

    /// An iterator over the entries whose keys are in a range.
    pub fn range<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Iter {
        self.handle.core.iter(&self.core, Range::of(&range), None)
    }

    /// An iterator over the entries whose keys begin with these bytes. With
    /// [`Options::prefix_len`] it does without tables that have none.
    pub fn prefix(&self, prefix: &[u8]) -> Iter {
        self.handle.core.iter(&self.core, Range::of_prefix(prefix), None)
    }
}

impl Snapshot {
    pub(crate) fn default_family(&self) -> &Family {
        &self.default
    }

    pub(crate) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// A copy of the value that a key had.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_in(&self.default, key)
    }

    /// [`Snapshot::get`] in a family.
    pub fn get_in(&self, family: &Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.default.require_same_store(family)?;
        let guard = epoch::pin();
        let core = &family.handle.core;
        Ok(core.value(&family.core, key, Some(self.sequence), &guard)?.map(Cow::into_owned))
    }

    /// An iterator over the entries that there were.
    pub fn iter(&self) -> Iter {
        self.iter_in(&self.default)
    }

    /// [`Snapshot::iter`] in a family.
    pub fn iter_in(&self, family: &Family) -> Iter {
        self.range_in(family, ..)
    }

    /// An iterator over the entries of a family that there were in a range. For a family of another
    /// store it gives [`Error::Foreign`] wherever it is led.
    pub fn range_in<'k>(&self, family: &Family, range: impl RangeBounds<&'k [u8]>) -> Iter {
        let iter = family.handle.core.iter(&family.core, Range::of(&range), Some(self.sequence));
        if self.default.require_same_store(family).is_ok() { iter } else { iter.refused() }
    }
}

impl IntoIterator for &Db {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl IntoIterator for &Family {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl IntoIterator for &Snapshot {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.default.handle.core.snapshots.give_back(self.sequence);
    }
}

#[cfg(test)]
mod tests;
