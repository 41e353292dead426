//! Finding the end of a log, and telling it from damage.
//!
//! A power cut may take any part of what was not synced: records in the middle, a head, a name.
//! What is left up to the first gap is the log, and the rest goes. It is *damage*, and an error,
//! only where something proves that the missing bytes were durable: a record that says so.

use std::path::Path;

use env::fs::{Fs, FsExt, OpenMode};

use crate::format::{self, ALIGN, HEAD, Head};
use crate::{Error, Position, Result};

/// What a segment holds.
#[derive(Debug)]
struct Scan {
    segment: u64,
    head: Head,
    /// Where the last whole record ends.
    end: u32,
    /// The most that any of its records, those behind a gap included, says was durable of it.
    durable: u32,
}

/// Calls `visit` for each record in a row from a place on, and returns where the last one ends.
pub(crate) fn records(
    segment: u64,
    bytes: &[u8],
    from: u32,
    mut visit: impl FnMut(Position, u32, &[u8]),
) -> u32 {
    let mut at = from;
    while let Some(record) = bytes.get(at as usize..).and_then(|rest| format::decode(segment, rest))
    {
        visit(Position { segment, offset: at }, record.durable, record.bytes);
        at += format::span(record.bytes.len()).expect("the record lies in a segment");
    }
    at
}

fn scan(segment: u64, bytes: &[u8]) -> Scan {
    let head = format::decode_head(segment, bytes);
    let mut durable = 0;
    let end = records(segment, bytes, HEAD, |_, said, _| durable = durable.max(said));
    // Behind the end nothing should check; whatever does was written after the gap.
    for at in (end as usize..bytes.len()).step_by(ALIGN as usize) {
        if let Some(record) = format::decode(segment, &bytes[at..]) {
            durable = durable.max(record.durable);
        }
    }
    let end = if matches!(head, Head::Whole(_)) { end } else { 0 };
    Scan { segment, head, end, durable }
}

/// The segments of a log in their order.
pub(crate) fn segments(fs: &dyn Fs, folder: &Path) -> Result<Vec<u64>> {
    let entries = fs.list(folder)?;
    Ok(entries.iter().filter_map(|it| format::number(it.name.to_str()?)).collect())
}

/// What [`check`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The last segment and where it ends; `None` where there is no whole one.
    pub(crate) last: Option<(u64, u32)>,
    /// Segments behind a gap, to be removed from the last one on.
    pub(crate) cut_off: Vec<u64>,
    /// What was found and no record vouches for: segment, and range of its bytes.
    pub(crate) doubtful: Vec<(u64, u32, u32)>,
}

impl Found {
    fn new(scans: &[Scan], last: Option<(u64, u32)>, cut_off: Vec<u64>) -> Self {
        let vouching = scans.iter().rev().find(|scan| scan.durable > 0);
        let (segment, durable) = vouching.map_or((0, 0), |scan| (scan.segment, scan.durable));
        let from = |scan: &Scan| if scan.segment == segment { durable } else { 0 };
        let found = scans.iter().filter(|scan| !cut_off.contains(&scan.segment));
        let doubtful = found.filter(|scan| scan.segment >= segment);
        let doubtful = doubtful.map(|scan| (scan.segment, from(scan), scan.end)).collect();
        Self { last, cut_off, doubtful }
    }
}

/// Reads all segments of a log; changes nothing.
pub(crate) fn check(fs: &dyn Fs, folder: &Path) -> Result<Found> {
    let mut scans = Vec::new();
    for segment in segments(fs, folder)? {
        let path = format::path(folder, segment);
        if fs.size(&path)? > u64::from(u32::MAX) {
            // Nobody writes one that long, and it need not fit into memory.
            return Err(Error::Corrupt { path, offset: u32::MAX });
        }
        scans.push(scan(segment, &fs.read_apart(&path)?));
    }
    let mut last = None;
    for (at, here) in scans.iter().enumerate() {
        let path = || format::path(folder, here.segment);
        if let Head::Newer(version) = here.head {
            return Err(Error::Newer { path: path(), version });
        }
        if here.durable > here.end {
            return Err(Error::Corrupt { path: path(), offset: here.end });
        }
        if !follows(here, last) {
            // A later record that speaks of durable bytes vouches for all segments before its own.
            if scans[at..].iter().any(|later| later.durable > 0) {
                let (segment, offset) = last.unwrap_or((here.segment, 0));
                return Err(Error::Corrupt { path: format::path(folder, segment), offset });
            }
            let cut_off = scans[at..].iter().map(|it| it.segment).collect();
            return Ok(Found::new(&scans, last, cut_off));
        }
        last = Some((here.segment, here.end));
    }
    Ok(Found::new(&scans, last, Vec::new()))
}

/// Whether a segment goes on where the one before it, if any is left, ends.
fn follows(here: &Scan, before: Option<(u64, u32)>) -> bool {
    match (&here.head, before) {
        (Head::Whole(said), Some((segment, end))) => segment + 1 == here.segment && *said == end,
        (Head::Whole(_), None) => true,
        _ => false,
    }
}

/// Writes again what no record vouches for. After a sync that failed, in a life before this one,
/// the system may show bytes that it has given up writing; only a new write is synced anew.
pub(crate) fn rewrite(fs: &dyn Fs, folder: &Path, doubtful: &[(u64, u32, u32)]) -> Result<()> {
    for &(segment, from, to) in doubtful.iter().filter(|(_, from, to)| from < to) {
        let file = fs.open(&format::path(folder, segment), OpenMode::WRITE)?;
        let mut bytes = vec![0; (to - from) as usize];
        file.read_exact_at(&mut bytes, u64::from(from))?;
        file.write_all_at(&bytes, u64::from(from))?;
    }
    Ok(())
}

/// Removes segments from the last one on, so that a crash in between leaves no gap.
pub(crate) fn remove(fs: &dyn Fs, folder: &Path, segments: &[u64]) -> Result<()> {
    for &segment in segments.iter().rev() {
        fs.remove_file(&format::path(folder, segment))?;
        fs.sync_dir(folder)?;
    }
    Ok(())
}

/// Removes what an earlier life kept to use again.
pub(crate) fn remove_spares(fs: &dyn Fs, folder: &Path) -> Result<()> {
    for entry in fs.list(folder)? {
        if Path::new(&entry.name).extension().is_some_and(|it| it == "spare") {
            fs.remove_file(&folder.join(&entry.name))?;
        }
    }
    Ok(())
}
