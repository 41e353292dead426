//! Reading what is left of a damaged log.
//!
//! Opening a log stops at the first sign of damage, because nobody should go on writing behind it.
//! Whoever repairs wants the opposite: every record that still checks, and where something is
//! missing in between. Each record has checksums of its own, so that those behind a damaged one are
//! found by trying every place where a record could begin.

use std::path::Path;

use env::fs::{Fs, FsExt};

use crate::format::{self, ALIGN, HEAD, Head};
use crate::recovery::{records, segments};
use crate::{Error, Position, Result};

/// A stretch of a log without a whole record, though whole ones stand behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where the last record before it ends.
    pub from: Position,
    /// Where the first one behind it may begin.
    pub to: Position,
}

/// What [`salvage`] found besides records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// The stretches where records are missing, in order. A log without any is whole, but perhaps
    /// for its end.
    pub gaps: Vec<Gap>,
    /// The numbers of the segments whose files are there.
    pub segments: Vec<u64>,
    /// Whether other bytes than zeros follow the last record: of a record that was torn or damaged,
    /// or of the time before the segment was used again.
    pub has_more: bool,
}

/// Calls `visit` for every whole record of the log in `folder`, the oldest first, those behind
/// damage included, and changes nothing. Where there is no log there are no records.
///
/// Holds one segment in memory. Fails where the disk does, and where a segment is of a newer
/// version: what that means cannot be told from damage by who does not know it.
pub fn salvage(
    fs: &dyn Fs,
    folder: &Path,
    mut visit: impl FnMut(Position, &[u8]),
) -> Result<Salvaged> {
    let mut found = Salvaged::default();
    if !fs.exists(folder)? {
        return Ok(found);
    }
    let mut end: Option<Position> = None;
    for segment in segments(fs, folder)? {
        let path = format::path(folder, segment);
        end = Some(look_through(fs, &path, segment, end, &mut found, &mut visit)?);
    }
    Ok(found)
}

/// As [`salvage`] for the one segment of this number that a file holds, whatever its name: it may
/// have been kept when the log gave it up.
pub fn salvage_segment(
    fs: &dyn Fs,
    path: &Path,
    segment: u64,
    mut visit: impl FnMut(Position, &[u8]),
) -> Result<Salvaged> {
    let mut found = Salvaged::default();
    look_through(fs, path, segment, None, &mut found, &mut visit)?;
    Ok(found)
}

/// Notes what a segment holds, behind one that ends somewhere. Returns where this one does.
fn look_through(
    fs: &dyn Fs,
    path: &Path,
    segment: u64,
    end: Option<Position>,
    found: &mut Salvaged,
    visit: &mut impl FnMut(Position, &[u8]),
) -> Result<Position> {
    let bytes = fs.read_apart(path)?;
    let head = format::decode_head(segment, &bytes);
    if let Head::Newer(version) = head {
        return Err(Error::Newer { path: path.to_owned(), version });
    }
    let follows = match (&head, end) {
        (Head::Whole(said), Some(end)) => end.segment + 1 == segment && *said == end.offset,
        (Head::Whole(_), None) => true,
        _ => false,
    };
    let position = |offset| Position { segment, offset };
    if !follows {
        let from = end.unwrap_or(position(0));
        found.gaps.push(Gap { from, to: position(HEAD) });
    }
    let mut at = records(segment, &bytes, HEAD, |at, _, record| visit(at, record));
    while let Some(next) = next_record(segment, &bytes, at) {
        found.gaps.push(Gap { from: position(at), to: position(next) });
        at = records(segment, &bytes, next, |at, _, record| visit(at, record));
    }
    found.segments.push(segment);
    found.has_more = bytes.iter().skip(at as usize).any(|it| *it != 0);
    Ok(position(at))
}

/// The first record behind a place where none begins.
fn next_record(segment: u64, bytes: &[u8], from: u32) -> Option<u32> {
    let mut places = (from as usize..bytes.len()).step_by(ALIGN as usize);
    let found = places.find(|at| format::decode(segment, &bytes[*at..]).is_some())?;
    u32::try_from(found).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use harness::sim::SimDisk;

    use super::*;
    use crate::{Backend, Log, Options};

    const FOLDER: &str = "/log";

    /// A log of thirty records over several segments, and where each begins.
    fn filled(fs: &Arc<dyn Fs>) -> Vec<Position> {
        let options = Options { segment_len: 512, backend: Backend::Written, spares_max: 1 };
        let log = Log::open(Arc::clone(fs), Path::new(FOLDER), options).expect("the disk is well");
        let append = |number: u8| log.append(&[number; 40]).expect("the disk is well");
        let places = (0..30).map(append).collect();
        log.sync().expect("the disk is well");
        places
    }

    fn look(fs: &Arc<dyn Fs>) -> (Vec<Position>, Salvaged) {
        let mut places = Vec::new();
        let found = salvage(&**fs, Path::new(FOLDER), |at, record| {
            assert_eq!(record.len(), 40);
            places.push(at);
        });
        (places, found.expect("the disk is well"))
    }

    #[test]
    fn a_whole_log_has_no_gap() {
        let fs: Arc<dyn Fs> = SimDisk::new(1).mount();
        assert_eq!(look(&fs), (Vec::new(), Salvaged::default()), "there is no log");
        let places = filled(&fs);
        let (found, rest) = look(&fs);
        assert_eq!((found, rest.gaps, rest.has_more), (places, Vec::new(), false));
        assert!(rest.segments.len() > 3, "{:?}", rest.segments);
    }

    /// Whatever byte is flipped, all other records are found, and a gap where the one was.
    #[test]
    fn one_flipped_bit_costs_one_record() {
        let fs: Arc<dyn Fs> = SimDisk::new(1).mount();
        let places = filled(&fs);
        let last = places.last().expect("there are thirty").segment;
        for segment in 1..=last {
            let path = format::path(Path::new(FOLDER), segment);
            let whole = fs.read(&path).expect("it is there");
            let end = records(segment, &whole, HEAD, |_, _, _| ());
            for at in 0..end as usize {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at % 8);
                fs.write_atomic(&path, &bytes).expect("the disk is well");
                if matches!(format::decode_head(segment, &bytes), Head::Newer(_)) {
                    continue;
                }
                let (found, rest) = look(&fs);
                let hit = |it: &&Position| {
                    let from = it.offset as usize;
                    it.segment == segment && (from..from + 56).contains(&at)
                };
                let lost = places.iter().find(hit);
                let missing: Vec<_> = places.iter().filter(|it| !found.contains(it)).collect();
                assert_eq!(missing, lost.into_iter().collect::<Vec<_>>(), "{segment}: {at}");
                let is_last = lost == places.last() && lost.is_some();
                assert!(!rest.gaps.is_empty() || is_last && rest.has_more, "{segment}: {at}");
            }
            fs.write_atomic(&path, &whole).expect("the disk is well");
        }
        let middle = format::path(Path::new(FOLDER), 2);
        fs.remove_file(&middle).expect("it is there");
        let (found, rest) = look(&fs);
        assert!(found.iter().all(|it| it.segment != 2));
        let [gap] = rest.gaps[..] else { panic!("one gap: {:?}", rest.gaps) };
        assert_eq!((gap.from.segment, gap.to.segment), (1, 3));
    }
}
