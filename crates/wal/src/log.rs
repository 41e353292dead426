//! The log: appending, syncing, reading, and cutting at both ends.
//!
//! One lock, `tail`, orders the appends. It is free while the disk works: one thread syncs for all
//! whose records are there when it begins, and who comes later waits for the next sync (see
//! `company.rs`).

use std::collections::VecDeque;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use env::clock::{Clock, MonotonicClock};
use env::fs::{Fs, FsErrorKind, FsExt, OpenMode};

use crate::company::Company;
use crate::format::{self, ALIGN, HEAD, Head, PREFIX};
use crate::segment::{self, Segment, Spare};
use crate::{Error, Position, Result, recovery};

/// How a record gets into its file. Both survive a kill of the process at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// By a store into mapped memory.
    ///
    /// A store cannot report that the disk is full: where it is, the system ends the process
    /// (`SIGBUS`). So each segment has its room before it is mapped. That holds where blocks are
    /// written in place. A file system that writes each block elsewhere (btrfs, ZFS, and others
    /// once a file shares its blocks with a copy) or that gives out room which it does not have
    /// may run full all the same, and there [`Backend::Written`] is the safe one.
    Mapped,
    /// By a system call, for whoever syncs each record, for file systems that do not map, and for
    /// whoever fears stray pointers.
    Written,
}

/// How a log is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The length of a segment in bytes; a record must fit into one, but for [`Log::append_large`].
    pub segment_len: u32,
    /// How records are written.
    pub backend: Backend,
    /// How many released segments are kept to be used again.
    pub spares_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { backend: Backend::Mapped, ..Self::SYNCED }
    }
}

impl Options {
    /// For whoever writes one record and syncs, again and again, as a replicated log does. A sync
    /// of mapped memory protects its pages, by an interrupt of each processor that the process runs
    /// on, and the next store runs into that; a call for each record costs less then.
    pub const SYNCED: Self =
        Self { segment_len: 16 << 20, backend: Backend::Written, spares_max: 2 };
}

/// What becomes of a segment that the log does not need any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is used again, or removed if there are enough of its kind.
    Recycle,
    /// It is removed; who has it open can go on reading it.
    Remove,
    /// It is no part of the log any more and gets this name, in the same file system.
    Move(PathBuf),
}

/// Most bytes that [`Log::write_out`] has written. It is a matter of microseconds, which more bytes
/// take anyway; and whole pages, of which this many bytes have none, would be let go as well.
const WRITTEN_OUT: u32 = 4_095;

/// A log; see the crate's header. Threads share it by reference.
#[derive(Debug)]
pub struct Log {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    options: Options,
    tail: Mutex<Tail>,
    /// A sync has ended.
    synced: Condvar,
    /// All are there whom a sync waits for.
    arrived: Condvar,
    /// Segments that wait to be used. Taken after `tail`, or alone.
    spares: Mutex<Vec<Spare>>,
    /// Held while a spare segment is made. Taken before all others.
    preparing: Mutex<()>,
}

/// The last segment, and what is not durable before it.
#[derive(Debug)]
struct Tail {
    segment: Arc<Segment>,
    end: Position,
    durable: Position,
    /// Full segments with bytes that are not durable, and the range of these. Each is mapped.
    unsynced: VecDeque<(Arc<Segment>, u32, u32)>,
    /// Whether the name of the last segment may be lost in a power cut.
    has_new_name: bool,
    has_failed: bool,
    company: Company,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// Opens the log in `folder`, or makes an empty one. What a crash left half written is cut off,
    /// and what is found is durable when this returns. The directory above must be durable already.
    pub fn open(fs: Arc<dyn Fs>, folder: &Path, options: Options) -> Result<Self> {
        assert!(options.segment_len > HEAD + PREFIX, "a segment takes at least one record");
        fs.create_dir_all(folder)?;
        let parent = folder.parent().unwrap_or(folder);
        fs.sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        let found = recovery::check(&*fs, folder)?;
        recovery::remove(&*fs, folder, &found.cut_off)?;
        recovery::remove_spares(&*fs, folder)?;
        recovery::rewrite(&*fs, folder, &found.doubtful)?;
        let (segment, end) = match found.last {
            // Positions never go back, not even where the first segment itself was torn.
            None => first(&*fs, folder, options, found.cut_off.first().map_or(1, |it| *it))?,
            Some((number, offset)) => go_on(&*fs, folder, options, number, offset)?,
        };
        sync_others(&*fs, folder, end.segment)?;
        let tail = Mutex::new(Tail::new(segment, end));
        let folder = folder.to_owned();
        let [synced, arrived] = [const { Condvar::new() }; 2];
        let preparing = Mutex::new(());
        let spares = Mutex::new(Vec::new());
        Ok(Self { fs, folder, options, tail, synced, arrived, spares, preparing })
    }

    /// Writes a record behind the last one. It survives a kill of the process at once, and a power
    /// cut after [`Log::sync`].
    ///
    /// A full disk is met only where a new segment is needed; the log is as it was then, and the
    /// next append tries again.
    pub fn append(&self, bytes: &[u8]) -> Result<Position> {
        self.append_parts([&[], bytes], self.record_len_max())
    }

    /// The same for a record of nearly 4 GiB at most: one that is too large for a segment gets one
    /// of its own, which is as long as it needs.
    pub fn append_large(&self, bytes: &[u8]) -> Result<Position> {
        self.append_parts([&[], bytes], (u32::MAX - HEAD - PREFIX - ALIGN) as usize)
    }

    /// The length of the largest record that [`Log::append`] takes.
    pub fn record_len_max(&self) -> usize {
        (self.options.segment_len - HEAD - PREFIX) as usize
    }

    /// Whether a write or sync failed, and nothing is taken until the log is opened again.
    pub fn has_failed(&self) -> bool {
        lock(&self.tail).has_failed
    }

    /// Writes a record that is given in two parts, so that who puts something before the bytes of
    /// another need not copy these.
    pub(crate) fn append_parts(&self, parts: [&[u8]; 2], limit: usize) -> Result<Position> {
        let len = parts[0].len() + parts[1].len();
        let span = format::span(len).filter(|_| len <= limit);
        let span = span.ok_or(Error::TooLarge { len, limit })?;
        let mut tail = lock(&self.tail);
        if tail.has_failed {
            return Err(Error::Failed);
        }
        if span > self.options.segment_len.saturating_sub(tail.end.offset) {
            self.next_segment(&mut tail, HEAD + span)?;
        }
        let at = tail.end;
        let durable = if tail.durable.segment == at.segment { tail.durable.offset } else { 0 };
        let prefix = format::prefix(at.segment, durable, parts);
        tail.guarded(|tail| tail.write(&prefix, parts))?;
        tail.end.offset += span;
        Ok(at)
    }

    /// Makes durable everything that was appended before the call. Threads that wait here at the
    /// same time share one sync.
    pub fn sync(&self) -> Result<()> {
        let mut tail = lock(&self.tail);
        let wanted = tail.end;
        if tail.company.come() {
            self.arrived.notify_one();
        }
        loop {
            if tail.has_failed {
                return Err(Error::Failed);
            }
            if tail.durable >= wanted {
                return Ok(());
            }
            if !tail.company.is_syncing() {
                break;
            }
            tail = self.synced.wait(tail).unwrap_or_else(PoisonError::into_inner);
        }
        let clock = MonotonicClock::new();
        tail = self.gather(tail, &clock);
        let start = clock.now();
        let from = if tail.durable.segment == tail.end.segment { tail.durable.offset } else { 0 };
        let unsynced = mem::take(&mut tail.unsynced);
        let has_new_name = mem::take(&mut tail.has_new_name);
        let (segment, end) = (Arc::clone(&tail.segment), tail.end);
        let covered = tail.company.begin();
        drop(tail);
        // Oldest first: a record that calls bytes durable vouches for everything before them.
        let outcome = unsynced
            .iter()
            .try_for_each(|(old, from, to)| old.flush(*from, *to))
            .and_then(|()| if has_new_name { Ok(self.fs.sync_dir(&self.folder)?) } else { Ok(()) })
            .and_then(|()| segment.flush(from, end.offset));
        let took = clock.now().saturating_since(start);
        let mut tail = lock(&self.tail);
        tail.company.end(&covered, took);
        let outcome = tail.guarded(|tail| {
            outcome?;
            tail.durable = tail.durable.max(end);
            Ok(())
        });
        drop(tail);
        // Without the lock, which those who wake up take.
        self.synced.notify_all();
        outcome
    }

    /// Has the device begin with what the next sync will wait for, where that is little and no
    /// sync is under way. For who leaves the sync to a thread that must wake up first. It makes
    /// nothing durable.
    pub fn write_out(&self) {
        let tail = lock(&self.tail);
        let Position { segment, offset: from } = tail.durable;
        let to = tail.end.offset;
        if tail.company.is_syncing() || segment != tail.end.segment || to - from > WRITTEN_OUT {
            return;
        }
        let segment = Arc::clone(&tail.segment);
        drop(tail);
        segment.write_out(from, to);
    }

    /// Takes the turn to sync, and waits a little for those who will want the same.
    fn gather<'a>(
        &'a self,
        mut tail: MutexGuard<'a, Tail>,
        clock: &MonotonicClock,
    ) -> MutexGuard<'a, Tail> {
        tail.company.take_turn();
        let start = clock.now();
        while let Some(left) = tail.company.patience(clock.now().saturating_since(start)) {
            let woken = self.arrived.wait_timeout(tail, left);
            tail = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        tail
    }

    /// Whether a record of so many bytes goes into the present segment, so that an append needs no
    /// other. Another thread may be faster.
    pub fn has_room(&self, len: usize) -> bool {
        let end = self.end().offset;
        let span = format::span(len).and_then(|span| end.checked_add(span));
        span.is_some_and(|it| it <= self.options.segment_len)
    }

    /// Where the next record will begin, unless it needs a new segment.
    pub fn end(&self) -> Position {
        lock(&self.tail).end
    }

    /// The record at a position that the log gave.
    pub fn read(&self, at: Position) -> Result<Vec<u8>> {
        let end = self.end();
        let path = format::path(&self.folder, at.segment);
        if at >= end || at.offset < HEAD || !self.fs.exists(&path)? {
            return Err(Error::NotFound(at));
        }
        let file = self.fs.open(&path, OpenMode::READ)?;
        let mut record = vec![0; PREFIX as usize];
        let damaged = || Error::Corrupt { path: path.clone(), offset: at.offset };
        file.read_exact_at(&mut record, u64::from(at.offset))?;
        let len = u32::from_le_bytes(record[8..12].try_into().expect("it has four bytes"));
        let room = u64::from(len) + u64::from(PREFIX) + u64::from(at.offset);
        if len == 0 || room > file.size()? + 1 {
            return Err(damaged());
        }
        record.resize((PREFIX + len - 1) as usize, 0);
        file.read_exact_at(&mut record[PREFIX as usize..], u64::from(at.offset + PREFIX))?;
        format::decode(at.segment, &record).map(|it| it.bytes.to_vec()).ok_or_else(damaged)
    }

    /// Calls `visit` for every record in order. For the time after [`Log::open`], which has checked
    /// them; it holds one segment in memory. What is appended meanwhile is not shown.
    pub fn replay(&self, mut visit: impl FnMut(Position, &[u8])) -> Result<()> {
        let end = self.end();
        for segment in recovery::segments(&*self.fs, &self.folder)? {
            let bytes = self.fs.read_apart(&format::path(&self.folder, segment))?;
            let len = if segment == end.segment { end.offset as usize } else { bytes.len() };
            recovery::records(segment, &bytes[..len], HEAD, |at, _, bytes| visit(at, bytes));
        }
        Ok(())
    }

    /// Reads everything again and checks every record and every head. What is appended meanwhile is
    /// not looked at, and what is released meanwhile need not be whole any more. Not for beside
    /// [`Log::truncate`] and [`Log::restart`].
    pub fn verify(&self) -> Result<()> {
        let end = self.end();
        let mut before: Option<(PathBuf, Position)> = None;
        for segment in recovery::segments(&*self.fs, &self.folder)? {
            if segment > end.segment {
                break;
            }
            let path = format::path(&self.folder, segment);
            let bytes = match self.fs.read_apart(&path) {
                Err(cause) if cause.kind == FsErrorKind::NotFound => continue,
                outcome => outcome?,
            };
            let is_last = segment == end.segment;
            let len = if is_last { end.offset as usize } else { bytes.len() };
            let bytes = bytes.get(..len).unwrap_or(&bytes);
            let last = recovery::records(segment, bytes, HEAD, |_, _, _| ());
            let damage = match (format::decode_head(segment, bytes), before.take()) {
                (Head::Whole(said), Some((path, last)))
                    if last.segment + 1 != segment || last.offset != said =>
                {
                    Some((path, last.offset))
                }
                (Head::Whole(_), _) if is_last && last != end.offset => Some((path.clone(), last)),
                (Head::Whole(_), _) => None,
                (Head::Newer(_) | Head::Broken, _) => Some((path.clone(), 0)),
            };
            match damage {
                // Where it is no part of the log any more, it may have been used again.
                Some((path, offset)) if self.fs.exists(&path)? => {
                    return Err(Error::Corrupt { path, offset });
                }
                _ => before = Some((path, Position { segment, offset: last })),
            }
        }
        Ok(())
    }

    /// The lock, while nobody syncs.
    fn between_syncs(&self) -> MutexGuard<'_, Tail> {
        let tail = lock(&self.tail);
        let free = self.synced.wait_while(tail, |it| it.company.is_syncing());
        free.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes away the record at `at` and all behind it. When this returns they can never come back.
    pub fn truncate(&self, at: Position) -> Result<()> {
        self.read(at)?;
        let mut tail = self.between_syncs();
        tail.guarded(|tail| {
            let gone: Vec<u64> = (at.segment + 1..=tail.end.segment).collect();
            recovery::remove(&*self.fs, &self.folder, &gone)?;
            sync_others(&*self.fs, &self.folder, at.segment)?;
            let (segment, end) =
                go_on(&*self.fs, &self.folder, self.options, at.segment, at.offset)?;
            *tail = Tail { company: tail.company, ..Tail::new(segment, end) };
            Ok(())
        })
    }

    /// Takes away everything and goes on at the beginning of the segment of this number, which must
    /// be above all there are. For who keeps positions elsewhere and finds them beyond the end.
    pub fn restart(&self, number: u64) -> Result<()> {
        let mut tail = self.between_syncs();
        assert!(number > tail.end.segment, "{number} is not above {}", tail.end.segment);
        tail.guarded(|tail| {
            let gone = recovery::segments(&*self.fs, &self.folder)?;
            recovery::remove(&*self.fs, &self.folder, &gone)?;
            let (segment, end) = first(&*self.fs, &self.folder, self.options, number)?;
            *tail = Tail { company: tail.company, ..Tail::new(segment, end) };
            Ok(())
        })
    }

    /// Gives back the segments that lie wholly below `at`; some are kept to be used again. The last
    /// segment always stays. A crash may bring released records back.
    pub fn release(&self, at: Position) -> Result<()> {
        self.release_with(at, |_, _| Fate::Recycle)
    }

    /// [`Log::release`], asking what becomes of each segment: its number and its length are given.
    pub fn release_with(&self, at: Position, mut fate: impl FnMut(u64, u64) -> Fate) -> Result<()> {
        let last = self.end().segment;
        for number in recovery::segments(&*self.fs, &self.folder)? {
            if number >= at.segment.min(last) {
                break;
            }
            let path = format::path(&self.folder, number);
            // What nobody needs need not become durable, nor stay mapped until then.
            lock(&self.tail).unsynced.retain(|it| it.0.number != number);
            let size = self.fs.size(&path)?;
            // Others are of a life with another length, or of one large record.
            let is_usual = size == u64::from(self.options.segment_len);
            let has_room = lock(&self.spares).len() < self.options.spares_max;
            match fate(number, size) {
                Fate::Recycle if has_room && is_usual => self.keep(number, &path)?,
                Fate::Recycle | Fate::Remove => self.fs.remove_file(&path)?,
                Fate::Move(to) => {
                    self.fs.rename(&path, &to)?;
                    self.fs.sync_dir(to.parent().expect("it is not the root"))?;
                }
            }
            // One by one, so that a power cut leaves no gap.
            self.fs.sync_dir(&self.folder)?;
        }
        Ok(())
    }

    /// Makes a segment ready for the time when the last one is full, so that no append has to.
    pub fn prepare(&self) -> Result<()> {
        let _one_at_a_time = lock(&self.preparing);
        if !lock(&self.spares).is_empty() {
            return Ok(());
        }
        let path = format::fresh_path(&self.folder, self.end().segment + 1);
        let segment = self.new_segment(&path, self.options.segment_len)?;
        lock(&self.spares).push(Spare { path, segment });
        Ok(())
    }

    /// Turns a released segment into a spare one.
    fn keep(&self, number: u64, path: &Path) -> Result<()> {
        let spare = format::spare_path(&self.folder, number);
        self.fs.rename(path, &spare)?;
        // Before it is used again: the old name must not come back with new bytes.
        self.fs.sync_dir(&self.folder)?;
        let file = self.fs.open(&spare, OpenMode::WRITE)?;
        let segment = Segment::open(file, number, u32::MAX, self.options.backend)?;
        lock(&self.spares).push(Spare { path: spare, segment });
        Ok(())
    }

    fn new_segment(&self, path: &Path, len: u32) -> Result<Segment> {
        Segment::create(&*self.fs, &self.folder, path, len, self.options.backend)
    }

    /// Goes on in a new segment that takes `needed` bytes. Nothing is synced here where there is a
    /// spare one: an append must not wait for a disk.
    fn next_segment(&self, tail: &mut Tail, needed: u32) -> Result<()> {
        let Position { segment: number, offset } = tail.end;
        let path = format::path(&self.folder, number + 1);
        let len = self.options.segment_len;
        let spare = if needed > len { None } else { lock(&self.spares).pop() };
        let mut next = match spare {
            None => self.new_segment(&path, len.max(needed))?,
            Some(spare) => {
                if let Err(cause) = self.fs.rename(&spare.path, &path) {
                    // It has its room still, and the next append tries again.
                    lock(&self.spares).push(spare);
                    return Err(cause.into());
                }
                spare.segment
            }
        };
        tail.guarded(|tail| {
            let end = next.begin(number + 1, offset)?;
            let from = if tail.durable.segment == number { tail.durable.offset } else { 0 };
            let full = mem::replace(&mut tail.segment, Arc::new(next));
            if tail.durable < tail.end {
                tail.unsynced.push_back((full, from, offset));
            }
            tail.end = end;
            tail.has_new_name = true;
            Ok(())
        })
    }
}

impl Tail {
    fn new(segment: Segment, end: Position) -> Self {
        Self {
            segment: Arc::new(segment),
            end,
            durable: end,
            unsynced: VecDeque::new(),
            has_new_name: false,
            has_failed: false,
            company: Company::default(),
        }
    }

    #[expect(unsafe_code, reason = "`Segment::write` takes one thread at a time")]
    fn write(&self, prefix: &[u8], parts: [&[u8]; 2]) -> Result<()> {
        // SAFETY: `tail` is behind its lock, and no segment is in two tails.
        unsafe { self.segment.write(self.end.offset, prefix, parts) }
    }

    /// Does what changes the log, unless that failed before; a failure is remembered for good.
    fn guarded<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.has_failed {
            return Err(Error::Failed);
        }
        let outcome = change(self);
        self.has_failed = outcome.is_err();
        outcome
    }
}

/// Makes the only segment of a log.
fn first(fs: &dyn Fs, folder: &Path, options: Options, number: u64) -> Result<(Segment, Position)> {
    let path = format::path(folder, number);
    let Options { segment_len, backend, .. } = options;
    let mut segment = Segment::create(fs, folder, &path, segment_len, backend)?;
    let end = segment.begin(number, 0)?;
    segment.flush(0, end.offset)?;
    Ok((segment, end))
}

/// Opens the last segment to go on at `offset`.
fn go_on(
    fs: &dyn Fs,
    folder: &Path,
    options: Options,
    number: u64,
    offset: u32,
) -> Result<(Segment, Position)> {
    let file = fs.open(&format::path(folder, number), OpenMode::WRITE)?;
    segment::cut(&*file, offset, options.segment_len)?;
    fs.sync_dir(folder)?;
    let segment = Segment::open(file, number, offset, options.backend)?;
    Ok((segment, Position { segment: number, offset }))
}

/// Makes durable the segments below `last`, which a kill may have left unsynced.
fn sync_others(fs: &dyn Fs, folder: &Path, last: u64) -> Result<()> {
    for number in recovery::segments(fs, folder)?.into_iter().filter(|it| *it < last) {
        fs.open(&format::path(folder, number), OpenMode::WRITE)?.sync_data()?;
    }
    Ok(())
}
