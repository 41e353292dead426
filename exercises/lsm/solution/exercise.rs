//! The teaching solution: each stage as short as it can honestly be.

use std::mem;
use std::path::Path;

use env::fs::{File, Fs, FsExt, OpenMode};
use harness::sync::atomic::{AtomicU64, Ordering};
use harness::sync::{Arc, Mutex, RwLock};

use crate::scaffold::{
    BLOCK_BYTES, Change, Decode, Encode, Error, Files, LEVEL_RATIO, LEVEL0_TABLES, Levels,
    Memtable, Moment, Moments, Options, Part, Parts, PartsWriter, Result, Source, Version,
    checksum, folder, hash, source, versions,
};

/// Stage 1: records in a file, and the end that a crash left.
///
/// ```text
///   record   | checksum: u32 | length: u32 | bytes ... |
/// ```
///
/// The checksum covers the length as well: a tail of zeros must not be taken for empty records.
#[derive(Debug)]
pub struct Log {
    file: Box<dyn File>,
    end: u64,
    /// Something failed, and what is on the disk is not known.
    has_failed: bool,
}

impl Log {
    /// Opens a log, makes it where there is none, and returns its records. What lies behind the
    /// last whole one is cut off.
    pub fn open(fs: &dyn Fs, path: &Path) -> Result<(Self, Vec<Vec<u8>>)> {
        let file = fs.open(path, OpenMode::OPEN_OR_CREATE)?;
        let bytes = fs.read(path)?;
        let (mut rest, mut records) = (&bytes[..], Vec::new());
        while let Some(record) = take_record(&mut rest) {
            records.push(record.to_vec());
        }
        let end = (bytes.len() - rest.len()) as u64;
        // Durably: a later record must not make whole again what stands behind it.
        file.set_len(end)?;
        file.sync_data()?;
        fs.sync_dir(folder(path))?;
        Ok((Self { file, end, has_failed: false }, records))
    }

    /// Writes a record behind the last one.
    pub fn append(&mut self, record: &[u8]) -> Result<()> {
        let mut body = Vec::new();
        body.put_bytes(record);
        let mut bytes = checksum(&body).to_le_bytes().to_vec();
        bytes.extend(body);
        self.guarded(|log| Ok(log.file.write_all_at(&bytes, log.end)?))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes all records durable.
    pub fn sync(&mut self) -> Result<()> {
        self.guarded(|log| Ok(log.file.sync_data()?))
    }

    /// Does what changes the log, unless that failed before: what comes behind a gap is lost.
    fn guarded(&mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.has_failed {
            return Err(Error::Failed);
        }
        let outcome = change(self);
        self.has_failed = outcome.is_err();
        outcome
    }
}

/// The first record of some bytes, which then begin behind it; `None` where there is no whole one.
fn take_record<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut bytes = *rest;
    let sum = bytes.take_u32()?;
    let body = bytes;
    let record = bytes.take_bytes()?;
    if sum != checksum(&body[..body.len() - bytes.len()]) {
        return None;
    }
    *rest = bytes;
    Some(record)
}

/// Stage 2: the memtable that takes writes, and the one that is on its way to a table.
#[derive(Debug, Default)]
pub struct Memtables(RwLock<(Arc<Memtable>, Option<Arc<Memtable>>)>);

impl Memtables {
    /// Empty ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts a version into the memtable that takes writes; the bytes that this one has now.
    pub fn insert(&self, version: Version) -> usize {
        // Held until the version is in: `freeze` waits for whoever is about to write.
        let tables = self.0.read().expect("no holder panics");
        tables.0.insert(version)
    }

    /// Begins a new memtable; the versions of the one before, which nobody changes any more and
    /// readers go on seeing.
    pub fn freeze(&self) -> Vec<Version> {
        let mut tables = self.0.write().expect("no holder panics");
        let frozen = mem::take(&mut tables.0);
        let versions = frozen.all_from(&Version::at(&[], u64::MAX));
        tables.1 = Some(frozen);
        versions
    }

    /// Forgets the frozen memtable: its versions are in a table.
    pub fn forget_frozen(&self) {
        self.0.write().expect("no holder panics").1 = None;
    }

    /// The newest version of a key that is not newer than `sequence`.
    pub fn get(&self, key: &[u8], sequence: u64) -> Option<Version> {
        let tables = self.0.read().expect("no holder panics");
        let target = Version::at(key, sequence);
        let find = |table: &Arc<Memtable>| table.first_from(&target).filter(|it| it.key == key);
        find(&tables.0).or_else(|| tables.1.as_ref().and_then(find))
    }

    /// Copies of all versions from a key on: of each memtable, the newer one first.
    pub fn scan(&self, from: &[u8]) -> Vec<Vec<Version>> {
        let tables = self.0.read().expect("no holder panics");
        let both = std::iter::once(&tables.0).chain(&tables.1);
        both.map(|table| table.all_from(&Version::at(from, u64::MAX))).collect()
    }
}

/// Stages 3 and 4: sorted versions in a file that never changes.
///
/// ```text
///   | block | block | ... | filter, and of each block its first version and where it is |
/// ```
#[derive(Debug)]
pub struct Table {
    parts: Parts,
    filter: Filter,
    index: Vec<(Version, Part)>,
}

impl Table {
    /// Writes a table; it is durable, with its name, when this returns.
    pub fn write(fs: &dyn Fs, path: &Path, versions: Source<'_>) -> Result<()> {
        let mut parts = PartsWriter::new(fs, path)?;
        let (mut hashes, mut index, mut block) = (Vec::new(), Vec::new(), Vec::new());
        let mut versions = versions.peekable();
        while let Some(version) = versions.next().transpose()? {
            if block.is_empty() {
                index.put_version(&Version::at(&version.key, version.sequence));
            }
            hashes.push(hash(&version.key));
            block.put_version(&version);
            if block.len() >= BLOCK_BYTES || versions.peek().is_none() {
                index.put_part(parts.add(&block)?);
                block.clear();
            }
        }
        let mut last = Vec::new();
        last.put_bytes(&Filter::new(&hashes).0);
        last.extend(index);
        parts.finish(fs, &last)
    }

    /// Opens a table: reads its filter and its index, and no block.
    pub fn open(fs: &dyn Fs, path: &Path) -> Result<Self> {
        let (parts, last) = Parts::open(fs, path)?;
        let (mut rest, mut index) = (&last[..], Vec::new());
        let damaged = || parts.damaged("its index");
        let filter = Filter(rest.take_bytes().ok_or_else(damaged)?.to_vec());
        while !rest.is_empty() {
            let first = rest.take_version().ok_or_else(damaged)?;
            index.push((first, rest.take_part().ok_or_else(damaged)?));
        }
        Ok(Self { parts, filter, index })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.parts.size()
    }

    /// The newest version of a key that is not newer than `sequence`.
    pub fn get(&self, key: &[u8], sequence: u64) -> Result<Option<Version>> {
        if !self.filter.may_hold(hash(key)) {
            return Ok(None);
        }
        let found = self.from(Version::at(key, sequence)).next().transpose()?;
        Ok(found.filter(|it| it.key == key))
    }

    /// All versions from a key on, read block by block as they are asked for.
    pub fn scan(&self, from: &[u8]) -> Source<'_> {
        self.from(Version::at(from, u64::MAX))
    }

    fn from(&self, target: Version) -> Source<'_> {
        // From the last block that does not begin behind the target: it may be in its midst.
        let behind = self.index.partition_point(|(first, _)| *first <= target);
        let blocks = &self.index[behind.saturating_sub(1)..];
        let versions = blocks.iter().flat_map(|(_, part)| match self.parts.read(*part) {
            Ok(bytes) => versions(&bytes).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        Box::new(versions.skip_while(move |it| it.as_ref().is_ok_and(|it| *it < target)))
    }
}

/// Bits of a filter for each key, and how many of them a key sets.
const BITS: usize = 10;
const PROBES: u64 = 7;

/// Stage 4: a Bloom filter.
#[derive(Debug)]
pub struct Filter(pub Vec<u8>);

impl Filter {
    /// A filter of keys with these hashes.
    pub fn new(hashes: &[u64]) -> Self {
        let mut filter = Self(vec![0; (hashes.len() * BITS).div_ceil(8).max(8)]);
        for &hash in hashes {
            for (byte, bit) in filter.places(hash) {
                filter.0[byte] |= bit;
            }
        }
        filter
    }

    /// Whether a key with this hash may be among them. False is certain.
    pub fn may_hold(&self, hash: u64) -> bool {
        self.places(hash).all(|(byte, bit)| self.0[byte] & bit != 0)
    }

    /// Where the bits of a hash are. Two hashes are enough to make as many as one wants of them
    /// (Kirsch and Mitzenmacher, 2006).
    fn places(&self, hash: u64) -> impl Iterator<Item = (usize, u8)> + use<> {
        let (first, step, bits) = (hash >> 32, hash | 1, self.0.len() as u64 * 8);
        (0..PROBES).map(move |probe| {
            let bit = first.wrapping_add(probe.wrapping_mul(step)) % bits;
            (usize::try_from(bit / 8).expect("an index"), 1 << (bit % 8))
        })
    }
}

/// Stage 5: all versions of sorted sources in one order.
pub fn merge(sources: Vec<Source<'_>>) -> Source<'_> {
    let mut sources: Vec<_> = sources.into_iter().map(Iterator::peekable).collect();
    Box::new(std::iter::from_fn(move || {
        let heads = sources.iter_mut().enumerate();
        let heads = heads.filter_map(|(at, it)| Some((it.peek()?.as_ref().ok().cloned(), at)));
        // An error, which is `None` here, comes before everything.
        let (_, first) = heads.min()?;
        sources[first].next()
    }))
}

/// Stage 5: what somebody sees who looks at the moment `sequence`.
pub fn visible(
    versions: Source<'_>,
    sequence: u64,
) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> {
    let mut decided: Option<Vec<u8>> = None;
    versions.filter_map(move |it| {
        let version = match it {
            Ok(version) => version,
            Err(error) => return Some(Err(error)),
        };
        if version.sequence > sequence || decided.as_ref() == Some(&version.key) {
            return None;
        }
        decided = Some(version.key.clone());
        version.value.map(|value| Ok((version.key, value)))
    })
}

/// Stage 6: the level that is to be merged into the next one, by the sizes of all tables of each
/// level. Level 1 may have `base` bytes.
pub fn due(levels: &[Vec<u64>], base: u64) -> Option<usize> {
    if levels.first().is_some_and(|tables| tables.len() >= LEVEL0_TABLES) {
        return Some(0);
    }
    let mut share = base;
    (1..levels.len()).find(|&level| {
        let is_over = levels[level].iter().sum::<u64>() > share;
        share = share.saturating_mul(LEVEL_RATIO);
        is_over
    })
}

/// Stage 6: the versions that a merge keeps. Nobody looks at a moment before `oldest`; with
/// `is_bottom` nothing older lies beneath.
pub fn retain(versions: Source<'_>, oldest: u64, is_bottom: bool) -> Source<'_> {
    let mut decided: Option<Vec<u8>> = None;
    Box::new(versions.filter(move |it| {
        let Ok(version) = it else { return true };
        if decided.as_ref() == Some(&version.key) {
            return false;
        }
        if version.sequence > oldest {
            return true;
        }
        // The newest that all see; what follows, nobody does.
        decided = Some(version.key.clone());
        version.value.is_some() || !is_bottom
    }))
}

/// Stage 7: the store.
///
/// Locks are taken in this order: `files`, `log`, and what is inside the others.
#[derive(Debug)]
pub struct Store {
    options: Options,
    /// Whoever holds it makes tables.
    files: Mutex<Files>,
    /// Whoever holds it writes.
    log: Mutex<Log>,
    /// The number of the last batch that is whole: what readers go by.
    last: AtomicU64,
    memtables: Memtables,
    levels: RwLock<Arc<Levels>>,
    moments: Moments,
}

impl Store {
    /// Opens the store in a folder, makes it where there is none, and recovers.
    pub fn open(fs: Arc<dyn Fs>, folder: &Path, options: Options) -> Result<Self> {
        let mut files = Files::open(fs, folder)?;
        let memtables = Memtables::new();
        let mut last = files.manifest.last;
        for path in files.logs()? {
            let records = Log::open(files.fs(), &path)?.1;
            for version in records.iter().flat_map(|record| versions(record)) {
                last = last.max(version.sequence);
                memtables.insert(version);
            }
        }
        let recovered = memtables.freeze();
        let levels = RwLock::new(Arc::new(Levels::open(&files)?));
        let (number, path) = files.new_log();
        let log = Mutex::new(Log::open(files.fs(), &path)?.0);
        let (last, moments) = (AtomicU64::new(last), Moments::default());
        let files = Mutex::new(files);
        let store = Self { options, files, log, last, memtables, levels, moments };
        store.flush(&mut store.files.lock().expect("no holder panics"), number, recovered)?;
        Ok(store)
    }

    /// Makes all changes or none. The last one of a key wins.
    pub fn write(&self, changes: &[Change<'_>]) -> Result<()> {
        let mut log = self.log.lock().expect("no holder panics");
        let sequence = self.now() + 1;
        let version = |&(key, value): &Change<'_>| Version::new(key, sequence, value);
        let mut record = Vec::new();
        for change in changes {
            record.put_version(&version(change));
        }
        log.append(&record)?;
        if self.options.sync {
            log.sync()?;
        }
        let sizes = changes.iter().map(|change| self.memtables.insert(version(change)));
        let is_full = sizes.max() >= Some(self.options.memtable_bytes);
        // Release: who sees the number finds the changes.
        self.last.store(sequence, Ordering::Release);
        drop(log);
        if is_full { self.settle() } else { Ok(()) }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.snapshot().get(key)
    }

    /// At most `limit` entries from a key on, as of one moment.
    pub fn scan(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.snapshot().scan(from, limit)
    }

    /// Writes the memtable out, and merges what is due.
    pub fn settle(&self) -> Result<()> {
        let mut files = self.files.lock().expect("no holder panics");
        let switched = self.switch(&mut files);
        let outcome = switched.and_then(|(log, frozen)| self.flush(&mut files, log, frozen));
        if outcome.is_err() {
            // What is frozen is in no table: nobody writes before the next recovery.
            self.log.lock().expect("no holder panics").has_failed = true;
        }
        outcome
    }

    /// Begins a new log and a new memtable as one step: what is in the one is in the other.
    /// Returns the number of the log, and the versions of the memtable before.
    fn switch(&self, files: &mut Files) -> Result<(u64, Vec<Version>)> {
        let (number, path) = files.new_log();
        let new = Log::open(files.fs(), &path)?.0;
        let mut log = self.log.lock().expect("no holder panics");
        // Or the new log could survive where this one is torn.
        log.sync()?;
        *log = new;
        Ok((number, self.memtables.freeze()))
    }

    /// Makes a table of frozen versions; those after them are in the log of this number.
    fn flush(&self, files: &mut Files, log: u64, frozen: Vec<Version>) -> Result<()> {
        let mut levels = Levels::clone(&self.levels.read().expect("no holder panics"));
        if !frozen.is_empty() {
            levels.add(0, files, source(frozen))?;
        }
        files.manifest.log = log;
        self.install(files, &levels)?;
        self.memtables.forget_frozen();
        while let Some(level) = due(&levels.sizes(), self.options.level1_bytes()) {
            let (upper, lower) = (levels.take(level), levels.take(level + 1));
            let sources = upper.iter().chain(&lower).map(|table| table.scan(&[])).collect();
            let oldest = self.moments.oldest(|| self.now());
            let kept = retain(merge(sources), oldest, levels.is_empty_from(level + 2));
            levels.add(level + 1, files, kept)?;
            self.install(files, &levels)?;
        }
        Ok(())
    }

    /// Makes these levels the present ones: first durably, then for readers. Then nobody needs
    /// what was there before.
    fn install(&self, files: &mut Files, levels: &Levels) -> Result<()> {
        files.manifest.levels = levels.numbers();
        files.manifest.last = self.now();
        files.commit()?;
        *self.levels.write().expect("no holder panics") = Arc::new(levels.clone());
        files.remove_others()
    }

    /// The number of the last batch that is whole.
    fn now(&self) -> u64 {
        // Acquire: pairs with the Release in `write`.
        self.last.load(Ordering::Acquire)
    }

    /// The present moment, to look at for as long as one likes.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { store: self, moment: self.moments.take(|| self.now()) }
    }
}

/// Stage 8: the store as it was at one moment.
#[derive(Debug)]
pub struct Snapshot<'s> {
    store: &'s Store,
    /// Tells merges what to keep.
    moment: Moment<'s>,
}

impl Snapshot<'_> {
    /// The value that a key had.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(version) = self.store.memtables.get(key, self.moment.number) {
            return Ok(version.value);
        }
        // After the memtables: what has left them meanwhile is here.
        let levels = Arc::clone(&self.store.levels.read().expect("no holder panics"));
        for table in levels.tables() {
            if let Some(version) = table.get(key, self.moment.number)? {
                return Ok(version.value);
            }
        }
        Ok(None)
    }

    /// At most `limit` of the entries that there were, from a key on.
    pub fn scan(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let memory = self.store.memtables.scan(from);
        let levels = Arc::clone(&self.store.levels.read().expect("no holder panics"));
        let sources =
            memory.into_iter().map(source).chain(levels.tables().map(|table| table.scan(from)));
        visible(merge(sources.collect()), self.moment.number).take(limit).collect()
    }
}
