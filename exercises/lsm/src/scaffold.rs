//! What the stages need and what is the point of none of them: given, to be used as it is.
//!
//! | for stages | what                                                                         |
//! |------------|------------------------------------------------------------------------------|
//! | all        | [`Error`], [`Result`], [`checksum`], [`folder`]; [`Encode`], [`Decode`]      |
//! | 2 to 8     | [`Version`], and the order of versions                                       |
//! | 2          | [`Memtable`]: sorted versions that threads share                             |
//! | 3, 5, 6    | [`Source`]: versions one by one; [`source`], [`versions`]                    |
//! | 3          | [`PartsWriter`], [`Parts`]: a file of parts with checksums; [`BLOCK_BYTES`]  |
//! | 4          | [`hash`]                                                                     |
//! | 6          | [`LEVEL0_TABLES`], [`LEVEL_RATIO`]                                           |
//! | 7, 8       | [`Change`], [`Options`]; [`Files`], [`Manifest`], [`Levels`]; [`Moments`]    |

mod codec;
mod files;
mod levels;
mod memtable;
mod parts;

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use codec::{Decode, Encode, versions};
use env::fs::FsError;
pub use files::{Files, Manifest};
use harness::sync::Mutex;
pub use levels::Levels;
pub use memtable::Memtable;
pub use parts::{Part, Parts, PartsWriter};

/// The folder of a file.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] FsError),
    /// Bytes are not what was written.
    #[error("{} is damaged: {what}; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        what: &'static str,
    },
    /// An earlier write failed, and nobody knows how much of it is on the disk.
    #[error("an earlier write failed; open the store anew, which goes by what is on the disk")]
    Failed,
}

/// What the functions of this exercise return.
pub type Result<T> = std::result::Result<T, Error>;

/// What a key was given at one moment: a value, or its removal.
///
/// Versions are ordered by key, and those of one key from the newest to the oldest. The value has
/// no part in it: two versions of one key and number are equal.
#[derive(Clone, Debug)]
pub struct Version {
    /// The key.
    pub key: Vec<u8>,
    /// The number of the batch that wrote it. Later batches have larger numbers.
    pub sequence: u64,
    /// The value; `None`, a tombstone, where the key was removed.
    pub value: Option<Vec<u8>>,
}

impl Version {
    /// A version.
    pub fn new(key: &[u8], sequence: u64, value: Option<&[u8]>) -> Self {
        Self { key: key.to_vec(), sequence, value: value.map(<[u8]>::to_vec) }
    }

    /// What stands before all versions of a key that are not newer than `sequence`, and behind all
    /// that are: where a search for one begins.
    pub fn at(key: &[u8], sequence: u64) -> Self {
        Self::new(key, sequence, None)
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + 64
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.cmp(&other.key);
        by_key.then_with(|| Reverse(self.sequence).cmp(&Reverse(other.sequence)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// Versions in their order, one by one, as far as they can be read.
pub type Source<'a> = Box<dyn Iterator<Item = Result<Version>> + 'a>;

/// Versions that are at hand, one by one.
pub fn source<'a>(versions: Vec<Version>) -> Source<'a> {
    Box::new(versions.into_iter().map(Ok))
}

/// A checksum of bytes. That of no bytes is 0.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// A hash of a key, all of whose bits are good.
pub fn hash(key: &[u8]) -> u64 {
    let folded = key.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// One change of a batch: a key, and its value or its removal.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// So many tables on level 0, and they are merged into level 1.
pub const LEVEL0_TABLES: usize = 4;

/// A level below the first may have so many times the bytes of the one above.
pub const LEVEL_RATIO: u64 = 8;

/// A block of a table ends when it has so many bytes.
pub const BLOCK_BYTES: usize = 4096;

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether a write that returned survives a loss of power, and not only the end of its process.
    pub sync: bool,
    /// Bytes of a memtable that is full.
    pub memtable_bytes: usize,
}

impl Options {
    /// What level 1 may have: as much as a few memtables.
    pub fn level1_bytes(&self) -> u64 {
        self.memtable_bytes as u64 * LEVEL0_TABLES as u64
    }
}

/// The moments that somebody looks at, and how many do.
#[derive(Debug, Default)]
pub struct Moments(Mutex<BTreeMap<u64, usize>>);

impl Moments {
    /// Notes that somebody looks at the moment that `now` says, until what this returns is dropped.
    /// No other moment is taken, and none looked for, while `now` is asked.
    pub fn take(&self, now: impl FnOnce() -> u64) -> Moment<'_> {
        let mut moments = self.0.lock().expect("no holder panics");
        let number = now();
        *moments.entry(number).or_default() += 1;
        Moment { moments: self, number }
    }

    /// The first moment that somebody looks at; what `now` says where nobody does.
    pub fn oldest(&self, now: impl FnOnce() -> u64) -> u64 {
        let moments = self.0.lock().expect("no holder panics");
        moments.first_key_value().map_or_else(now, |(&moment, _)| moment)
    }
}

/// A moment that somebody looks at.
#[derive(Debug)]
pub struct Moment<'m> {
    moments: &'m Moments,
    /// The number of the last batch before it.
    pub number: u64,
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        let mut moments = self.moments.0.lock().expect("no holder panics");
        let count = moments.get_mut(&self.number).expect("it was counted when it was taken");
        *count -= 1;
        if *count == 0 {
            moments.remove(&self.number);
        }
    }
}
