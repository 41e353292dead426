//! The bytes of a segment; `docs/wal/format.md` draws them.
//!
//! Every checksum begins with the number of the segment, which is never used twice while bytes of
//! it may be around, so that the bytes of one segment never parse in another: a recycled file needs
//! no cleaning. A record has two checksums. The one of its head, the *mark*, makes it cheap to look
//! for records among arbitrary bytes; the one of its bytes is then computed only where one begins.

use std::path::{Path, PathBuf};

/// Where a record begins. Positions grow in the order of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the segment.
    pub segment: u64,
    /// The byte in it.
    pub offset: u32,
}

impl Position {
    /// Where in the segment the bytes of the record begin, for who keeps segments and reads them.
    pub fn bytes_at(self) -> u32 {
        self.offset + PREFIX
    }
}

/// Length of a segment's head.
pub(crate) const HEAD: u32 = 32;
/// Length of what stands before each record's bytes.
pub(crate) const PREFIX: u32 = 16;
/// Records begin at multiples of this.
pub(crate) const ALIGN: u32 = 8;
/// The version that this crate writes.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"STRATAWL";
/// Bytes of a segment's head that its checksum covers.
const HEAD_SUMMED: usize = 24;

/// What the head of a segment says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// It is whole; the segment before it ends at this byte (0 for the first).
    Whole(u32),
    /// It is of a newer version.
    Newer(u32),
    /// It is not a head.
    Broken,
}

/// A record as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// How much of the segment was durable when it was written. Above zero it says too that all
    /// segments before this one were durable.
    pub(crate) durable: u32,
    pub(crate) bytes: &'a [u8],
}

/// The file of a segment of the log in `folder`.
pub fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016x}.wal"))
}

/// The file of a segment that waits to be used again.
pub(crate) fn spare_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016x}.spare"))
}

/// The file of a spare segment that was never used, made while `segment` was the next one.
pub(crate) fn fresh_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016x}-new.spare"))
}

/// The segment of a file name, `None` for other files.
pub fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// What a record of `len` bytes takes, prefix and padding included. None beyond 4 GiB.
pub(crate) fn span(len: usize) -> Option<u32> {
    u32::try_from(len).ok()?.checked_add(PREFIX)?.checked_next_multiple_of(ALIGN)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn checksum(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}

/// The head of a segment: magic, version, number, end of the segment before, checksum, zeros.
pub(crate) fn encode_head(segment: u64, previous_end: u32) -> [u8; HEAD as usize] {
    let mut head = [0; HEAD as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&segment.to_le_bytes());
    head[20..24].copy_from_slice(&previous_end.to_le_bytes());
    let sum = checksum(segment, &head[..HEAD_SUMMED]);
    head[24..28].copy_from_slice(&sum.to_le_bytes());
    head
}

/// Reads the head of a segment.
pub(crate) fn decode_head(segment: u64, bytes: &[u8]) -> Head {
    let (Some(version), Some(end), Some(sum), Some(zeros)) =
        (word(bytes, 8), word(bytes, 20), word(bytes, 24), word(bytes, 28))
    else {
        return Head::Broken;
    };
    if bytes[..8] != MAGIC || sum != checksum(segment, &bytes[..HEAD_SUMMED]) || zeros != 0 {
        return Head::Broken;
    }
    if version != VERSION {
        return Head::Newer(version);
    }
    if bytes[12..20] == segment.to_le_bytes() { Head::Whole(end) } else { Head::Broken }
}

/// What stands before the bytes of a record: mark, checksum, length and one, durable bytes. The
/// mark is the checksum of the last two; the other continues it over the bytes, which are given in
/// two parts.
pub(crate) fn prefix(segment: u64, durable: u32, parts: [&[u8]; 2]) -> [u8; PREFIX as usize] {
    let len = u32::try_from(parts[0].len() + parts[1].len());
    let len = len.expect("a record is shorter than a segment");
    let mut prefix = [0; PREFIX as usize];
    prefix[8..12].copy_from_slice(&(len + 1).to_le_bytes());
    prefix[12..].copy_from_slice(&durable.to_le_bytes());
    let mark = checksum(segment, &prefix[8..]);
    prefix[..4].copy_from_slice(&mark.to_le_bytes());
    let sum = parts.into_iter().fold(mark, crc32c::crc32c_append);
    prefix[4..8].copy_from_slice(&sum.to_le_bytes());
    prefix
}

/// Reads the record with which `bytes` begin; `None` where they begin with none.
pub(crate) fn decode(segment: u64, bytes: &[u8]) -> Option<Record<'_>> {
    let (mark, sum) = (word(bytes, 0)?, word(bytes, 4)?);
    let (len, durable) = (word(bytes, 8)?, word(bytes, 12)?);
    let end = len.checked_sub(1)?.checked_add(PREFIX)? as usize;
    if end > bytes.len() || mark != checksum(segment, &bytes[8..PREFIX as usize]) {
        return None;
    }
    let bytes = &bytes[PREFIX as usize..end];
    (sum == crc32c::crc32c_append(mark, bytes)).then_some(Record { durable, bytes })
}
