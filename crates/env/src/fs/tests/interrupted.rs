//! A program that is stopped between any two steps leaves the old file or the new one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::folder;
use crate::fs::{
    DirEntry, File, Fs, FsError, FsErrorKind, FsExt, Lock, Mapped, OpenMode, OsFs, Result,
};

/// The machine's disk for a process that ends after a number of steps. What it did stays: that is a
/// kill. What a power cut does is the business of the simulated disk.
#[derive(Debug)]
struct Mortal {
    steps_left: AtomicU32,
}

impl Mortal {
    fn step(&self) -> Result<()> {
        // Relaxed: one thread.
        let left = self.steps_left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(FsError::new("live", "", FsErrorKind::Crashed, None));
        }
        // Relaxed: as above.
        self.steps_left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

/// A handle of such a process.
#[derive(Debug)]
struct MortalFile {
    inner: Box<dyn File>,
    fs: Arc<Mortal>,
}

#[derive(Clone, Debug)]
struct MortalFs(Arc<Mortal>);

impl MortalFs {
    fn new(steps: u32) -> Self {
        Self(Arc::new(Mortal { steps_left: AtomicU32::new(steps) }))
    }
}

impl Fs for MortalFs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        self.0.step()?;
        let inner = OsFs.open(path, mode)?;
        Ok(Box::new(MortalFile { inner, fs: Arc::clone(&self.0) }))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        OsFs.lock(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.step().and_then(|()| OsFs.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.step().and_then(|()| OsFs.link(from, to))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.0.step().and_then(|()| OsFs.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.0.step().and_then(|()| OsFs.remove_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.0.step().and_then(|()| OsFs.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        OsFs.list(path)
    }

    fn size(&self, path: &Path) -> Result<u64> {
        OsFs.size(path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        OsFs.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.0.step().and_then(|()| OsFs.sync_dir(path))
    }
}

impl File for MortalFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    /// Three bytes at a time, so that a process can end in the midst of a record.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.fs.step()?;
        self.inner.write_at(&bytes[..bytes.len().min(3)], offset)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        self.fs.step().and_then(|()| self.inner.append(bytes))
    }

    fn sync_data(&self) -> Result<()> {
        self.fs.step().and_then(|()| self.inner.sync_data())
    }

    fn sync_all(&self) -> Result<()> {
        self.fs.step().and_then(|()| self.inner.sync_all())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.fs.step().and_then(|()| self.inner.set_len(len))
    }

    fn size(&self) -> Result<u64> {
        self.inner.size()
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        self.fs.step().and_then(|()| self.inner.preallocate(len))
    }

    fn map(&self, len: usize) -> Result<Box<dyn Mapped>> {
        self.inner.map(len)
    }
}

/// Replaces `old` by `new` in a process of that many steps, and says whether it came to its end and
/// what is found afterwards.
fn replace(steps: u32, write: impl Fn(&MortalFs, &Path, &[u8]) -> Result<()>) -> (bool, Vec<u8>) {
    let folder = folder();
    let path = folder.path().join("CURRENT");
    OsFs.write_atomic(&path, b"the old one").unwrap();
    let finished = write(&MortalFs::new(steps), &path, b"the new one").is_ok();
    let found = OsFs.read(&path).unwrap();
    // What a dead process left behind is no obstacle.
    OsFs.write_atomic(&path, b"a third").unwrap();
    assert_eq!(OsFs.read(&path).unwrap(), b"a third");
    (finished, found)
}

#[test]
fn atomic_write_gives_old_or_new_wherever_it_is_stopped() {
    let mut seen_old = 0;
    for steps in 0.. {
        let (finished, found) = replace(steps, MortalFs::write_atomic);
        assert!(found == b"the old one" || found == b"the new one", "{steps} steps: {found:?}");
        seen_old += u32::from(found == b"the old one");
        if finished {
            assert_eq!(found, b"the new one");
            break;
        }
    }
    // Open, four writes, sync: the rename comes seventh.
    assert_eq!(seen_old, 7);
}

#[test]
fn write_in_place_would_be_caught() {
    let in_place = |fs: &MortalFs, path: &Path, bytes: &[u8]| {
        fs.open(path, OpenMode::TRUNCATE)?.write_all_at(bytes, 0)
    };
    let halves = (0..6).map(|steps| replace(steps, in_place).1);
    let half = halves.filter(|found| found != b"the old one" && found != b"the new one");
    assert!(half.count() >= 3, "a file that is overwritten in place is half at most steps");
}
