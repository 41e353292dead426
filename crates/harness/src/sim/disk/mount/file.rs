//! An open file of the simulated disk, and a mapping of one.

use std::ops::Range;
use std::path::{Path, PathBuf};

use env::fs::{File, FsError, FsErrorKind, Intent, Mapped, OpenMode, Result};

use super::{Outcome, SimFs};
use crate::sim::coverage::Fault;
use crate::sim::disk::content::SECTOR;
use crate::sim::disk::tree::{Inode, code};
use crate::sim::disk::{State, below};

/// A handle: the number of the file, which survives its names.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) fs: SimFs,
    pub(super) path: PathBuf,
    pub(super) inode: Inode,
    pub(super) mode: OpenMode,
}

impl SimFile {
    fn change<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut State) -> Outcome<T>,
    ) -> Result<T> {
        self.fs.change(operation, &self.path, |state| {
            if self.mode.intent == Intent::Read { Err(code::BAD_HANDLE) } else { change(state) }
        })
    }

    fn write(&self, operation: &'static str, bytes: &[u8], offset: Option<u64>) -> Result<usize> {
        self.change(operation, |state| {
            let len = state.tree.file(self.inode)?.live.len();
            let offset = offset.map_or(Ok(len), index)?;
            self.require_aligned(offset, bytes.len())?;
            self.fail_write(state)?;
            let count = self.room_for(state, offset, bytes.len())?;
            state.tree.file_mut(self.inode)?.write(offset, &bytes[..count]);
            Ok(count)
        })
    }

    fn fail_write(&self, state: &mut State) -> Outcome<()> {
        let State { faults, random, .. } = state;
        if faults.write_error.strikes(random) {
            self.fs.machine.fault(Fault::WriteError, format_args!("{}", self.path.display()));
            return Err(code::IO);
        }
        Ok(())
    }

    /// How many of `len` bytes at `offset` the disk has room for.
    fn room_for(&self, state: &State, offset: usize, len: usize) -> Outcome<usize> {
        let Some(capacity) = state.faults.capacity else { return Ok(len) };
        let old_len = state.tree.file(self.inode)?.live.len();
        let room = capacity.saturating_sub(state.tree.used());
        let end = old_len.saturating_add(usize::try_from(room).unwrap_or(usize::MAX));
        let count = len.min(end.saturating_sub(offset));
        if count < len {
            self.fs.machine.fault(Fault::Full, format_args!("{}", self.path.display()));
        }
        if count == 0 && len > 0 { Err(code::NO_SPACE) } else { Ok(count) }
    }

    /// As the kernel checks it; the address of the buffer excepted, which no seed determines.
    fn require_aligned(&self, offset: usize, len: usize) -> Outcome<()> {
        let aligned = offset.is_multiple_of(SECTOR) && len.is_multiple_of(SECTOR);
        if self.mode.direct && !aligned { Err(code::INVALID) } else { Ok(()) }
    }

    fn sync(&self) -> Result<()> {
        self.fs.settle_file("sync", &self.path, self.inode, |tree| {
            tree.file_mut(self.inode)?.sync();
            Ok(())
        })
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.fs.look("read", &self.path, |state| {
            self.fs.machine.take_time(state);
            let State { faults, random, tree, .. } = state;
            if faults.read_error.strikes(random) {
                self.fs.machine.fault(Fault::ReadError, format_args!("{}", self.path.display()));
                return Err(code::IO);
            }
            let offset = index(offset)?;
            self.require_aligned(offset, buffer.len())?;
            let available = tree.file(self.inode)?.live.get(offset..).unwrap_or(&[]);
            let mut count = available.len().min(buffer.len());
            if count > 1 && faults.short_read.strikes(random) {
                count = 1 + below(random, count - 1);
                self.fs.machine.fault(Fault::ShortRead, format_args!("{}", self.path.display()));
            }
            buffer[..count].copy_from_slice(&available[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        let appends = self.mode.intent == Intent::Append;
        assert!(!appends, "{} was opened for appending only", self.path.display());
        self.write("write", bytes, Some(offset))
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        let appends = self.mode.intent == Intent::Append;
        assert!(appends, "{} was not opened for appending", self.path.display());
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.write("append to", rest, None)?..];
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> Result<()> {
        self.sync()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.fs.change("set the length of", &self.path, |state| {
            if self.mode.intent == Intent::Read {
                // Other than a write through such a handle; so the kernel has it.
                return Err(code::INVALID);
            }
            state.tree.file_mut(self.inode)?.set_len(index(len)?);
            Ok(())
        })
    }

    fn size(&self) -> Result<u64> {
        self.fs
            .look("measure", &self.path, |state| Ok(state.tree.file(self.inode)?.live.len() as u64))
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        // As on the machine: room for nothing is not asked for, whatever the handle may do.
        if len == 0 {
            return Ok(());
        }
        self.change("preallocate", |state| {
            let (old, new) = (state.tree.file(self.inode)?.live.len(), index(len)?);
            if new > old {
                if self.room_for(state, old, new - old)? < new - old {
                    return Err(code::NO_SPACE);
                }
                state.tree.file_mut(self.inode)?.set_len(new);
            }
            Ok(())
        })
    }

    fn map(&self, len: usize) -> Result<Box<dyn Mapped>> {
        if self.size()? < len as u64 {
            return Err(FsError::new("map", &self.path, FsErrorKind::UnexpectedEnd, None));
        }
        match (len, self.mode.intent) {
            (0, _) => Err(FsError::from_code("map", &self.path, code::INVALID)),
            (_, Intent::Read) => Err(FsError::from_code("map", &self.path, code::ACCESS)),
            _ => {
                let (fs, path) = (self.fs.clone(), self.path.clone());
                Ok(Box::new(SimMapped { fs, path, inode: self.inode, len }))
            }
        }
    }
}

/// A mapping: each store goes to the cache of the file, and the same crash awaits it.
#[derive(Debug)]
struct SimMapped {
    fs: SimFs,
    path: PathBuf,
    inode: Inode,
    len: usize,
}

impl SimMapped {
    fn require_fit(&self, offset: usize, len: usize) {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(fits, "{len} bytes at {offset} do not fit into a mapping of {}", self.len);
    }

    fn put(&self, offset: usize, bytes: &[u8]) {
        self.require_fit(offset, bytes.len());
        // A store cannot fail. That of a dead process is lost, and the next flush will tell.
        let _told_by_the_flush = self.fs.change("store", &self.path, |state| {
            state.tree.file_mut(self.inode)?.write(offset, bytes);
            Ok(())
        });
    }
}

impl Mapped for SimMapped {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.len
    }

    fn store(&mut self, offset: usize, bytes: &[u8]) {
        self.put(offset, bytes);
    }

    #[expect(unsafe_code, reason = "the trait leaves the promise to the caller; nothing needs it")]
    unsafe fn store_shared(&self, offset: usize, bytes: &[u8]) {
        self.put(offset, bytes);
    }

    fn load(&self, offset: usize, buffer: &mut [u8]) {
        self.require_fit(offset, buffer.len());
        let loaded = self.fs.look("load", &self.path, |state| {
            let content = state.tree.file(self.inode)?;
            buffer.copy_from_slice(&content.live[offset..offset + buffer.len()]);
            Ok(())
        });
        if loaded.is_err() {
            buffer.fill(0);
        }
    }

    fn flush_range(&self, range: Range<usize>) -> Result<()> {
        assert!(range.start <= range.end, "{range:?} ends before it begins");
        self.require_fit(range.start, range.end - range.start);
        self.fs.settle_file("flush", &self.path, self.inode, |tree| {
            tree.file_mut(self.inode)?.sync_range(range);
            Ok(())
        })
    }

    fn let_go(&self, range: Range<usize>) {
        self.require_fit(range.start, range.end - range.start);
    }
}

/// A position in a file that fits into memory.
fn index(offset: u64) -> Outcome<usize> {
    usize::try_from(offset).map_err(|_| code::INVALID)
}
