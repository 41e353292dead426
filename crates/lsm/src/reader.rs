//! A store that is only looked at: no file is made, changed, locked or removed.

use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_epoch as epoch;
use env::fs::{Fs, FsErrorKind, OsFs};

use crate::batch::{self, FamilyId};
use crate::cache::Cache;
use crate::db::{DEFAULT, State, insert, open_families};
use crate::iter::Iter;
use crate::manifest;
use crate::meaning::Meaning;
use crate::memtable::Memtable;
use crate::range::Range;
use crate::stamp::Sequence;
use crate::values::Values;
use crate::{Error, Options, Result, TableInfo};

/// So often a store is looked at anew that another process changes meanwhile.
const ATTEMPTS: usize = 10;

/// A store as it was when it was opened to be read.
///
/// Several may look at one store, also while a [`Db`](crate::Db) has it open, in another process
/// too. What is written later they do not see. For a store that is being written, a checkpoint is
/// the better thing to read: there is nothing to wait for, and nobody overtakes the look.
///
/// ```
/// # let folder = tempfile::tempdir().expect("the temporary directory is writable");
/// # let folder = folder.path();
/// let db = lsm::Db::open(folder, lsm::Options::default())?;
/// db.put(b"lemon", b"yellow")?;
/// let reader = lsm::Reader::open(folder, &lsm::Options::default())?;
/// assert_eq!(reader.get(b"lemon")?.as_deref(), Some(&b"yellow"[..]));
/// # Ok::<(), lsm::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    families: BTreeMap<String, Arc<State>>,
    sequence: Sequence,
    meaning: Arc<Meaning>,
    fs: Arc<dyn Fs>,
    folder: PathBuf,
}

impl Reader {
    /// Looks at the store in a directory. Of the options, memory, merge operator and clock count.
    pub fn open(folder: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Self::open_on(&(Arc::new(OsFs) as Arc<dyn Fs>), folder.as_ref(), options)
    }

    /// The same on another file system, such as a simulated one.
    pub fn open_on(fs: &Arc<dyn Fs>, folder: &Path, options: &Options) -> Result<Self> {
        options.check()?;
        if !fs.exists(&folder.join("manifest"))? {
            return Err(Error::Missing(folder.to_owned()));
        }
        let mut outcome = look(fs, folder, options);
        // A table that the manifest names may be merged away before it is opened.
        for _ in 1..ATTEMPTS {
            match &outcome {
                Err(Error::Fs(cause)) if cause.kind == FsErrorKind::NotFound => {}
                Err(Error::Corrupt { .. }) => {}
                _ => break,
            }
            outcome = look(fs, folder, options);
        }
        outcome
    }

    /// The names of all families.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.families.keys().map(String::as_str)
    }

    /// A copy of the value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_in(DEFAULT, key)
    }

    /// [`Reader::get`] in a family; `None` also where there is no family of this name.
    pub fn get_in(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(state) = self.families.get(family) else { return Ok(None) };
        let guard = epoch::pin();
        let value = state.value(key, self.sequence, &self.meaning, &guard)?;
        Ok(value.map(std::borrow::Cow::into_owned))
    }

    /// An iterator over the entries whose keys are in a range.
    pub fn range<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Iter {
        self.range_in(DEFAULT, range)
    }

    /// [`Reader::range`] in a family; empty where there is none of this name.
    pub fn range_in<'k>(&self, family: &str, range: impl RangeBounds<&'k [u8]>) -> Iter {
        self.iter_in(family, Range::of(&range))
    }

    /// An iterator over the entries of a family whose keys begin with these bytes; empty where
    /// there is no such family.
    pub fn prefix_in(&self, family: &str, prefix: &[u8]) -> Iter {
        self.iter_in(family, Range::of_prefix(prefix))
    }

    fn iter_in(&self, family: &str, range: Range) -> Iter {
        let state = self.families.get(family).map(Arc::clone).unwrap_or_default();
        state.iter(range, self.sequence, Arc::clone(&self.meaning))
    }

    /// The tables of a family, from the first level down; none where there is no such family.
    pub fn tables_in(&self, family: &str) -> Vec<TableInfo> {
        self.families.get(family).map_or_else(Vec::new, |it| TableInfo::all(&it.version))
    }

    /// Reads everything again and checks it: every record of manifest and log, every byte of each
    /// table, and the values to which it points.
    ///
    /// The last record of manifest or log is not found to be damaged: it looks like one that a
    /// crash interrupted, and [`Db::verify`](crate::Db::verify) knows better. Earlier ones are,
    /// also such as were never synced: then a loss of power may have torn them, and an opening of
    /// the store leaves out what follows.
    pub fn verify(&self) -> Result<()> {
        self.verify_records("manifest")?;
        self.verify_records("log")?;
        let mut tables = self.families.values().flat_map(|it| it.version.tables());
        tables.try_for_each(|(_, table)| table.verify())
    }

    fn verify_records(&self, part: &str) -> Result<()> {
        let folder = self.folder.join(part);
        let mut damage = None;
        // A segment may be used again, and a record be written, while it is read.
        for _ in 0..ATTEMPTS {
            let gap = match wal::salvage(&*self.fs, &folder, |_, _| ()) {
                Err(wal::Error::Fs(cause)) if cause.kind == FsErrorKind::NotFound => continue,
                outcome => outcome?.gaps.into_iter().next(),
            };
            let Some(gap) = gap else { return Ok(()) };
            damage = Some(Error::Corrupt {
                path: wal::segment_path(&folder, gap.from.segment),
                offset: gap.from.offset.into(),
                what: "a record before others",
            });
        }
        damage.map_or(Ok(()), Err)
    }
}

fn look(fs: &Arc<dyn Fs>, folder: &Path, options: &Options) -> Result<Reader> {
    let facts = manifest::peek(&**fs, &folder.join("manifest"))?;
    let cache = Cache::new(options.cache_size);
    let values = Arc::new(Values::new(Arc::clone(fs), folder, &cache)?);
    let tables = folder.join("tables");
    let opened = open_families(&**fs, &tables, &facts, &cache, &values, options)?;
    let mut states: BTreeMap<FamilyId, (String, State)> = BTreeMap::new();
    for family in opened {
        states.insert(family.id, (family.name.clone(), (*family.share()).clone()));
    }
    let flushed = |id: &FamilyId| facts.families.get(id).and_then(|it| it.flushed);
    let (mut sequence, mut failure) = (facts.sequence, None);
    let log = folder.join("log");
    wal::peek(&**fs, &log, |at, record| {
        let Some((first, changes)) = batch::decode(record) else {
            let offset = u64::from(at.offset);
            failure =
                Some(Error::Corrupt { path: log.clone(), offset, what: "a batch of the log" });
            return;
        };
        for (number, change) in (first..).zip(&changes) {
            sequence = sequence.max(number);
            if let Some((_, state)) = states.get_mut(&change.family)
                && flushed(&change.family).is_none_or(|it| it <= at)
            {
                let bytes = Memtable::span(change.key.len(), change.value.len());
                if !state.memtable.has_room(bytes) {
                    state.begin_memtable(options.memtable_size.max(bytes) + 64, at);
                }
                insert(&state.memtable, number, change, options.place(at, record));
            }
        }
    })?;
    if let Some(cause) = failure {
        return Err(cause);
    }
    let families = states.into_values().map(|(name, state)| (name, Arc::new(state))).collect();
    let meaning = Arc::new(Meaning::new(options, values));
    Ok(Reader { families, sequence, meaning, fs: Arc::clone(fs), folder: folder.to_owned() })
}
