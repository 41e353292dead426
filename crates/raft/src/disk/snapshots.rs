//! The files of snapshots, in blocks that are each verified whenever they are read.
//!
//! A file is made whole and durable before a record names it, never changed after that, and removed
//! once the record that no longer names it is durable.
//!
//! # What this module does not do
//!
//! It does not know what is in a snapshot or which group it is of.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use env::fs::{Draft, File, Fs, FsErrorKind, FsExt, OpenMode};

use super::{DiskError, Result, lock};

const MAGIC: [u8; 8] = *b"STRATASN";
const VERSION: u32 = 1;
/// Magic, version, and zeros.
const HEAD: u64 = 16;
/// Bytes of the snapshot between two checksums.
const BLOCK: u64 = BLOCK_LEN as u64;
const BLOCK_LEN: usize = 32 << 10;
/// The checksum before each block.
const SUM: u64 = SUM_LEN as u64;
const SUM_LEN: usize = 4;

/// Takes the bytes of a snapshot by and by, and holds no more of them than a block.
#[derive(Debug)]
pub struct SnapshotWriter<'a> {
    sink: Sink<'a>,
    len: u64,
}

#[derive(Debug)]
enum Sink<'a> {
    Blocks(Blocks<'a>),
    /// Nothing is to survive.
    Bytes(Vec<u8>),
}

/// A file of a snapshot that is being written.
#[derive(Debug)]
struct Blocks<'a> {
    draft: Draft<'a, dyn Fs>,
    file: u64,
    /// Blocks that are written.
    count: u64,
    /// The next one, behind room for its checksum. Invariant: not longer than a block and that.
    block: Vec<u8>,
}

impl<'a> Blocks<'a> {
    fn begin(fs: &'a (dyn Fs + 'static), folder: &Path, file: u64) -> Result<Self> {
        let mut draft = fs.draft(&path(folder, file))?;
        draft.append(&[&MAGIC[..], &VERSION.to_le_bytes(), &[0; 4]].concat())?;
        Ok(Self { draft, file, count: 0, block: vec![0; SUM_LEN] })
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = SUM_LEN + BLOCK_LEN - self.block.len();
            let (fits, rest) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(fits);
            bytes = rest;
            if fits.len() == room {
                self.end_block()?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let sum = checksum(self.file, self.count, &self.block[SUM_LEN..]);
        self.block[..SUM_LEN].copy_from_slice(&sum.to_le_bytes());
        self.draft.append(&self.block)?;
        self.block.truncate(SUM_LEN);
        self.count += 1;
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        if self.block.len() > SUM_LEN {
            self.end_block()?;
        }
        Ok(self.draft.publish()?)
    }
}

impl SnapshotWriter<'_> {
    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        match &mut self.sink {
            Sink::Blocks(blocks) => blocks.append(bytes),
            Sink::Bytes(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl io::Write for SnapshotWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The folder of snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    place: Place,
    next: AtomicU64,
}

#[derive(Debug)]
enum Place {
    Folder {
        fs: Arc<dyn Fs>,
        folder: PathBuf,
    },
    /// Nothing is to survive.
    Memory(Mutex<BTreeMap<u64, Bytes>>),
}

/// A snapshot that can be read.
enum Opened {
    File(Box<dyn File>),
    Bytes(Bytes),
}

fn path(folder: &Path, file: u64) -> PathBuf {
    folder.join(format!("{file:016x}.snapshot"))
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".snapshot").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// The checksum covers the file's number and the block's, so that no block passes for another.
fn checksum(file: u64, block: u64, bytes: &[u8]) -> u32 {
    let names = crc32c::crc32c_append(crc32c::crc32c(&file.to_le_bytes()), &block.to_le_bytes());
    crc32c::crc32c_append(names, bytes)
}

impl Snapshots {
    /// Opens the folder; also returns the files that it has.
    pub(super) fn open(fs: Arc<dyn Fs>, parent: &Path) -> Result<(Self, Vec<u64>)> {
        let folder = parent.join("snapshots");
        fs.create_dir_all(&folder)?;
        fs.sync_dir(parent)?;
        let mut files = Vec::new();
        for entry in fs.list(&folder)? {
            match entry.name.to_str().and_then(number) {
                Some(file) => files.push(file),
                // Of a life that ended while it was written.
                None => fs.remove_file(&folder.join(&entry.name))?,
            }
        }
        let next = AtomicU64::new(files.last().map_or(1, |last| last + 1));
        Ok((Self { place: Place::Folder { fs, folder }, next }, files))
    }

    /// A folder that is none.
    pub(super) fn in_memory() -> Self {
        Self { place: Place::Memory(Mutex::default()), next: AtomicU64::new(1) }
    }

    /// Writes a file of what `make` appends, durably; returns its number and how many bytes it has,
    /// both 0 where that is nothing.
    pub(super) fn write<E: From<DiskError>>(
        &self,
        make: impl FnOnce(&mut SnapshotWriter<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(u64, u64), E> {
        // Relaxed: numbers only have to be unlike each other.
        let file = self.next.fetch_add(1, Ordering::Relaxed);
        let sink = match &self.place {
            Place::Folder { fs, folder } => Sink::Blocks(Blocks::begin(&**fs, folder, file)?),
            Place::Memory(_) => Sink::Bytes(Vec::new()),
        };
        let mut writer = SnapshotWriter { sink, len: 0 };
        make(&mut writer)?;
        let SnapshotWriter { sink, len } = writer;
        if len == 0 {
            return Ok((0, 0));
        }
        match (sink, &self.place) {
            (Sink::Bytes(bytes), Place::Memory(files)) => {
                lock(files).insert(file, bytes.into());
            }
            (Sink::Blocks(blocks), _) => blocks.end()?,
            (Sink::Bytes(_), Place::Folder { .. }) => unreachable!("it was begun in the folder"),
        }
        Ok((file, len))
    }

    /// Bytes of a snapshot; those of the blocks that they are in are verified.
    pub(super) fn read(&self, file: u64, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let opened = match self.open_file(file)? {
            Opened::File(opened) => opened,
            Opened::Bytes(bytes) => {
                let cut = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                return Ok(bytes.slice(cut(range.start)..cut(range.end)));
            }
        };
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let first = blocks.start * BLOCK;
        let mut bytes = Vec::new();
        for block in blocks {
            let at = HEAD + block * (SUM + BLOCK);
            let len = opened.size()?.saturating_sub(at).min(SUM + BLOCK);
            let mut part = vec![0; usize::try_from(len).expect("a block is small")];
            opened.read_exact_at(&mut part, at)?;
            let Some((sum, part)) = part.split_first_chunk() else {
                return Err(self.damaged(file, "it ends too early"));
            };
            if u32::from_le_bytes(*sum) != checksum(file, block, part) {
                return Err(self.damaged(file, "a block does not have its checksum"));
            }
            bytes.extend_from_slice(part);
        }
        let cut = |at: u64| usize::try_from(at - first).expect("it fits memory");
        let (start, end) = (cut(range.start), cut(range.end));
        if end > bytes.len() {
            return Err(self.damaged(file, "it ends too early"));
        }
        Ok(Bytes::from(bytes).slice(start..end))
    }

    /// Reads a whole file of `len` bytes once.
    pub(super) fn verify(&self, file: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let mut head = [0; 12];
        let Opened::File(opened) = self.open_file(file)? else { return Ok(()) };
        if opened.size()? != HEAD + len.div_ceil(BLOCK) * SUM + len {
            return Err(self.damaged(file, "it does not have its length"));
        }
        opened.read_exact_at(&mut head, 0)?;
        if head[..8] != MAGIC || head[8..] != VERSION.to_le_bytes() {
            return Err(self.damaged(file, "it is not one, or of another version"));
        }
        for start in (0..len).step_by(BLOCK_LEN) {
            self.read(file, start..len.min(start + BLOCK))?;
        }
        Ok(())
    }

    /// Removes a file. It may come back after a power cut, and goes when the log is next opened.
    pub(super) fn remove(&self, file: u64) -> Result<()> {
        if file == 0 {
            return Ok(());
        }
        match &self.place {
            Place::Folder { fs, folder } => Ok(fs.remove_file(&path(folder, file))?),
            Place::Memory(files) => {
                lock(files).remove(&file);
                Ok(())
            }
        }
    }

    fn open_file(&self, file: u64) -> Result<Opened> {
        match &self.place {
            Place::Folder { fs, folder } => {
                let opened = fs.open(&path(folder, file), OpenMode::READ);
                Ok(Opened::File(opened.map_err(|cause| self.unless_missing(file, cause))?))
            }
            Place::Memory(files) => {
                let bytes = lock(files).get(&file).cloned();
                Ok(Opened::Bytes(bytes.ok_or_else(|| self.damaged(file, "it is missing"))?))
            }
        }
    }

    fn damaged(&self, file: u64, what: &'static str) -> DiskError {
        let folder = match &self.place {
            Place::Folder { folder, .. } => folder,
            Place::Memory(_) => Path::new("memory"),
        };
        DiskError::Snapshot { path: path(folder, file), what }
    }

    fn unless_missing(&self, file: u64, cause: env::fs::FsError) -> DiskError {
        if cause.kind == FsErrorKind::NotFound {
            return self.damaged(file, "it is missing");
        }
        DiskError::Fs(cause)
    }
}
