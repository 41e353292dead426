//! What can go wrong with a file, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// An operation on a file that failed: which, on what, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {}: {kind}{}", path.display(), os_text(*code))]
pub struct FsError {
    /// What was tried, as a verb.
    pub operation: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// Why it failed.
    pub kind: FsErrorKind,
    /// The number that the operating system gave, where it gave one.
    pub code: Option<i32>,
}

/// Why an operation failed, by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FsErrorKind {
    /// There is no such file or directory.
    #[error("it does not exist; create it or correct the path")]
    NotFound,
    /// There is one already.
    #[error("it exists already; choose another name or remove it")]
    AlreadyExists,
    /// The disk or a quota is full. Nothing that was written before is harmed.
    #[error("the disk is full; free some space and try again")]
    NoSpace,
    /// The device failed. After a failed sync nothing unsynced may be trusted, nor synced again.
    #[error("the device failed; close the file, recover from what was synced, check the disk")]
    Io,
    /// Somebody else holds the lock.
    #[error("another process or handle has locked it; stop that one or choose another path")]
    Locked,
    /// The process may not do this here.
    #[error("permission denied; check owner, mode and whether the file system is read-only")]
    Denied,
    /// A directory that should be empty is not.
    #[error("the directory is not empty; remove what it holds first")]
    NotEmpty,
    /// A file where a directory was expected, or the other way round.
    #[error("a file is where a directory should be, or the other way round; correct the path")]
    WrongType,
    /// The file ended before the buffer was full.
    #[error("the file ends within the range; it is shorter than its user believes")]
    UnexpectedEnd,
    /// The arguments cannot be served, such as an unaligned buffer for direct I/O.
    #[error("the request is malformed; check offset, length and alignment")]
    InvalidInput,
    /// The file system cannot do this.
    #[error("the file system does not support it; use another one or do without")]
    Unsupported,
    /// The process has too many open files.
    #[error("too many files are open; close some or raise the limit (`ulimit -n`)")]
    TooManyOpenFiles,
    /// The simulated machine is down, or the handle is from before it went down.
    #[error("the machine has crashed; mount its disk again")]
    Crashed,
    /// Anything else; the code says what.
    #[error("the operating system refused")]
    Other,
}

impl FsError {
    /// An error of a known kind.
    pub fn new(
        operation: &'static str,
        path: impl Into<PathBuf>,
        kind: FsErrorKind,
        code: Option<i32>,
    ) -> Self {
        Self { operation, path: path.into(), kind, code }
    }

    /// The error that the operating system gave the number `code`.
    pub fn from_code(operation: &'static str, path: &Path, code: i32) -> Self {
        // Linux has no other codes, and the conversion insists on it.
        let kind = match code {
            1..4_096 => kind_of(Errno::from_raw_os_error(code)),
            _ => FsErrorKind::Other,
        };
        Self::new(operation, path, kind, Some(code))
    }

    pub(super) fn from_errno(operation: &'static str, path: &Path, errno: Errno) -> Self {
        Self::from_code(operation, path, errno.raw_os_error())
    }
}

fn kind_of(errno: Errno) -> FsErrorKind {
    match errno {
        Errno::NOENT => FsErrorKind::NotFound,
        Errno::EXIST => FsErrorKind::AlreadyExists,
        Errno::NOSPC | Errno::DQUOT => FsErrorKind::NoSpace,
        Errno::IO => FsErrorKind::Io,
        Errno::AGAIN => FsErrorKind::Locked,
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::BADF => FsErrorKind::Denied,
        Errno::NOTEMPTY => FsErrorKind::NotEmpty,
        Errno::NOTDIR | Errno::ISDIR => FsErrorKind::WrongType,
        Errno::INVAL | Errno::FBIG | Errno::OVERFLOW => FsErrorKind::InvalidInput,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV => FsErrorKind::Unsupported,
        Errno::MFILE | Errno::NFILE => FsErrorKind::TooManyOpenFiles,
        _ => FsErrorKind::Other,
    }
}

/// What the system says about a code, in brackets.
fn os_text(code: Option<i32>) -> String {
    code.map(|code| format!(" ({})", io::Error::from_raw_os_error(code))).unwrap_or_default()
}
