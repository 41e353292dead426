//! The simulated disk as a process sees it: `env::fs` over the tree of a machine.
//!
//! Every call goes one of three ways: *look* changes nothing and may fail, *change* changes what
//! everybody sees, *settle* makes it durable. The ways differ in which faults strike them and in
//! what a crash in their midst leaves: a change may have happened, a settlement has not.

mod file;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, MutexGuard};

use env::fs::{DirEntry, File, Fs, FsError, FsErrorKind, Intent, Lock, OpenMode, Result};

use super::tree::{Inode, Tree, code};
use super::{Machine, State};
use crate::sim::coverage::Fault;
use file::SimFile;

/// One process's view of a simulated disk. See [`SimDisk::mount`](super::SimDisk::mount).
#[derive(Clone)]
pub struct SimFs {
    machine: Arc<Machine>,
    /// The life of the machine that this belongs to.
    life: u64,
}

/// What an operation on the tree returns: the number of an error of the system.
type Outcome<T> = std::result::Result<T, i32>;

impl SimFs {
    pub(super) fn new(machine: Arc<Machine>, life: u64) -> Self {
        Self { machine, life }
    }

    /// The state, unless this process is dead.
    fn enter(&self, operation: &'static str, path: &Path) -> Result<MutexGuard<'_, State>> {
        let state = self.machine.lock();
        if state.is_down || state.life != self.life {
            return Err(FsError::new(operation, path, FsErrorKind::Crashed, None));
        }
        Ok(state)
    }

    fn look<T>(
        &self,
        operation: &'static str,
        path: &Path,
        look: impl FnOnce(&mut State) -> Outcome<T>,
    ) -> Result<T> {
        let mut state = self.enter(operation, path)?;
        look(&mut state).map_err(|code| FsError::from_code(operation, path, code))
    }

    fn change<T>(
        &self,
        operation: &'static str,
        path: &Path,
        change: impl FnOnce(&mut State) -> Outcome<T>,
    ) -> Result<T> {
        let mut state = self.enter(operation, path)?;
        let dies = self.begin_io(&mut state, operation, path);
        let outcome = change(&mut state);
        if dies {
            return Err(self.die(&mut state, operation, path));
        }
        outcome.map_err(|code| self.failed(operation, path, code))
    }

    fn settle(
        &self,
        operation: &'static str,
        path: &Path,
        settle: impl FnOnce(&mut State) -> Outcome<()>,
    ) -> Result<()> {
        let mut state = self.enter(operation, path)?;
        if self.begin_io(&mut state, operation, path) {
            return Err(self.die(&mut state, operation, path));
        }
        let State { faults, random, .. } = &mut *state;
        if faults.lose_sync.strikes(random) {
            self.machine.fault(Fault::LostSync, format_args!("{}", path.display()));
            return Ok(());
        }
        settle(&mut state).map_err(|code| self.failed(operation, path, code))
    }

    /// As [`SimFs::settle`], for what belongs to a file: the sync may fail.
    fn settle_file(
        &self,
        operation: &'static str,
        path: &Path,
        inode: Inode,
        settle: impl FnOnce(&mut Tree) -> Outcome<()>,
    ) -> Result<()> {
        self.settle(operation, path, |state| {
            let State { tree, faults, random, .. } = state;
            if faults.sync_error.strikes(random) {
                tree.file_mut(inode)?.forget_pending();
                self.machine.fault(Fault::SyncError, format_args!("{}", path.display()));
                return Err(code::IO);
            }
            settle(tree)
        })
    }

    /// Counts an I/O; says whether the power fails in its midst.
    fn begin_io(&self, state: &mut State, operation: &'static str, path: &Path) -> bool {
        self.machine.take_time(state);
        state.ios += 1;
        self.machine.note(format_args!("io {} {operation} {}", state.ios, path.display()));
        state.crash_at.is_some_and(|at| at <= state.ios)
    }

    fn die(&self, state: &mut State, operation: &'static str, path: &Path) -> FsError {
        self.machine.power_off(state, Fault::CrashAtIo);
        FsError::new(operation, path, FsErrorKind::Crashed, None)
    }

    fn failed(&self, operation: &'static str, path: &Path, code: i32) -> FsError {
        let error = FsError::from_code(operation, path, code);
        self.machine.note(format_args!("{error}"));
        error
    }
}

impl Fs for SimFs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let open = |state: &mut State| open(&mut state.tree, path, mode.intent);
        let inode = match mode.intent {
            Intent::Read | Intent::Write => self.look("open", path, open)?,
            _ => self.change("open", path, open)?,
        };
        Ok(Box::new(SimFile { fs: self.clone(), path: path.to_owned(), inode, mode }))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        let inode = self.change("lock", path, |state| {
            let inode = open(&mut state.tree, path, Intent::OpenOrCreate)?;
            if state.locks.insert(inode) { Ok(inode) } else { Err(code::LOCKED) }
        })?;
        Ok(Box::new(SimLock { fs: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change("rename", from, |state| state.tree.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.change("link", from, |state| state.tree.link_file(from, to))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.change("remove", path, |state| state.tree.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.change("remove", path, |state| state.tree.remove_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.change("create", path, |state| state.tree.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        self.look("list", path, |state| state.tree.list(path))
    }

    fn size(&self, path: &Path) -> Result<u64> {
        self.look("measure", path, |state| {
            let inode = state.tree.find(path)?;
            Ok(state.tree.file(inode)?.live.len() as u64)
        })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.look("look up", path, |state| match state.tree.find(path) {
            Ok(_) => Ok(true),
            Err(code::NOT_FOUND) => Ok(false),
            Err(code) => Err(code),
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.settle("sync directory", path, |state| state.tree.sync_dir(path))
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFs")
            .field("disk", &self.machine.name)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

fn open(tree: &mut Tree, path: &Path, intent: Intent) -> Outcome<Inode> {
    let place = tree.place(path)?;
    let found = tree.at(&place);
    if let Some(inode) = found {
        tree.file(inode)?;
    }
    match (found, intent) {
        (Some(_), Intent::CreateNew) => Err(code::EXISTS),
        (None, Intent::Read | Intent::Write) => Err(code::NOT_FOUND),
        (None, _) => Ok(tree.create_file(place)),
        (Some(inode), Intent::Truncate) => {
            tree.file_mut(inode)?.set_len(0);
            Ok(inode)
        }
        (Some(inode), _) => Ok(inode),
    }
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    inode: Inode,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.fs.machine.lock();
        // The lock of an earlier life went with it; the inode may be locked by a later one.
        if state.life == self.fs.life {
            state.locks.remove(&self.inode);
        }
    }
}
