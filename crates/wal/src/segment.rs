//! One file of a log, written as memory or by calls.
//!
//! A store into a mapped page costs a few nanoseconds where `write` costs six hundred, and outlives
//! the process just as well. Room is reserved when the segment is made, so that neither way can
//! run into a full disk later.
//!
//! Reserved is not written: a file system notes of each block that was never written that it holds
//! nothing, and a sync after the first write to it has to change that note durably as well, which
//! takes as long again. So who writes by calls fills the file with zeros a piece ahead, and only
//! the first sync in each piece pays. A recycled segment was written before and pays nowhere.
#![expect(unsafe_code, reason = "one thread appends while another flushes the same mapping")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use env::fs::{File, Fs, Mapped, OpenMode};

use crate::format::{self, HEAD};
use crate::{Backend, Error, Position, Result};

/// After so many bytes the pages behind are let go: who has written a log does not read it.
const PIECE: usize = 256 << 10;

/// So far, in whole pieces of so many bytes, a file is filled with zeros ahead of what is written.
const FILLED: u32 = 256 << 10;

/// An open segment, or a spare one.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Mapped(Box<dyn Mapped>),
    Written(Written),
}

/// A file that is written by calls.
#[derive(Debug)]
struct Written {
    file: Box<dyn File>,
    len: u32,
    /// Every byte before this was written once.
    filled: AtomicU32,
}

impl Segment {
    /// Makes the file of a segment, with its room and its name both durable, and no head yet.
    pub(crate) fn create(
        fs: &dyn Fs,
        folder: &Path,
        path: &Path,
        len: u32,
        backend: Backend,
    ) -> Result<Self> {
        let file = fs.open(path, OpenMode::TRUNCATE)?;
        let reserve = || -> Result<()> {
            file.preallocate(u64::from(len))?;
            file.sync_data()?;
            Ok(fs.sync_dir(folder)?)
        };
        if let Err(cause) = reserve() {
            // Half a file would only take room from others.
            fs.remove_file(path).ok();
            return Err(cause);
        }
        Self::of(file, 0, len, 0, backend)
    }

    /// Opens a segment to go on with it, or to recycle it: what is before `filled` was written.
    pub(crate) fn open(
        file: Box<dyn File>,
        number: u64,
        filled: u32,
        backend: Backend,
    ) -> Result<Self> {
        let len = file.size()?;
        let too_long = |_| Error::Corrupt { path: file.path().to_owned(), offset: u32::MAX };
        let len = u32::try_from(len).map_err(too_long)?;
        Self::of(file, number, len, filled, backend)
    }

    fn of(
        file: Box<dyn File>,
        number: u64,
        len: u32,
        filled: u32,
        backend: Backend,
    ) -> Result<Self> {
        let memory = match backend {
            Backend::Mapped => Memory::Mapped(file.map(len as usize)?),
            Backend::Written => {
                Memory::Written(Written { file, len, filled: AtomicU32::new(filled) })
            }
        };
        Ok(Self { number, memory })
    }

    /// Gives a new or recycled segment its number; its old bytes never parse under it.
    pub(crate) fn begin(&mut self, number: u64, previous_end: u32) -> Result<Position> {
        self.number = number;
        let head = format::encode_head(number, previous_end);
        match &mut self.memory {
            Memory::Mapped(mapped) => mapped.store(0, &head),
            Memory::Written(written) => written.file.write_all_at(&head, 0)?,
        }
        Ok(Position { segment: number, offset: HEAD })
    }

    /// Writes a record, whose bytes are given in two parts.
    ///
    /// # Safety
    ///
    /// No two threads may be in here at the same time.
    pub(crate) unsafe fn write(&self, at: u32, prefix: &[u8], parts: [&[u8]; 2]) -> Result<()> {
        let [first, second] = parts;
        match &self.memory {
            Memory::Mapped(mapped) => {
                let at = at as usize;
                // The bytes first: a kill in between leaves a record that does not check either
                // way, but what is older stays whole.
                let middle = at + prefix.len() + first.len();
                // SAFETY: the caller vouches that nobody else stores, and nobody ever loads.
                unsafe { mapped.store_shared(middle, second) };
                if !first.is_empty() {
                    // SAFETY: as above.
                    unsafe { mapped.store_shared(at + prefix.len(), first) };
                }
                // SAFETY: as above.
                unsafe { mapped.store_shared(at, prefix) };
                let end = middle + second.len();
                if at / PIECE < end / PIECE {
                    mapped.let_go(at / PIECE * PIECE..end / PIECE * PIECE);
                }
            }
            Memory::Written(written) => written.write(at, &[prefix, first, second])?,
        }
        Ok(())
    }

    /// Has the device begin to write the bytes of a range.
    pub(crate) fn write_out(&self, from: u32, to: u32) {
        match &self.memory {
            // To protect its pages is what a sync of them mostly costs.
            Memory::Mapped(_) => {}
            Memory::Written(written) => written.file.write_out(u64::from(from)..u64::from(to)),
        }
    }

    /// Makes the bytes of a range durable.
    pub(crate) fn flush(&self, from: u32, to: u32) -> Result<()> {
        match &self.memory {
            Memory::Mapped(mapped) => mapped.flush_range(from as usize..to as usize)?,
            Memory::Written(written) => written.file.sync_data()?,
        }
        Ok(())
    }
}

impl Written {
    /// Writes a record, and zeros behind it up to the end of a piece that it is the first in.
    fn write(&self, at: u32, parts: &[&[u8]]) -> Result<()> {
        let mut whole = parts.concat();
        let len = u32::try_from(whole.len()).expect("a record fits into a segment");
        // Relaxed, here and below: one thread at a time writes.
        if at + len <= self.filled.load(Ordering::Relaxed) {
            return Ok(self.file.write_all_at(&whole, u64::from(at))?);
        }
        let filled = (at + len).checked_next_multiple_of(FILLED).unwrap_or(self.len).min(self.len);
        whole.resize((filled - at) as usize, 0);
        self.file.write_all_at(&whole, u64::from(at))?;
        self.filled.store(filled, Ordering::Relaxed);
        Ok(())
    }
}

/// Makes zeros, durably, of all that stands behind `offset`.
pub(crate) fn cut(file: &dyn File, offset: u32, len: u32) -> Result<()> {
    file.set_len(u64::from(offset))?;
    file.preallocate(u64::from(len))?;
    file.sync_data()?;
    Ok(())
}

/// A segment that waits to be used, under a name of its own.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) segment: Segment,
}

#[cfg(test)]
mod tests;
