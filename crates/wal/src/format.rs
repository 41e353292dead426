//! The bytes of a segment; `docs/wal/format.md` draws them.
//!
//! Every checksum begins with the number of the segment, which is never used twice while bytes of
//! it may be around, so that the bytes of one segment never parse in another.

use std::path::{Path, PathBuf};

/// Where a record begins. Positions grow in the order of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the segment.
    pub segment: u64,
    /// The byte in it.
    pub offset: u32,
}

/// Length of a segment's head.
pub(crate) const HEAD: u32 = 28;
/// Length of what stands before each record's bytes.
pub(crate) const PREFIX: u32 = 12;
/// The version that this crate writes.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"STRATAWL";

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
    /// How much of the segment was durable when it was written.
    pub(crate) durable: u32,
    pub(crate) bytes: &'a [u8],
}

/// The file of a segment.
pub(crate) fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016x}.wal"))
}

/// The segment of a file name, `None` for other files.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn checksum(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}

/// The head of a segment: magic, version, number, end of the segment before, checksum.
pub(crate) fn encode_head(segment: u64, previous_end: u32) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend(segment.to_le_bytes());
    head.extend(previous_end.to_le_bytes());
    head.extend(checksum(segment, &head).to_le_bytes());
    head
}

/// Reads the head of a segment.
pub(crate) fn decode_head(segment: u64, bytes: &[u8]) -> Head {
    let (Some(version), Some(end), Some(sum)) = (word(bytes, 8), word(bytes, 20), word(bytes, 24))
    else {
        return Head::Broken;
    };
    if bytes[..8] != MAGIC || sum != checksum(segment, &bytes[..24]) {
        return Head::Broken;
    }
    if version != VERSION {
        return Head::Newer(version);
    }
    if bytes[12..20] == segment.to_le_bytes() { Head::Whole(end) } else { Head::Broken }
}

/// A record with its prefix: checksum, length and one, durable bytes of the segment.
pub(crate) fn encode(segment: u64, durable: u32, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("a record is shorter than a segment");
    let mut record = vec![0; 4];
    record.reserve_exact(bytes.len() + 8);
    record.extend((len + 1).to_le_bytes());
    record.extend(durable.to_le_bytes());
    record.extend(bytes);
    let sum = checksum(segment, &record[4..]);
    record[..4].copy_from_slice(&sum.to_le_bytes());
    record
}

/// Reads the record with which `bytes` begin; `None` where they begin with none.
pub(crate) fn decode(segment: u64, bytes: &[u8]) -> Option<Record<'_>> {
    let (sum, len, durable) = (word(bytes, 0)?, word(bytes, 4)?, word(bytes, 8)?);
    let end = len.checked_sub(1)?.checked_add(PREFIX)? as usize;
    let record = bytes.get(4..end)?;
    (sum == checksum(segment, record)).then_some(Record { durable, bytes: &record[8..] })
}
