//! The end of a table's file that is being written.
//!
//! Past the page cache the disk takes whole pages from memory that begins at a page. So bytes are
//! copied to such memory, what is short of a page waits, and the last page is cut off at the end.

use std::path::Path;

use env::fs::{File, Fs, FsErrorKind, OpenMode};

use crate::Result;

/// Bytes are written in pieces of about this size: it is little beside any budget.
const PIECE: usize = 256 << 10;
/// The same past the page cache, where whoever writes waits for the disk each time.
const PIECE_DIRECT: usize = 1 << 20;
/// What every disk takes for a page.
const PAGE: usize = 4 << 10;

/// A file that grows at its end.
#[derive(Debug)]
pub(super) struct Sink {
    file: Box<dyn File>,
    /// Bytes that are not written yet.
    pub(super) pending: Vec<u8>,
    /// So many are written at once.
    piece: usize,
    /// Where they will lie.
    offset: u64,
    /// Memory with whole pages in it, where writes go past the page cache.
    pages: Option<Vec<u8>>,
}

impl Sink {
    /// Makes the file anew. `direct` asks to go past the page cache, where that can be done.
    pub(super) fn new(fs: &dyn Fs, path: &Path, direct: bool) -> Result<Self> {
        let mut file = None;
        if direct {
            match fs.open(path, OpenMode::TRUNCATE.direct()) {
                // Some file systems have nothing but a cache.
                Err(cause) if cause.kind == FsErrorKind::InvalidInput => {}
                outcome => file = Some(outcome?),
            }
        }
        let piece = if file.is_some() { PIECE_DIRECT } else { PIECE };
        let pages = file.is_some().then(|| Vec::with_capacity(2 * piece + PAGE));
        let file = file.map_or_else(|| fs.open(path, OpenMode::TRUNCATE), Ok)?;
        let pending = Vec::with_capacity(piece + piece / 4);
        Ok(Self { file, pending, piece, offset: 0, pages })
    }

    /// How long the file is, with what is not written yet.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// Writes where there is enough to write.
    pub(super) fn write_some(&mut self) -> Result<()> {
        if self.pending.len() < self.piece {
            return Ok(());
        }
        let len = if self.pages.is_some() {
            self.pending.len() / PAGE * PAGE
        } else {
            self.pending.len()
        };
        self.write(len)
    }

    /// Writes the rest. Returns the length of the file.
    pub(super) fn finish(&mut self) -> Result<u64> {
        let size = self.end();
        if self.pages.is_some() {
            self.pending.resize(self.pending.len().next_multiple_of(PAGE), 0);
        }
        self.write(self.pending.len())?;
        if self.end() > size {
            self.file.set_len(size)?;
        }
        Ok(size)
    }

    /// Makes durable what was written, with the length of the file.
    pub(super) fn sync(&self) -> Result<()> {
        if self.pages.is_some() {
            self.file.sync_all()?;
        } else {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn write(&mut self, len: usize) -> Result<()> {
        match &mut self.pages {
            None => self.file.write_all_at(&self.pending[..len], self.offset)?,
            Some(pages) => {
                pages.clear();
                pages.reserve(len + PAGE);
                let start = pages.as_ptr().align_offset(PAGE);
                pages.resize(start, 0);
                pages.extend_from_slice(&self.pending[..len]);
                self.file.write_all_at(&pages[start..], self.offset)?;
            }
        }
        self.offset += len as u64;
        self.pending.drain(..len);
        Ok(())
    }
}
