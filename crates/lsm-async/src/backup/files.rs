//! The files on this side. Everything here may wait for a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use env::fs::{File, Fs, FsExt, Lock, OpenMode, OsFs};
use env::random::{OsRandom, Random};
use lsm::Result;

/// Checksums by the names of objects.
pub(super) type Sums = BTreeMap<String, u32>;

/// Bytes are read and checked in pieces of this size.
const PIECE: u64 = 1 << 20;
/// Behind the last byte that is not zero so many may belong to an edit: keys are shorter.
const ZEROS: usize = 128 << 10;

/// Held while such a folder comes or goes: who sees the lock of one that is about to go must not
/// take it for left over. Only one process has a store open.
static CHANGING: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder in which a checkpoint stands while it is uploaded. It goes with this, and with the
/// next backup where the process ended meanwhile.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    lock: Option<Box<dyn Lock>>,
    lock_path: PathBuf,
}

impl Scratch {
    pub(super) fn new(above: &Path) -> Result<Self> {
        let _held = one_at_a_time();
        OsFs.create_dir_all(above)?;
        for entry in OsFs.list(above)? {
            let name = entry.name.to_string_lossy();
            let Some(left_over) = name.strip_suffix(".lock") else { continue };
            let path = above.join(&entry.name);
            // Who uploads holds the lock.
            if let Ok(lock) = OsFs.lock(&path) {
                remove(&above.join(left_over), &path, lock)?;
            }
        }
        let name = format!("{:016x}", OsRandom.next_u64());
        let (path, lock_path) = (above.join(&name), above.join(format!("{name}.lock")));
        let lock = Some(OsFs.lock(&lock_path)?);
        Ok(Self { path, lock, lock_path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, and says so where it cannot.
    pub(super) fn remove(mut self) -> Result<()> {
        let _held = one_at_a_time();
        self.lock.take().map_or(Ok(()), |lock| remove(&self.path, &self.lock_path, lock))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            let _held = one_at_a_time();
            // What stays is removed before the next backup.
            remove(&self.path, &self.lock_path, lock).ok();
        }
    }
}

fn remove(folder: &Path, lock_path: &Path, lock: Box<dyn Lock>) -> Result<()> {
    if OsFs.exists(folder)? {
        OsFs.remove_dir_all(folder)?;
    }
    OsFs.remove_file(lock_path)?;
    drop(lock);
    Ok(())
}

/// A file of a checkpoint.
#[derive(Debug)]
pub(super) struct CopyFile {
    pub(super) path: PathBuf,
    /// Its name in the store.
    pub(super) name: String,
    /// The same as one part of an object's name.
    pub(super) label: String,
    pub(super) size: u64,
    pub(super) is_manifest: bool,
}

/// The files that make up a checkpoint.
pub(super) fn of_copy(folder: &Path) -> Result<Vec<CopyFile>> {
    let mut files = Vec::new();
    for part in ["tables", "values", "manifest"] {
        for entry in OsFs.list(&folder.join(part))? {
            let path = folder.join(part).join(&entry.name);
            let label = entry.name.to_string_lossy().into_owned();
            let (name, is_manifest) = (format!("{part}/{label}"), part == "manifest");
            let size = if is_manifest { used(&path)? } else { OsFs.size(&path)? };
            files.push(CopyFile { path, name, label, size, is_manifest });
        }
    }
    Ok(files)
}

/// The length of a manifest without the room that it has for more.
fn used(path: &Path) -> Result<u64> {
    let bytes = OsFs.read(path)?;
    let used = bytes.iter().rposition(|it| *it != 0).map_or(0, |at| at + 1);
    Ok(bytes.len().min(used + ZEROS) as u64)
}

/// Up to `len` bytes of a file from a place on.
pub(super) fn piece(path: &Path, offset: u64, len: u64) -> Result<Vec<u8>> {
    let file = OsFs.open(path, OpenMode::READ)?;
    let len = file.size()?.saturating_sub(offset).min(len);
    let mut bytes = vec![0; usize::try_from(len).expect("a piece fits into memory")];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The checksum of a file.
pub(super) fn sum(path: &Path) -> Result<u32> {
    let (mut sum, mut offset) = (0, 0);
    loop {
        let bytes = piece(path, offset, PIECE)?;
        if bytes.is_empty() {
            return Ok(sum);
        }
        (sum, offset) = (crc32c::crc32c_append(sum, &bytes), offset + bytes.len() as u64);
    }
}

/// Makes the directories of a store, durably; false where there is one already.
pub(super) fn prepare(fs: &dyn Fs, folder: &Path) -> Result<bool> {
    if fs.exists(&folder.join("log"))? {
        return Ok(false);
    }
    let manifest = folder.join("manifest");
    if fs.exists(&manifest)? && !fs.list(&manifest)?.is_empty() {
        return Ok(false);
    }
    let named = |it: &&Path| !it.as_os_str().is_empty();
    let mut new = vec![folder];
    for above in folder.ancestors().skip(1).filter(named) {
        if fs.exists(above)? {
            break;
        }
        new.push(above);
    }
    for part in ["tables", "values"] {
        fs.create_dir_all(&folder.join(part))?;
    }
    fs.sync_dir(folder)?;
    // A directory is named in the one above it. The store's own may be left over from a restoring
    // that ended before this.
    for it in new {
        fs.sync_dir(it.parent().filter(named).unwrap_or(Path::new(".")))?;
    }
    Ok(true)
}

/// A file that comes in piece by piece, under another name until it is whole.
#[derive(Debug)]
pub(super) struct Incoming {
    part: PathBuf,
    path: PathBuf,
    file: Box<dyn File>,
    size: u64,
    sum: u32,
}

impl Incoming {
    pub(super) fn new(store: &Path, path: PathBuf) -> Result<Self> {
        let part = store.join("incoming.part");
        let file = OsFs.open(&part, OpenMode::TRUNCATE)?;
        Ok(Self { part, path, file, size: 0, sum: 0 })
    }

    pub(super) fn append(mut self, bytes: &[u8]) -> Result<Self> {
        self.file.write_all_at(bytes, self.size)?;
        self.size += bytes.len() as u64;
        self.sum = crc32c::crc32c_append(self.sum, bytes);
        Ok(self)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn sum(&self) -> u32 {
        self.sum
    }

    /// Makes it durable under its name.
    pub(super) fn finish(self) -> Result<()> {
        self.file.sync_data()?;
        let folder = self.path.parent().unwrap_or(&self.path);
        OsFs.create_dir_all(folder)?;
        OsFs.rename(&self.part, &self.path)?;
        OsFs.sync_dir(folder)?;
        Ok(OsFs.sync_dir(self.part.parent().unwrap_or(folder))?)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use harness::sim::SimDisk;

    use super::*;

    /// Whatever a loss of power takes, it does not take the directory of a store that is restored.
    #[test]
    fn directories_of_a_store_outlive_a_loss_of_power() {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let folder = Path::new("/some/where/store");
            assert!(prepare(&*disk.mount(), folder).expect("the disk is well"));
            disk.crash();
            let fs = disk.mount();
            for part in ["tables", "values"] {
                assert!(fs.exists(&folder.join(part)).expect("the disk is well"), "seed {seed}");
            }
            assert!(prepare(&*fs, folder).expect("the disk is well"), "no store is there yet");
        }
    }

    #[test]
    fn scratch_folders_that_come_and_go_at_once_do_no_harm() {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let come_and_go = || {
            for _ in 0..300 {
                let scratch = Scratch::new(folder.path()).expect("nobody takes it for left over");
                scratch.remove().expect("it is still there");
            }
        };
        thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(come_and_go)));
        });
        assert!(OsFs.list(folder.path()).expect("it is there").is_empty());
    }
}
