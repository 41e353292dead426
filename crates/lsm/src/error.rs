//! What can go wrong with a store, by what the caller can do about it.

use std::fmt;
use std::path::PathBuf;

use env::fs::{FsError, FsErrorKind};
use thiserror::Error;

/// What an operation of a store returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused. What was acknowledged is safe; where the disk was full, writes go on by
    /// themselves once there is room.
    #[error("the store could not use its files: {0}")]
    Fs(#[from] FsError),

    /// A write or sync failed earlier, and what the disk holds since is unknown.
    #[error("the store stopped after an earlier failure ({0}); open it again to recover")]
    Stopped(String),

    /// Bytes of a file are not what was written.
    #[error("{path} is damaged at byte {offset} ({what}); restore it from a copy")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damaged part begins.
        offset: u64,
        /// Which part it is.
        what: &'static str,
    },

    /// A file was written by a newer version of this crate.
    #[error("{path} has format {version}, newer than this program reads; use a newer one")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version that it states.
        version: u32,
    },

    /// An entry to be ingested is not above the one before it.
    #[error("key {key} is not above the key before it; ingest sorts nothing: sort the entries")]
    Order {
        /// The key.
        key: Key,
    },

    /// A key, value or batch is larger than the store takes.
    #[error("{what} of {len} bytes is larger than the {limit} that a store takes; split it")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The largest length.
        limit: usize,
    },

    /// An option has a value that makes no sense.
    #[error("the option `{option}` is {value}, it must be {rule}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Its value.
        value: u64,
        /// What it must be.
        rule: &'static str,
    },

    /// There is no store, and it was not to be made.
    #[error("there is no store in {0}; set the option `create` or correct the path")]
    Missing(PathBuf),

    /// An entry was made by [`Db::merge`](crate::Db::merge), and nothing says what that means.
    #[error("a key has merge operands, and the option `merge_operator` is not set; set it")]
    NoMergeOperator,

    /// A block or an option asks for Zstandard.
    #[error("this program was built without Zstandard; build it with the feature `zstd` of lsm")]
    NoZstd,

    /// The work behind the writes panicked, most likely in a merge operator. It is tried again.
    #[error("a merge of tables panicked; its message says where, and it is tried again")]
    Panicked,

    /// Somebody changed a key that a transaction depends on. Nothing was written.
    #[error("key {key} of family `{family}` was changed meanwhile; begin the transaction again")]
    Conflict {
        /// The name of the family.
        family: String,
        /// The key.
        key: Key,
    },

    /// The directory of a copy was opened as a store, and has changes of its own.
    #[error("{0} is a store with changes of its own, not a copy; copy into another directory")]
    NotACopy(PathBuf),

    /// The answer lies on the disk, or the write has to wait, and the caller asked not to.
    #[error("this would wait for a disk or another writer; ask again where waiting does no harm")]
    WouldWait,

    /// A handle of a family is of another store, or of this one before it was opened again.
    #[error("a family of another store was given; open it by its name in the store that is used")]
    Foreign,

    /// The family that is always there was to be dropped.
    #[error("the default family stays for as long as its store; remove its keys instead")]
    DefaultFamily,

    /// The family was dropped.
    #[error("family {0} was dropped; open it again by its name")]
    Dropped(u32),
}

/// A key as it is shown: text where it is text, else escaped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(pub Vec<u8>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Whether this is a full disk: nothing is broken, and trying later helps.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Fs(cause) if cause.kind == FsErrorKind::NoSpace)
    }
}

impl From<wal::Error> for Error {
    fn from(cause: wal::Error) -> Self {
        match cause {
            wal::Error::Fs(cause) => Self::Fs(cause),
            wal::Error::Corrupt { path, offset } => {
                Self::Corrupt { path, offset: u64::from(offset), what: "log" }
            }
            wal::Error::Newer { path, version } => Self::Newer { path, version },
            wal::Error::TooLarge { len, limit } => Self::TooLarge { what: "a batch", len, limit },
            other => Self::Stopped(other.to_string()),
        }
    }
}
