//! The log: appending, syncing, reading, and cutting at both ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use env::fs::{File, Fs, FsExt, OpenMode};

use crate::format::{self, HEAD, PREFIX};
use crate::{Error, Position, Result, recovery};

/// How a log is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The length of a segment in bytes; a record must fit into one.
    pub segment_len: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_len: 16 << 20 }
    }
}

/// A log; see the crate's header. Threads share it by reference.
#[derive(Debug)]
pub struct Log {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    options: Options,
    tail: Mutex<Tail>,
    /// Held by the thread that syncs. It is taken before `tail`, never after it.
    syncing: Mutex<()>,
}

/// The last segment.
#[derive(Debug)]
struct Tail {
    file: Arc<dyn File>,
    end: Position,
    durable: Position,
    has_failed: bool,
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
        let (file, end) = match recovery::check(&*fs, folder)?.last() {
            None => create(&*fs, folder, options, 1, 0)?,
            Some(&(segment, offset)) => {
                let file = fs.open(&format::path(folder, segment), OpenMode::WRITE)?;
                cut(&*file, offset, options)?;
                fs.sync_dir(folder)?;
                (Arc::from(file), Position { segment, offset })
            }
        };
        let tail = Mutex::new(Tail { file, end, durable: end, has_failed: false });
        let folder = folder.to_owned();
        Ok(Self { fs, folder, options, tail, syncing: Mutex::new(()) })
    }

    /// Writes a record behind the last one. It survives a kill of the process at once, and a power
    /// cut after [`Log::sync`].
    pub fn append(&self, bytes: &[u8]) -> Result<Position> {
        let limit = (self.options.segment_len - HEAD - PREFIX) as usize;
        if bytes.len() > limit {
            return Err(Error::TooLarge { len: bytes.len(), limit });
        }
        let mut tail = lock(&self.tail);
        tail.guarded(|tail| {
            let len = u32::try_from(bytes.len()).expect("it is below the limit") + PREFIX;
            if len > self.options.segment_len.saturating_sub(tail.end.offset) {
                self.next_segment(tail)?;
            }
            let at = tail.end;
            let durable = if tail.durable.segment == at.segment { tail.durable.offset } else { 0 };
            let record = format::encode(at.segment, durable, bytes);
            tail.file.write_all_at(&record, u64::from(at.offset))?;
            tail.end.offset += len;
            Ok(at)
        })
    }

    /// Makes durable everything that was appended before the call. Threads that wait here at the
    /// same time share one sync.
    pub fn sync(&self) -> Result<()> {
        let wanted = lock(&self.tail).end;
        let _one_at_a_time = lock(&self.syncing);
        let (file, end) = {
            let tail = lock(&self.tail);
            if tail.has_failed {
                return Err(Error::Failed);
            }
            if tail.durable >= wanted {
                return Ok(());
            }
            (Arc::clone(&tail.file), tail.end)
        };
        let outcome = file.sync_data();
        let mut tail = lock(&self.tail);
        tail.guarded(|tail| {
            outcome?;
            tail.durable = tail.durable.max(end);
            Ok(())
        })
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
        let len = u32::from_le_bytes(record[4..8].try_into().expect("it has four bytes"));
        let room = u64::from(len) + u64::from(PREFIX) + u64::from(at.offset);
        if len == 0 || room > file.size()? + 1 {
            return Err(damaged());
        }
        record.resize((PREFIX + len - 1) as usize, 0);
        file.read_exact_at(&mut record[PREFIX as usize..], u64::from(at.offset + PREFIX))?;
        format::decode(at.segment, &record).map(|it| it.bytes.to_vec()).ok_or_else(damaged)
    }

    /// Calls `visit` for every record in order. For the time after [`Log::open`], which has checked
    /// them; it holds one segment in memory, and appends wait for it.
    pub fn replay(&self, mut visit: impl FnMut(Position, &[u8])) -> Result<()> {
        let _no_appends = lock(&self.tail);
        for segment in recovery::segments(&*self.fs, &self.folder)? {
            let bytes = self.fs.read(&format::path(&self.folder, segment))?;
            recovery::records(segment, &bytes, &mut visit);
        }
        Ok(())
    }

    /// Takes away the record at `at` and all behind it. When this returns they can never come back.
    pub fn truncate(&self, at: Position) -> Result<()> {
        self.read(at)?;
        let _no_sync = lock(&self.syncing);
        let mut tail = lock(&self.tail);
        tail.guarded(|tail| {
            // From the last one on, so that a crash in between leaves a log without a gap.
            for segment in (at.segment + 1..=tail.end.segment).rev() {
                self.fs.remove_file(&format::path(&self.folder, segment))?;
                self.fs.sync_dir(&self.folder)?;
            }
            let path = format::path(&self.folder, at.segment);
            let file = self.fs.open(&path, OpenMode::WRITE)?;
            cut(&*file, at.offset, self.options)?;
            (tail.file, tail.end, tail.durable) = (Arc::from(file), at, at);
            Ok(())
        })
    }

    /// Removes the segments that lie wholly below `at`. The last segment always stays.
    pub fn release(&self, at: Position) -> Result<()> {
        let tail = lock(&self.tail);
        for segment in recovery::segments(&*self.fs, &self.folder)? {
            if segment < at.segment.min(tail.end.segment) {
                self.fs.remove_file(&format::path(&self.folder, segment))?;
                // One by one, so that a power cut leaves no gap.
                self.fs.sync_dir(&self.folder)?;
            }
        }
        Ok(())
    }

    fn next_segment(&self, tail: &mut Tail) -> Result<()> {
        tail.file.sync_data()?;
        let Position { segment, offset } = tail.end;
        let (file, end) = create(&*self.fs, &self.folder, self.options, segment + 1, offset)?;
        (tail.file, tail.end, tail.durable) = (file, end, end);
        Ok(())
    }
}

impl Tail {
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

/// Makes a segment, durable with its head.
fn create(
    fs: &dyn Fs,
    folder: &Path,
    options: Options,
    segment: u64,
    previous_end: u32,
) -> Result<(Arc<dyn File>, Position)> {
    let file = fs.open(&format::path(folder, segment), OpenMode::CREATE_NEW)?;
    file.preallocate(u64::from(options.segment_len))?;
    file.write_all_at(&format::encode_head(segment, previous_end), 0)?;
    file.sync_data()?;
    fs.sync_dir(folder)?;
    Ok((Arc::from(file), Position { segment, offset: HEAD }))
}

/// Makes zeros, durably, of all that stands behind `offset`.
fn cut(file: &dyn File, offset: u32, options: Options) -> Result<()> {
    file.set_len(u64::from(offset))?;
    file.preallocate(u64::from(options.segment_len))?;
    file.sync_data()?;
    Ok(())
}
