//! An open file of the machine.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FallocateFlags};
use rustix::io::{Errno, pread, pwrite, retry_on_intr, write};

use super::mapped::OsMapped;
use super::{File, FsError, FsErrorKind, Result, length, refused};
use crate::fs::Mapped;

/// A descriptor and the path that it was opened by.
#[derive(Debug)]
pub(super) struct OsFile {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    /// Whether the descriptor writes at the end whatever the offset (`O_APPEND`).
    pub(super) appends: bool,
}

impl OsFile {
    /// Only the failing path pays for a copy of the path.
    fn check<T>(&self, operation: &'static str, result: rustix::io::Result<T>) -> Result<T> {
        result.map_err(|errno| FsError::from_errno(operation, &self.path, errno))
    }
}

impl File for OsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.check("read", retry_on_intr(|| pread(&self.fd, &mut *buffer, offset)))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        assert!(!self.appends, "{} was opened for appending only", self.path.display());
        let count = self.check("write", retry_on_intr(|| pwrite(&self.fd, bytes, offset)))?;
        self.require_progress(count, bytes)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        assert!(self.appends, "{} was not opened for appending", self.path.display());
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.check("append to", retry_on_intr(|| write(&self.fd, rest)))?;
            rest = &rest[self.require_progress(count, rest)?..];
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.check("sync", retry_on_intr(|| fs::fdatasync(&self.fd)))
    }

    #[cfg(target_os = "linux")]
    fn write_out(&self, range: std::ops::Range<u64>) {
        // Who says that pages are not needed has them written, without a wait, and where they are
        // whole and clean let go. An error has nobody to go to: a sync meets it too.
        let len = std::num::NonZeroU64::new(range.end.saturating_sub(range.start));
        if len.is_some() {
            fs::fadvise(&self.fd, range.start, len, fs::Advice::DontNeed).ok();
        }
    }

    fn sync_all(&self) -> Result<()> {
        self.check("sync", retry_on_intr(|| fs::fsync(&self.fd)))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.check("set the length of", retry_on_intr(|| fs::ftruncate(&self.fd, len)))
    }

    fn size(&self) -> Result<u64> {
        Ok(length(&self.check("measure", fs::fstat(&self.fd))?))
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::empty();
        self.check("preallocate", retry_on_intr(|| fs::fallocate(&self.fd, flags, 0, len)))
    }

    fn map(&self, len: usize) -> Result<Box<dyn Mapped>> {
        // A mapping beyond the end would be ended by a signal at its first use.
        if self.size()? < len as u64 {
            return Err(refused("map", &self.path, FsErrorKind::UnexpectedEnd));
        }
        Ok(Box::new(self.check("map", OsMapped::new(&self.fd, &self.path, len))?))
    }
}

impl OsFile {
    /// A device that takes nothing and names no error would make a loop of us.
    fn require_progress(&self, count: usize, bytes: &[u8]) -> Result<usize> {
        if count == 0 && !bytes.is_empty() {
            return Err(FsError::from_errno("write", &self.path, Errno::IO));
        }
        Ok(count)
    }
}
