//! On which terms the stores of a line work: what a write survives, and what is scarce.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};

use env::fs::{Fs, OsFs};
use harness::contract::{Durability, OrderedStore, StoreSpec};
use harness::duel::{OwnFigures, Start, Subject};
use rustix::fs::{Advice, Mode, OFlags, fadvise, fdatasync, open};

use super::{Loaded, Work, Working};

/// Where memory is tight, it is one part of so many.
const TIGHT: u64 = 5;

/// The terms of a line.
pub(super) trait Terms {
    const DURABILITY: Durability = Durability::Os;
    const COMPRESSED: bool = false;
    /// One part of so many of the memory is there.
    const MEMORY_PART: u64 = 1;
    /// Whether each pass begins with a closed store, its files not in memory.
    const COLD: bool = false;

    /// How a store is opened where so much memory is planned.
    fn spec(memory: u64) -> StoreSpec {
        StoreSpec {
            durability: Self::DURABILITY,
            memory_budget: memory / Self::MEMORY_PART,
            compressed: Self::COMPRESSED,
        }
    }
}

pub(super) struct Os;
pub(super) struct Synced;
pub(super) struct Lz4;
pub(super) struct Tight;
pub(super) struct Cold;

impl Terms for Os {}

impl Terms for Synced {
    const DURABILITY: Durability = Durability::Sync;
}

impl Terms for Lz4 {
    const COMPRESSED: bool = true;
}

impl Terms for Tight {
    const MEMORY_PART: u64 = TIGHT;
}

impl Terms for Cold {
    const COLD: bool = true;
}

/// A store that each pass finds closed, its files not in memory. Its first operation opens it.
pub(super) struct Anew<S, W> {
    open: RwLock<Option<Working<S, W>>>,
    closed: Mutex<Option<Loaded<()>>>,
}

impl<S: OrderedStore, W: Work> Anew<S, W> {
    pub(super) fn new(working: Working<S, W>) -> Self {
        Self { open: RwLock::new(Some(working)), closed: Mutex::new(None) }
    }

    fn with<T>(&self, ask: impl FnOnce(&Working<S, W>) -> T) -> T {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        ask(open.as_ref().expect("somebody has opened it"))
    }

    fn open(&self) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = closed.take() {
            let store = S::open(loaded.folder.path(), &loaded.spec);
            let ((), loaded) = loaded.exchange(store.expect("what was closed can be opened"));
            let working = Working { loaded, work: PhantomData };
            *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(working);
        }
    }
}

impl<S: OrderedStore, W: Work> Subject for Anew<S, W> {
    fn before_pass(&self) -> Start {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        let (store, loaded) = open.expect("a pass has opened it").loaded.exchange(());
        drop(store);
        evict(loaded.folder.path());
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        Start::Cold
    }

    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        self.open();
        self.with(|it| it.run(thread, round, operations))
    }

    fn own_figures(&self) -> OwnFigures {
        self.with(Subject::own_figures)
    }
}

/// Takes the files of a folder out of the page cache.
fn evict(folder: &Path) {
    for entry in OsFs.list(folder).expect("the folder is there") {
        let path = folder.join(&entry.name);
        if entry.is_dir {
            evict(&path);
            continue;
        }
        let file = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = file.expect("nobody removes files of a closed store");
        // What is not written yet cannot be let go.
        fdatasync(&file).expect("the disk is well");
        fadvise(&file, 0, None, Advice::DontNeed).expect("a file takes advice");
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;

    use env::fs::FsExt;
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::*;

    #[test]
    fn what_is_evicted_is_not_in_memory() {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let inner = folder.path().join("inner");
        OsFs.create_dir_all(&inner).expect("the temporary directory is writable");
        let path = inner.join("file");
        OsFs.write_atomic(&path, &[7; 1 << 13]).expect("the temporary directory is writable");
        let file = open(&path, OFlags::RDONLY, Mode::empty()).expect("it is there");
        let mut byte = [0; 1];
        let mut read =
            || preadv2(&file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT);
        if read() != Ok(1) {
            // The file system does not tell what is in memory.
            return;
        }
        evict(folder.path());
        assert_eq!(read(), Err(Errno::AGAIN));
    }
}
