//! The machine's disk, by direct system calls.

mod file;
mod mapped;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{DirEntry, File, Fs, FsError, FsErrorKind, Intent, Lock, OpenMode, Result};
use file::OsFile;

/// Owner reads and writes, the rest as the process's mask says.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
/// The same, for directories.
const DIR_MODE: Mode = Mode::from_raw_mode(0o777);

/// The disk of the machine. It has no state: all values of this type are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OsFs;

impl Fs for OsFs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let fd = open("open", path, flags(mode))?;
        let appends = mode.intent == Intent::Append;
        Ok(Box::new(OsFile { fd, path: path.to_owned(), appends }))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        let fd = open("lock", path, OFlags::RDWR | OFlags::CREATE)?;
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        retry_on_intr(|| fs::flock(&fd, exclusive)).map_err(failed("lock", path))?;
        Ok(Box::new(OsLock { _fd: fd }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(failed("rename", from))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        fs::link(from, to).map_err(failed("link", from))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        fs::unlink(path).map_err(failed("remove", path))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        fs::rmdir(path).map_err(failed("remove", path))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        match create_dir(path) {
            // Another process may have made it; a file in its place is the caller's error.
            Err(Errno::EXIST) if is_dir(path) => Ok(()),
            Err(Errno::NOENT) => {
                let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) else {
                    return Err(failed("create", path)(Errno::NOENT));
                };
                self.create_dir_all(parent)?;
                create_dir(path).or_else(|errno| match errno {
                    Errno::EXIST => Ok(()),
                    errno => Err(failed("create", path)(errno)),
                })
            }
            result => result.map_err(failed("create", path)),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let fd = open("list", path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in Dir::new(fd).map_err(failed("list", path))? {
            let entry = entry.map_err(failed("list", path))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                let is_dir = match entry.file_type() {
                    // Some file systems keep the type elsewhere.
                    FileType::Unknown => is_dir(&path.join(name)),
                    kind => kind == FileType::Directory,
                };
                entries.push(DirEntry { name: name.to_owned(), is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn size(&self, path: &Path) -> Result<u64> {
        let stat = fs::stat(path).map_err(failed("measure", path))?;
        Ok(length(&stat))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        match fs::stat(path) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed("look up", path)(errno)),
        }
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let fd = open("sync directory", path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        retry_on_intr(|| fs::fsync(&fd)).map_err(failed("sync directory", path))
    }
}

/// The lock belongs to the open file that the descriptor names, and ends with it. A child process
/// does not inherit the descriptor.
#[derive(Debug)]
struct OsLock {
    _fd: OwnedFd,
}

impl Lock for OsLock {}

fn flags(mode: OpenMode) -> OFlags {
    let intent = match mode.intent {
        Intent::Read => OFlags::RDONLY,
        Intent::Write => OFlags::RDWR,
        Intent::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        Intent::OpenOrCreate => OFlags::RDWR | OFlags::CREATE,
        Intent::Truncate => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        Intent::Append => OFlags::RDWR | OFlags::CREATE | OFlags::APPEND,
    };
    if mode.direct { intent | OFlags::DIRECT } else { intent }
}

fn open(operation: &'static str, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    retry_on_intr(|| fs::open(path, flags | OFlags::CLOEXEC, FILE_MODE))
        .map_err(failed(operation, path))
}

fn create_dir(path: &Path) -> std::result::Result<(), Errno> {
    fs::mkdir(path, DIR_MODE)
}

fn is_dir(path: &Path) -> bool {
    fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn length(stat: &fs::Stat) -> u64 {
    u64::try_from(stat.st_size).expect("a length is not negative")
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> FsError {
    let path = PathBuf::from(path);
    move |errno| FsError::from_errno(operation, &path, errno)
}

/// A failure that no errno stands for.
fn refused(operation: &'static str, path: &Path, kind: FsErrorKind) -> FsError {
    FsError::new(operation, path, kind, None)
}
