//! Several logs in one: a *stream* of records each, and one sync for all of them.
//!
//! A disk that each log of a process asks for a sync of its own does one after the other. Here the
//! records of all lie in one log, in the order in which they came, and what makes one durable makes
//! all before it durable: whoever waits, of whichever stream, waits for the same sync.
//!
//! ```text
//!   store 1 --.                 segment 7                           segment 8
//!   store 2 ---+-- append -->  | 1: a | 3: x | 2: p | 1: b | ... | | 3: y | 2: q | ...
//!   raft, 3 --'                 '-- goes once 1, 2 and 3 have released it
//! ```
//!
//! * **After a crash** each stream is what it was up to some record, and streams agree: what was
//!   appended to one before something of another is there if the other is.
//! * **A segment goes** when no stream needs it. A stream needs what it has appended since it last
//!   released everything. So does one that was found when the log was opened, also while nobody
//!   asks for it: [`SharedLog::holder`] tells who holds the log back.
//! * **Positions** are those of the one log, so that each stream has only some of them.
//!
//! # What this module does not do
//!
//! It takes no suffix away, as [`Log::truncate`] does: who replaces records says so in a new one. A
//! sync writes the bytes of all streams: one that appends much and never syncs costs the others
//! time, and a log of its own serves all of them better. Damage is damage to all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use env::fs::Fs;

use crate::{Error, Log, Options, Position, Result, format};

/// Stands before the bytes of each record: the number of the stream and [`MARK`].
const STREAM_HEAD: usize = 8;
/// Tells a record of a stream from one of a log that is not shared.
const MARK: [u8; 4] = *b"STRM";

/// Names a stream. Those who share a log agree about the numbers, which are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A log that several streams share.
///
/// ```
/// use std::sync::Arc;
/// use env::fs::OsFs;
/// use wal::{Options, SharedLog, StreamId};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let log = SharedLog::open(Arc::new(OsFs), folder, Options::SYNCED)?;
/// let [accounts, votes] = [StreamId(1), StreamId(2)].map(|id| log.stream(id));
/// accounts.append(b"ada 7")?;
/// let vote = votes.append(b"term 3 for 1")?;
/// votes.sync()?; // for both
/// assert_eq!(votes.read(vote)?, b"term 3 for 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SharedLog {
    log: Log,
    folder: PathBuf,
    streams: Mutex<BTreeMap<StreamId, Arc<Mutex<Needed>>>>,
    /// Segments below this one were given back. Held while that is done; taken before `streams`,
    /// and this before what a stream needs.
    released: Mutex<u64>,
}

/// What a stream needs of the log.
#[derive(Clone, Copy, Debug, Default)]
struct Needed {
    /// From here on; nothing where it is `None`.
    from: Option<Position>,
    /// Its last record.
    last: Option<Position>,
}

/// One of the streams of a log. Threads share it by reference, and may ask for it several times.
#[derive(Clone, Debug)]
pub struct Stream {
    id: StreamId,
    shared: Arc<SharedLog>,
    needed: Arc<Mutex<Needed>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Needed {
    fn take(&mut self, at: Position) {
        self.from.get_or_insert(at);
        self.last = Some(at);
    }

    fn release(&mut self, at: Position) {
        self.from = self.from.filter(|_| self.last >= Some(at)).map(|from| from.max(at));
    }
}

fn encode(id: StreamId) -> [u8; STREAM_HEAD] {
    let mut head = [0; STREAM_HEAD];
    head[..4].copy_from_slice(&id.0.to_le_bytes());
    head[4..].copy_from_slice(&MARK);
    head
}

/// The stream and the bytes of a record; `None` where it is of no stream.
fn decode(record: &[u8]) -> Option<(StreamId, &[u8])> {
    let (head, bytes) = record.split_first_chunk::<STREAM_HEAD>()?;
    let (id, mark) = head.split_first_chunk::<4>()?;
    (*mark == MARK).then_some((StreamId(u32::from_le_bytes(*id)), bytes))
}

impl SharedLog {
    /// Opens the log in `folder`, or makes an empty one: see [`Log::open`]. A log that was not
    /// shared is refused as damaged.
    pub fn open(fs: Arc<dyn Fs>, folder: &Path, options: Options) -> Result<Arc<Self>> {
        let log = Log::open(fs, folder, options)?;
        let mut streams: BTreeMap<StreamId, Needed> = BTreeMap::new();
        visit(&log, folder, |id, at, _| streams.entry(id).or_default().take(at))?;
        let shared = |(id, needed)| (id, Arc::new(Mutex::new(needed)));
        let streams = Mutex::new(streams.into_iter().map(shared).collect());
        let (folder, released) = (folder.to_owned(), Mutex::new(0));
        Ok(Arc::new(Self { log, folder, streams, released }))
    }

    /// The stream of a number, which has no records yet or those that were found.
    pub fn stream(self: &Arc<Self>, id: StreamId) -> Stream {
        let needed = Arc::clone(lock(&self.streams).entry(id).or_default());
        Stream { id, shared: Arc::clone(self), needed }
    }

    /// Makes durable everything that was appended to any stream before the call.
    pub fn sync(&self) -> Result<()> {
        self.log.sync()
    }

    /// See [`Log::prepare`].
    pub fn prepare(&self) -> Result<()> {
        self.log.prepare()
    }

    /// See [`Log::verify`].
    pub fn verify(&self) -> Result<()> {
        self.log.verify()
    }

    /// Whether a write or sync of any stream failed, and nothing is taken until the log is opened
    /// again.
    pub fn has_failed(&self) -> bool {
        self.log.has_failed()
    }

    /// The stream that needs the oldest part of the log, and from where on; `None` where no stream
    /// needs anything.
    pub fn holder(&self) -> Option<(StreamId, Position)> {
        let streams = lock(&self.streams);
        let needed = streams.iter().filter_map(|(id, it)| Some((*id, lock(it).from?)));
        needed.min_by_key(|it| it.1)
    }

    /// Gives back the segments that no stream needs.
    fn release(&self) -> Result<()> {
        let mut released = lock(&self.released);
        // Before the streams are asked: one that needs nothing then appends behind this.
        let end = self.log.end();
        let oldest = self.holder().map_or(end, |(_, from)| from.min(end));
        if oldest.segment > *released {
            self.log.release(oldest)?;
            *released = oldest.segment;
        }
        Ok(())
    }
}

/// Calls `seen` for every record of a log with its stream.
fn visit(log: &Log, folder: &Path, mut seen: impl FnMut(StreamId, Position, &[u8])) -> Result<()> {
    let mut foreign = None;
    log.replay(|at, record| match decode(record) {
        Some((id, bytes)) => seen(id, at, bytes),
        None => _ = foreign.get_or_insert(at),
    })?;
    foreign.map_or(Ok(()), |at: Position| {
        Err(Error::Corrupt { path: format::path(folder, at.segment), offset: at.offset })
    })
}

impl Stream {
    /// Writes a record behind the last one of the log: see [`Log::append`].
    pub fn append(&self, bytes: &[u8]) -> Result<Position> {
        let (len, limit) = (bytes.len(), self.record_len_max());
        if len > limit {
            return Err(Error::TooLarge { len, limit });
        }
        // Held meanwhile, so that who asks what is needed knows of the record or waits for it.
        let mut needed = lock(&self.needed);
        let log = &self.shared.log;
        let at = log.append_parts([&encode(self.id), bytes], log.record_len_max())?;
        needed.take(at);
        Ok(at)
    }

    /// The length of the largest record that it takes.
    pub fn record_len_max(&self) -> usize {
        self.shared.log.record_len_max().saturating_sub(STREAM_HEAD)
    }

    /// Makes durable everything that was appended to any stream before the call. Threads that wait
    /// here at the same time share one sync, of whichever stream they are.
    pub fn sync(&self) -> Result<()> {
        self.shared.sync()
    }

    /// Where the next record of any stream will begin, unless it needs a new segment.
    pub fn end(&self) -> Position {
        self.shared.log.end()
    }

    /// The record at a position that the stream gave.
    pub fn read(&self, at: Position) -> Result<Vec<u8>> {
        let mut record = self.shared.log.read(at)?;
        match decode(&record) {
            Some((id, _)) if id == self.id => Ok(record.split_off(STREAM_HEAD)),
            _ => Err(Error::NotFound(at)),
        }
    }

    /// Calls `visit` for each of its records that it needs, in order. For the time after the log
    /// was opened; it reads the whole log, a segment at a time. What is appended meanwhile is not
    /// shown.
    pub fn replay(&self, mut seen: impl FnMut(Position, &[u8])) -> Result<()> {
        let Some(from) = lock(&self.needed).from else { return Ok(()) };
        visit(&self.shared.log, &self.shared.folder, |id, at, bytes| {
            if id == self.id && at >= from {
                seen(at, bytes);
            }
        })
    }

    /// Says that it needs nothing before `at`, and gives back what no other stream needs either. A
    /// crash may bring released records back.
    pub fn release(&self, at: Position) -> Result<()> {
        lock(&self.needed).release(at);
        self.shared.release()
    }
}

#[cfg(test)]
mod tests;
