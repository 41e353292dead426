//! What can be read of a damaged manifest, and a new one in its place.

use std::path::Path;
use std::sync::Arc;

use env::fs::Fs;
use wal::{Backend, Log, Position};

use super::{Edit, Facts, decode, encode};
use crate::Result;

/// What is left of a manifest.
#[derive(Debug)]
pub(crate) struct Remains {
    /// What the readable edits say, in their order.
    pub(crate) facts: Facts,
    /// Whether nothing is missing that could change it: all edits from the last one on that said
    /// everything, or from the very first.
    pub(crate) is_whole: bool,
    /// The numbers of the segments that there are.
    pub(crate) segments: Vec<u64>,
}

/// Reads what can be read of the manifest in `folder`.
pub(crate) fn salvage(fs: &dyn Fs, folder: &Path) -> Result<Remains> {
    let mut facts = Facts::default();
    let mut first = None;
    // The last edit that said everything.
    let mut reset = None;
    let mut unreadable: Option<Position> = None;
    let found = wal::salvage(fs, folder, |at, record| {
        first = first.or(Some(at));
        match decode(record) {
            None => unreadable = Some(at),
            Some(edits) => {
                if edits.first() == Some(&Edit::Reset) {
                    reset = Some(at);
                }
                for edit in edits {
                    facts.apply(edit);
                }
            }
        }
    })?;
    let is_whole = match (first, reset) {
        _ if found.has_more => false,
        (_, Some(reset)) => {
            found.gaps.iter().all(|it| it.to <= reset) && unreadable.is_none_or(|it| it < reset)
        }
        (Some(first), None) => first.segment == 1 && found.gaps.is_empty() && unreadable.is_none(),
        (None, None) => false,
    };
    Ok(Remains { facts, is_whole, segments: found.segments })
}

/// Writes a manifest that says all of `facts`, durably, as one segment of this number, which is
/// above 1.
pub(crate) fn write_anew(
    fs: &Arc<dyn Fs>,
    folder: &Path,
    number: u64,
    segment_len: u32,
    facts: &Facts,
) -> Result<()> {
    let everything = encode(&facts.edits());
    let room = u32::try_from(everything.len().saturating_mul(2)).unwrap_or(u32::MAX);
    let segment_len = segment_len.max(room.saturating_add(1 << 10));
    let options = wal::Options { segment_len, backend: Backend::Written, spares_max: 0 };
    let log = Log::open(Arc::clone(fs), folder, options)?;
    log.restart(number)?;
    log.append(&everything)?;
    Ok(log.sync()?)
}
