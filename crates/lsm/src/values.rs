//! Large values, kept apart from their keys (Lu et al., "`WiscKey`", FAST 2016).
//!
//! ```text
//!   put ---> log segment 7  [.. key, value ..]         a value is written once, into the log
//!                |      ^
//!   memtable, then tables:  key -> (file 7, offset, length, checksum)
//!                |
//!   the segment is full and flushed:  log/7.wal becomes values/7.values    a new name, no copy
//!                |
//!   too much of it is garbage: merges copy what lives, in the order of the keys, and it goes
//! ```
//!
//! From [`Options::value_threshold`](crate::Options::value_threshold) on, merges move pointers of
//! twenty bytes instead of values. A file is needed for as long as a table or memtable points into
//! it: each table says into which, and for how many bytes, so that nothing has to be counted that a
//! crash could make wrong. Readers hold the files of their tables open, as they hold the tables.
//!
//! What was read of them stays in memory beside the blocks: `values/recent.rs`.
//!
//! Files are named by the segment that they were; those that merges write, by their table, with the
//! top bit set.

mod recent;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crossbeam_epoch::Guard;
use env::fs::{File, Fs, FsErrorKind, OpenMode};
use parking_lot::{Mutex, RwLock};
use wal::{Fate, Position};

use self::recent::Recent;
use crate::cache::Cache;
use crate::codec::{Put, Taker};
use crate::planted::planted;
use crate::table::TableMeta;
use crate::{Error, Result, resident};

/// Set in the numbers of files that merges write.
pub(crate) const BY_MERGE: u64 = 1 << 63;
/// Values are written in pieces of about this size.
const PIECE: usize = 1 << 20;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) file: u64,
    offset: u32,
    len: u32,
    sum: u32,
}

impl Pointer {
    /// What a pointer takes in the place of its value.
    pub(crate) const LEN: usize = 20;

    /// To a value within a record of the log; both are slices of one buffer.
    pub(crate) fn into_log(at: Position, record: &[u8], value: &[u8]) -> Self {
        let within = value.as_ptr().addr() - record.as_ptr().addr();
        debug_assert!(within + value.len() <= record.len(), "the value lies in the record");
        let short = |it: usize| u32::try_from(it).expect("a segment is below four gigabytes");
        let (offset, len) = (at.bytes_at() + short(within), short(value.len()));
        Self { file: at.segment, offset, len, sum: crc32c::crc32c(value) }
    }

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.put_u64(self.file);
        for word in [self.offset, self.len, self.sum] {
            bytes.put_u32(word);
        }
        bytes.try_into().expect("these are twenty bytes")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Taker(bytes);
        let (file, offset, len, sum) = (from.u64()?, from.u32()?, from.u32()?, from.u32()?);
        from.is_empty().then_some(Self { file, offset, len, sum })
    }

    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.len)
    }
}

/// A file with values, open.
#[derive(Debug)]
pub(crate) struct ValueFile {
    pub(crate) number: u64,
    file: Box<dyn File>,
}

impl ValueFile {
    pub(crate) fn read(&self, pointer: Pointer) -> Result<Vec<u8>> {
        let corrupt = || {
            let (path, offset) = (self.file.path().to_owned(), u64::from(pointer.offset));
            Error::Corrupt { path, offset, what: "value" }
        };
        let mut value = vec![0; pointer.len as usize];
        self.file.read_exact_at(&mut value, u64::from(pointer.offset))?;
        if crc32c::crc32c(&value) == pointer.sum { Ok(value) } else { Err(corrupt()) }
    }
}

/// The files with values of a store.
#[derive(Debug)]
pub(crate) struct Values {
    fs: Arc<dyn Fs>,
    log: PathBuf,
    folder: PathBuf,
    /// Those that somebody holds open.
    open: RwLock<BTreeMap<u64, Weak<ValueFile>>>,
    /// Those of them that are part of the log, held for readers of memtables.
    in_log: Mutex<BTreeMap<u64, Arc<ValueFile>>>,
    /// The sizes of those that are no part of the log.
    sizes: Mutex<BTreeMap<u64, u64>>,
    recent: Recent,
}

/// The file of a number.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.values"))
}

/// The number of a file name, `None` for other files.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".values").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Values {
    /// Of the store in a folder; changes nothing.
    pub(crate) fn new(fs: Arc<dyn Fs>, store: &Path, cache: &Arc<Cache>) -> Result<Self> {
        let (log, folder) = (store.join("log"), store.join("values"));
        let mut sizes = BTreeMap::new();
        if fs.exists(&folder)? {
            for entry in fs.list(&folder)? {
                if let Some(number) = entry.name.to_str().and_then(number) {
                    sizes.insert(number, fs.size(&folder.join(&entry.name))?);
                }
            }
        }
        let (open, in_log, sizes) = (RwLock::default(), Mutex::default(), Mutex::new(sizes));
        let recent = Recent::new(Arc::clone(cache));
        Ok(Self { fs, log, folder, open, in_log, sizes, recent })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file, to be held open.
    pub(crate) fn open(&self, number: u64) -> Result<Arc<ValueFile>> {
        if let Some(file) = self.open.read().get(&number).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let file = Arc::new(ValueFile { number, file: self.find(number)? });
        let mut open = self.open.write();
        open.retain(|_, it| it.strong_count() > 0);
        open.insert(number, Arc::downgrade(&file));
        if file.file.path().starts_with(&self.log) {
            self.in_log.lock().insert(number, Arc::clone(&file));
        }
        Ok(file)
    }

    fn find(&self, number: u64) -> Result<Box<dyn File>> {
        let (old, new) = (wal::segment_path(&self.log, number), path(&self.folder, number));
        // It may leave the log between two looks, and never comes back.
        for path in [&new, &old, &new] {
            match self.fs.open(path, OpenMode::READ) {
                Err(cause) if cause.kind == FsErrorKind::NotFound => {}
                outcome => return Ok(outcome?),
            }
        }
        Ok(self.fs.open(&new, OpenMode::READ)?)
    }

    /// The value of an entry, from memory where it is there. Whoever asks holds the table or
    /// memtable that it comes from, and this its files.
    pub(crate) fn get<'g>(&self, entry: &[u8], guard: &'g Guard) -> Result<Cow<'g, [u8]>> {
        let pointer = self.pointer(entry)?;
        match self.recent.get(pointer, guard) {
            Some(value) => Ok(Cow::Borrowed(value)),
            None => Ok(self.recent.keep(pointer, self.load(pointer)?, guard)),
        }
    }

    /// The same for who reads each value once, and keeps none.
    pub(crate) fn read(&self, entry: &[u8]) -> Result<Vec<u8>> {
        self.load(self.pointer(entry)?)
    }

    #[inline]
    fn pointer(&self, entry: &[u8]) -> Result<Pointer> {
        Pointer::decode(entry).ok_or_else(|| {
            let path = self.folder.clone();
            Error::Corrupt { path, offset: 0, what: "pointer to a value" }
        })
    }

    #[cold]
    fn load(&self, pointer: Pointer) -> Result<Vec<u8>> {
        resident::may_read_disk()?;
        self.open(pointer.file)?.read(pointer)
    }

    /// What becomes of a segment that no memtable needs, of this size.
    pub(crate) fn fate(&self, segment: u64, size: u64, needed: &BTreeSet<u64>) -> Fate {
        self.in_log.lock().remove(&segment);
        if needed.contains(&segment) && !planted!(ValuesWrittenOver) {
            self.sizes.lock().insert(segment, size);
            return Fate::Move(path(&self.folder, segment));
        }
        // What somebody still reads, for an old iterator, must not be written over.
        let is_held = self.open.read().get(&segment).is_some_and(|it| it.strong_count() > 0);
        if is_held { Fate::Remove } else { Fate::Recycle }
    }

    /// The largest number of a segment that became a file of values.
    pub(crate) fn last_segment(&self) -> Option<u64> {
        self.sizes.lock().range(..BY_MERGE).next_back().map(|it| *it.0)
    }

    /// Removes the files that nobody points into. `needed` tells which these are not, and is asked
    /// after the look at what there is: a segment that a flush brings in between is left alone.
    pub(crate) fn sweep(&self, needed: impl FnOnce() -> BTreeSet<u64>) -> Result<()> {
        let there: Vec<u64> = self.sizes.lock().keys().copied().collect();
        let needed = needed();
        for number in there.into_iter().filter(|it| !needed.contains(it)) {
            self.fs.remove_file(&path(&self.folder, number))?;
            self.sizes.lock().remove(&number);
        }
        Ok(())
    }

    /// Whether there are none, but for what the log has.
    pub(crate) fn is_empty(&self) -> bool {
        self.sizes.lock().is_empty()
    }

    /// All bytes of the files, and the files of which more than so many in a hundred are garbage
    /// when tables point to so many bytes of each.
    pub(crate) fn garbage(&self, live: &BTreeMap<u64, u64>, percent: u64) -> Garbage {
        let sizes = self.sizes.lock();
        let mut garbage = Garbage::default();
        let dead = |number: &u64, size: u64| size - live.get(number).map_or(0, |it| size.min(*it));
        for (number, &size) in sizes.iter() {
            garbage.bytes += size;
            garbage.dead += dead(number, size);
            if dead(number, size) * 100 > size * percent {
                garbage.files.insert(*number);
            }
        }
        garbage
    }
}

/// What files of values hold in vain.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) bytes: u64,
    pub(crate) dead: u64,
    /// Those that are worth to be collected.
    pub(crate) files: BTreeSet<u64>,
}

impl Garbage {
    /// How many in a hundred bytes are garbage.
    pub(crate) fn share(&self) -> u64 {
        self.dead * 100 / self.bytes.max(1)
    }
}

/// How many bytes of each file tables point to.
pub(crate) fn pointed<'a>(metas: impl Iterator<Item = &'a TableMeta>) -> BTreeMap<u64, u64> {
    let mut pointed = BTreeMap::new();
    for (file, bytes) in metas.flat_map(|it| &it.values) {
        *pointed.entry(*file).or_default() += bytes;
    }
    pointed
}

/// Writes the values that a merge moves, for one table.
#[derive(Debug)]
pub(crate) struct ValueBuilder {
    file: Box<dyn File>,
    number: u64,
    pending: Vec<u8>,
    offset: u32,
}

impl ValueBuilder {
    /// Begins the file that belongs to a table.
    pub(crate) fn new(values: &Values, table: u64) -> Result<Self> {
        let number = BY_MERGE | table;
        let file = values.fs.open(&path(&values.folder, number), OpenMode::TRUNCATE)?;
        Ok(Self { file, number, pending: Vec::new(), offset: 0 })
    }

    /// Whether another value fits.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        u32::try_from(self.bytes() + len as u64).is_ok()
    }

    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.offset) + self.pending.len() as u64
    }

    /// Writes a value behind the last one. There must be room.
    pub(crate) fn add(&mut self, value: &[u8]) -> Result<Pointer> {
        let offset = u32::try_from(self.bytes()).expect("the caller asked for room");
        let len = u32::try_from(value.len()).expect("a value is below four gigabytes");
        self.pending.extend_from_slice(value);
        if self.pending.len() >= PIECE {
            self.write()?;
        }
        Ok(Pointer { file: self.number, offset, len, sum: crc32c::crc32c(value) })
    }

    fn write(&mut self) -> Result<()> {
        self.file.write_all_at(&self.pending, u64::from(self.offset))?;
        self.offset += u32::try_from(self.pending.len()).expect("the caller asked for room");
        self.pending.clear();
        Ok(())
    }

    /// Makes the file durable, apart from its name.
    pub(crate) fn finish(mut self, values: &Values) -> Result<()> {
        self.write()?;
        self.file.sync_data()?;
        values.sizes.lock().insert(self.number, u64::from(self.offset));
        Ok(())
    }

    /// Removes the file again.
    pub(crate) fn discard(values: &Values, table: u64) {
        let number = BY_MERGE | table;
        values.fs.remove_file(&path(&values.folder, number)).ok();
        values.sizes.lock().remove(&number);
    }
}
