//! Reading a log without opening it.

use std::path::Path;

use env::fs::{Fs, FsExt};

use crate::recovery::{check, records, segments};
use crate::{Position, Result, format};

/// Calls `visit` for all records of the log in `folder`, the oldest first, as [`Log::open`] and
/// [`Log::replay`] would, and changes nothing: what they would cut off is left out. Where there is
/// no log there are no records.
///
/// A log that another process writes meanwhile may look damaged, since its segments are used again;
/// a second look then helps.
///
/// [`Log::open`]: crate::Log::open
/// [`Log::replay`]: crate::Log::replay
pub fn peek(fs: &dyn Fs, folder: &Path, mut visit: impl FnMut(Position, &[u8])) -> Result<()> {
    if !fs.exists(folder)? {
        return Ok(());
    }
    let Some((last, end)) = check(fs, folder)?.last else { return Ok(()) };
    for segment in segments(fs, folder)?.into_iter().filter(|it| *it <= last) {
        let bytes = fs.read_apart(&format::path(folder, segment))?;
        records(segment, &bytes, format::HEAD, |at, _, record| {
            if segment < last || at.offset < end {
                visit(at, record);
            }
        });
    }
    Ok(())
}
