//! Files: what a storage engine asks of a disk, and not one call more.
//!
//! [`Fs`] names things, [`File`] reads and writes one of them, [`Mapped`] is a file as memory. The
//! engines hold an `Arc<dyn Fs>`: an indirect call costs two nanoseconds, the cheapest system call
//! a hundred, and no type above needs a parameter for the disk. [`OsFs`] is the machine's disk;
//! `harness::sim` has one that loses, tears and forgets whatever the rules below allow.
//!
//! # What survives
//!
//! ```text
//!                      after a kill        after a power cut
//!   written            kept                any part, in any order, or nothing
//!   + sync_data        kept                kept
//!   mapped, stored     kept                any part, in any order, or nothing
//!   + flush_range      kept                kept, in that range
//!   created, renamed,
//!   or removed         kept                either before or after
//!   + sync_dir         kept                kept
//! ```
//!
//! The rules are those that POSIX gives, not those that one file system happens to keep. Three are
//! easy to forget: a synced file is gone if its *directory* was not synced; a rename is atomic, yet
//! it may be durable while the bytes of the renamed file are not; and after a sync that failed,
//! what it was to write may be gone though a second sync reports success (Rebello et al., "Can
//! applications recover from fsync failures?", USENIX ATC 2020), so that nobody may try it again.
//!
//! ```
//! use env::fs::{Fs, FsExt, OpenMode, OsFs};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let fs = OsFs;
//! let file = fs.open(&folder.join("log"), OpenMode::CREATE_NEW)?;
//! file.write_all_at(b"first record", 0)?;
//! file.sync_data()?; // the bytes are durable,
//! fs.sync_dir(folder)?; // and so is their name
//! assert_eq!(fs.read(&folder.join("log"))?, b"first record");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this module does not do
//!
//! It has no policy: no buffer, no retry (only an interrupted system call is repeated), no sync
//! that was not asked for. It knows no links, owners or times. Paths are taken as they come.

mod error;
mod ext;
mod mode;
mod os;

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::Path;

pub use error::{FsError, FsErrorKind};
pub use ext::{Draft, FsExt};
pub use mode::{Intent, OpenMode};
pub use os::OsFs;

/// What an operation of this module returns.
pub type Result<T> = std::result::Result<T, FsError>;

/// A tree of files and directories.
pub trait Fs: fmt::Debug + Send + Sync {
    /// Opens a file. A file that this creates has a durable name only after [`Fs::sync_dir`].
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>>;

    /// Takes the exclusive lock of the file at `path`, which is created where it is missing; fails
    /// with [`FsErrorKind::Locked`] at once where another holder, in this process or another, has
    /// it. Dropping the guard releases it, and so does the end of the process, however it ends.
    ///
    /// The lock is advisory: it keeps out only those who ask for it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>>;

    /// Gives `from` the name `to`, replacing what had that name. Atomic; durable after
    /// [`Fs::sync_dir`] of the directory (both of them where they differ).
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file one name more, in the same file system; fails where `to` exists. Durable after
    /// [`Fs::sync_dir`]. The bytes are one and the same, so this is for files that do not change.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes the name of a file. Who has it open can go on using it.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<()>;

    /// Creates a directory and those above it that are missing; nothing happens where it exists.
    /// Each new directory is durable after a [`Fs::sync_dir`] of the one above it.
    fn create_dir_all(&self, path: &Path) -> Result<()>;

    /// What a directory holds, sorted by name.
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>>;

    /// The length of a file in bytes.
    fn size(&self, path: &Path) -> Result<u64>;

    /// Whether there is a file or directory of this name.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// Makes the names in a directory durable: what was created, renamed and removed there.
    fn sync_dir(&self, path: &Path) -> Result<()>;
}

/// An open file. All reads and writes say where; there is no cursor, so that threads can share it.
pub trait File: fmt::Debug + Send + Sync {
    /// The path by which it was opened, for messages.
    fn path(&self) -> &Path;

    /// Reads up to `buffer.len()` bytes at `offset` and returns how many. Zero means that the file
    /// ends there; any other number may be smaller than asked for, at any time.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes a part of `bytes` at `offset` and returns its length, which is never zero unless
    /// `bytes` is empty. A gap that this leaves reads as zeros.
    ///
    /// Panics for a file opened with [`Intent::Append`], where an offset has no meaning.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize>;

    /// Writes all of `bytes` behind the present end. After an error a part of them may be there.
    ///
    /// Panics unless the file was opened with [`Intent::Append`].
    fn append(&self, bytes: &[u8]) -> Result<()>;

    /// Makes durable what was written, and the length; not the name. After an error the state of
    /// everything unsynced is unknown for good: see the module's header.
    fn sync_data(&self) -> Result<()>;

    /// Has the device begin to write a range, so that a [`File::sync_data`] which follows has less
    /// to wait for. It promises nothing, and is nothing where the system has no such call; where it
    /// fails the sync does. Pages of the range may leave the system's cache.
    fn write_out(&self, _range: Range<u64>) {}

    /// As [`File::sync_data`], and times and permissions too, which nothing here asks about.
    fn sync_all(&self) -> Result<()>;

    /// Cuts the file, or extends it by zeros that take no room.
    fn set_len(&self, len: u64) -> Result<()>;

    /// The present length in bytes.
    fn size(&self) -> Result<u64>;

    /// Reserves room for the first `len` bytes, so that writing them cannot fail for want of
    /// space. A shorter file is extended by zeros, a longer one stays as it is.
    fn preallocate(&self, len: u64) -> Result<()>;

    /// The first `len` bytes as memory. The file must be open for writing, at least that long, and
    /// must not be cut below `len` while the mapping lives: the machine ends the process where a
    /// mapped page has no file behind it.
    fn map(&self, len: usize) -> Result<Box<dyn Mapped>>;

    /// Fills `buffer` from `offset` on, or fails with [`FsErrorKind::UnexpectedEnd`].
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let count = self.read_at(&mut buffer[done..], offset + done as u64)?;
            if count == 0 {
                let kind = FsErrorKind::UnexpectedEnd;
                return Err(FsError::new("read", self.path(), kind, None));
            }
            done += count;
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`. After an error a part of them may be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            done += self.write_at(&bytes[done..], offset + done as u64)?;
        }
        Ok(())
    }
}

/// A part of a file as memory: a store instead of a system call. For logs.
///
/// What is stored survives a kill at once and a power cut after [`Mapped::flush_range`]. It is
/// written and read by copying, never lent as a slice: memory that a file stands behind may change
/// under a reference, and the simulation must see each store.
pub trait Mapped: fmt::Debug + Send + Sync {
    /// The path of the file, for messages.
    fn path(&self) -> &Path;

    /// The length in bytes.
    fn len(&self) -> usize;

    /// Whether there is nothing to store into.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `bytes` to `offset`. Panics where they do not fit.
    fn store(&mut self, offset: usize, bytes: &[u8]);

    /// As [`Mapped::store`], for threads that have divided the range among themselves. Panics where
    /// the bytes do not fit.
    ///
    /// # Safety
    ///
    /// The range must not overlap that of a `store_shared` or a [`Mapped::load`] that another
    /// thread makes at the same time.
    #[expect(unsafe_code, reason = "that ranges are disjoint is known to the caller alone")]
    unsafe fn store_shared(&self, offset: usize, bytes: &[u8]);

    /// Fills `buffer` from `offset` on. Panics where the range ends too early.
    fn load(&self, offset: usize, buffer: &mut [u8]);

    /// Makes durable what was stored in `range`, and whatever shares a page with it. After an error
    /// the same holds as after one of [`File::sync_data`]. Panics where `range` does not fit.
    fn flush_range(&self, range: Range<usize>) -> Result<()>;

    /// Says that `range` is not used for a while, so that the process need not count it as its
    /// memory. Nothing is lost: what was stored is in the file, and comes back at the next use.
    /// Panics where `range` does not fit.
    fn let_go(&self, range: Range<usize>);
}

/// A held lock; see [`Fs::lock`].
pub trait Lock: fmt::Debug + Send + Sync {}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirEntry {
    /// The name, without the directory.
    pub name: OsString,
    /// Whether it is a directory itself.
    pub is_dir: bool,
}

#[cfg(test)]
mod tests;
