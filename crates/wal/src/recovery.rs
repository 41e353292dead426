//! Finding the end of a log, and telling it from damage.

use std::path::Path;

use env::fs::{Fs, FsExt};

use crate::format::{self, HEAD, Head, PREFIX};
use crate::{Error, Position, Result};

/// What a segment holds.
#[derive(Debug)]
struct Scan {
    head: Head,
    /// Where the last whole record ends.
    end: u32,
    /// Whether durable bytes behind `end` are damaged.
    is_damaged: bool,
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a segment is shorter than four gigabytes")
}

/// Calls `visit` for each record in a row, and returns where the last one ends.
pub(crate) fn records(segment: u64, bytes: &[u8], mut visit: impl FnMut(Position, &[u8])) -> u32 {
    let mut at = HEAD as usize;
    while let Some(record) = bytes.get(at..).and_then(|rest| format::decode(segment, rest)) {
        visit(Position { segment, offset: offset(at) }, record.bytes);
        at += PREFIX as usize + record.bytes.len();
    }
    offset(at)
}

fn scan(segment: u64, bytes: &[u8]) -> Scan {
    let head = format::decode_head(segment, bytes);
    // The head is durable before the first record is written, so a broken one has none behind it.
    let end = if head == Head::Broken { 0 } else { records(segment, bytes, |_, _| {}) };
    let is_damaged = (end as usize..bytes.len())
        .filter_map(|at| format::decode(segment, &bytes[at..]))
        .any(|later| later.durable > end);
    Scan { head, end, is_damaged }
}

/// The segments of a log in their order.
pub(crate) fn segments(fs: &dyn Fs, folder: &Path) -> Result<Vec<u64>> {
    let entries = fs.list(folder)?;
    Ok(entries.iter().filter_map(|it| format::number(it.name.to_str()?)).collect())
}

/// The segments of a log, and where each ends, after a check of all of them. A last segment whose
/// creation was cut short is removed.
pub(crate) fn check(fs: &dyn Fs, folder: &Path) -> Result<Vec<(u64, u32)>> {
    let mut found: Vec<(u64, u32)> = Vec::new();
    let segments = segments(fs, folder)?;
    for (at, &segment) in segments.iter().enumerate() {
        let path = format::path(folder, segment);
        let scan = scan(segment, &fs.read(&path)?);
        let is_last = at + 1 == segments.len();
        match scan.head {
            Head::Newer(version) => return Err(Error::Newer { path, version }),
            Head::Broken if is_last && !scan.is_damaged => {
                fs.remove_file(&path)?;
                fs.sync_dir(folder)?;
                continue;
            }
            Head::Broken => return Err(Error::Corrupt { path, offset: 0 }),
            Head::Whole(_) if scan.is_damaged => {
                return Err(Error::Corrupt { path, offset: scan.end });
            }
            Head::Whole(end) => follows(folder, found.last(), segment, end)?,
        }
        found.push((segment, scan.end));
    }
    Ok(found)
}

/// Whether a segment stands behind the one before it, which must end where its head says.
fn follows(folder: &Path, before: Option<&(u64, u32)>, segment: u64, end: u32) -> Result<()> {
    match before {
        Some(&(number, found)) if number + 1 != segment || found != end => {
            Err(Error::Corrupt { path: format::path(folder, number), offset: found })
        }
        _ => Ok(()),
    }
}
