//! The parts of a table's file, and how each is sealed.
//!
//! ```text
//!   | block | block | ... | filter | index | properties | footer |
//!
//!   part    | bytes, perhaps compressed | codec: u8 | crc32c |
//!   footer  | filter, index, properties: offset u64, len u32 each | version | crc32c | magic |
//! ```
//!
//! The checksum of a part begins with the number of the table and the part's place, so that bytes
//! which were written for another place do not pass. `docs/lsm/format.md` draws every byte.

use std::path::{Path, PathBuf};

use env::fs::File;

use super::index::Extent;
use crate::codec::{Put, Taker};
use crate::{Error, Result};

/// The version that this crate writes.
pub(crate) const VERSION: u32 = 1;
/// Length of the footer.
pub(crate) const FOOTER: usize = 52;
/// What the maker of Zstandard takes for the usual.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;
const MAGIC: [u8; 8] = *b"STRATATB";
/// What stands behind the bytes of a part.
const SEAL: usize = 5;

/// How the bytes of a block are compressed. The numbers are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None = 0,
    /// LZ4 blocks: fast, and about half the size for text.
    Lz4 = 1,
    /// Zstandard, of its third level: a third smaller than LZ4, and several times slower. Only with
    /// the feature `zstd`, which needs a C compiler.
    Zstd = 2,
}

impl Codec {
    /// Whether this build has it.
    pub(crate) fn check(self) -> Result<()> {
        if self == Self::Zstd && !cfg!(feature = "zstd") { Err(Error::NoZstd) } else { Ok(()) }
    }

    /// The compressed bytes with their length before them; none where nothing is compressed.
    fn compress(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Lz4 => Some(lz4_flex::block::compress_prepend_size(bytes)),
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let len = u32::try_from(bytes.len()).ok()?;
                let compressed = zstd::bulk::compress(bytes, ZSTD_LEVEL).ok()?;
                Some([&len.to_le_bytes()[..], &compressed].concat())
            }
            _ => None,
        }
    }
}

/// The file of a table.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.table"))
}

/// The table of a file name, `None` for other files.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".table").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn checksum(table: u64, offset: u64, bytes: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(crc32c::crc32c(&table.to_le_bytes()), &offset.to_le_bytes());
    crc32c::crc32c_append(place, bytes)
}

/// Turns the bytes from `start` on into a part that will lie at `offset`.
pub(crate) fn seal(table: u64, offset: u64, codec: Codec, bytes: &mut Vec<u8>, start: usize) {
    let mut used = Codec::None;
    if let Some(compressed) = codec.compress(&bytes[start..]) {
        // What saves less than an eighth costs more time than it is worth.
        if compressed.len() < bytes.len() - start - (bytes.len() - start) / 8 {
            bytes.truncate(start);
            bytes.extend_from_slice(&compressed);
            used = codec;
        }
    }
    bytes.put_u8(used as u8);
    let sum = checksum(table, offset, &bytes[start..]);
    bytes.put_u32(sum);
}

/// Reads a part and checks it.
pub(crate) fn read(file: &dyn File, table: u64, at: Extent, what: &'static str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; at.len as usize];
    file.read_exact_at(&mut bytes, at.offset)?;
    unseal(table, at.offset, bytes)?.ok_or_else(|| damaged(file, at.offset, what))
}

/// What is in a part that lies at `offset`; `None` where it does not check. Fails only where this
/// build lacks the codec.
pub(crate) fn unseal(table: u64, offset: u64, mut bytes: Vec<u8>) -> Result<Option<Vec<u8>>> {
    if bytes.len() < SEAL {
        return Ok(None);
    }
    let sum_at = bytes.len() - 4;
    if Taker(&bytes[sum_at..]).u32() != Some(checksum(table, offset, &bytes[..sum_at])) {
        return Ok(None);
    }
    let codec = bytes[sum_at - 1];
    bytes.truncate(sum_at - 1);
    match codec {
        0 => Ok(Some(bytes)),
        1 => Ok(lz4_flex::block::decompress_size_prepended(&bytes).ok()),
        2 => unpack_zstd(&bytes),
        _ => Ok(None),
    }
}

#[cfg(feature = "zstd")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn unpack_zstd(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut taker = Taker(bytes);
    // The checksum was right, so that the length is what was written.
    let len = taker.u32().map(|it| it as usize);
    Ok(len.and_then(|it| zstd::bulk::decompress(taker.0, it).ok()))
}

#[cfg(not(feature = "zstd"))]
fn unpack_zstd(_: &[u8]) -> Result<Option<Vec<u8>>> {
    Err(Error::NoZstd)
}

/// The lengths of all beginnings of `bytes` whose checksums are those of parts at `offset`: one
/// pass for the first. Chance makes one of four billion places look like an end.
pub(crate) fn sealed_ends(table: u64, offset: u64, bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut sum = checksum(table, offset, &[]);
    (1..bytes.len().saturating_sub(3)).filter_map(move |sum_at| {
        sum = crc32c::crc32c_append(sum, &bytes[sum_at - 1..sum_at]);
        (Taker(&bytes[sum_at..]).u32() == Some(sum)).then_some(sum_at + 4)
    })
}

/// A file whose bytes are not what was written.
pub(crate) fn damaged(file: &dyn File, offset: u64, what: &'static str) -> Error {
    Error::Corrupt { path: file.path().to_owned(), offset, what }
}

/// Where the parts behind the blocks lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footer {
    pub(crate) filter: Extent,
    pub(crate) index: Extent,
    pub(crate) properties: Extent,
}

impl Footer {
    pub(crate) fn encode(&self, table: u64, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER);
        for part in [self.filter, self.index, self.properties] {
            bytes.put_u64(part.offset);
            bytes.put_u32(part.len);
        }
        bytes.put_u32(VERSION);
        let sum = checksum(table, offset, &bytes);
        bytes.put_u32(sum);
        bytes.extend_from_slice(&MAGIC);
        bytes
    }

    /// Reads the footer of a file of this length.
    pub(crate) fn read(file: &dyn File, table: u64, size: u64) -> Result<Self> {
        let corrupt = || damaged(file, size, "footer");
        let offset = size.checked_sub(FOOTER as u64).ok_or_else(corrupt)?;
        let mut bytes = vec![0; FOOTER];
        file.read_exact_at(&mut bytes, offset)?;
        let mut taker = Taker(&bytes);
        let mut part = || {
            let extent = Extent { offset: taker.u64()?, len: taker.u32()? };
            (extent.offset.checked_add(u64::from(extent.len))? <= offset).then_some(extent)
        };
        let parts = (part(), part(), part());
        let version = taker.u32().ok_or_else(corrupt)?;
        let sum = taker.u32().ok_or_else(corrupt)?;
        if taker.0 != MAGIC || sum != checksum(table, offset, &bytes[..FOOTER - 12]) {
            return Err(corrupt());
        }
        if version != VERSION {
            return Err(Error::Newer { path: file.path().to_owned(), version });
        }
        let (Some(filter), Some(index), Some(properties)) = parts else { return Err(corrupt()) };
        Ok(Self { filter, index, properties })
    }
}
