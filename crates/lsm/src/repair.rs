//! Repair: a store of which something is damaged or missing becomes one that opens.
//!
//! ```text
//!   look     manifest --------> what it says, and whether it says all
//!            each table ------> whole, or block by block
//!            log -------------> up to its damage
//!   write    repair/tables      what could be read of damaged tables, and of a damaged log
//!            repair/manifest    says everything, in one edit
//!            repair/plan        which file goes where <--- from here on there is no way back
//!   move     damaged files -> lost/1, new ones -> their places, each by one rename
//! ```
//!
//! Up to the plan nothing of the store is touched, and behind it there are only renames, any of
//! which may be done already: interrupted anywhere, a repair can be run again. Nothing is deleted.
//!
//! The order of versions is kept. A damaged table becomes one of the same number on the same level,
//! without what could not be read. Where the manifest itself is damaged nobody knows the levels any
//! more: then all tables that there are, but for those that others replaced, are merged into one
//! run by the numbers of their entries.
//!
//! What this cannot do: tell an entry that is lost from one that never was, or know which ranges
//! were removed when the manifest that knew it is gone. [`Repaired::lost`] names where that is so.

mod choose;
mod look;
mod plan;
mod report;
mod run;
mod write;

use std::path::Path;
use std::sync::Arc;

use env::fs::{Fs, OsFs};

pub use self::report::{Loss, Lost, Repaired};
use crate::{Error, Options, Result};

/// Repairs the store in a directory, which must not be open.
///
/// A store that is healthy is left as it is. What was damaged is moved into `lost/1` in the
/// directory, at the next repair into `lost/2`, and so on; when nobody needs it any more it can be
/// removed. Takes about as long as [`Db::verify`](crate::Db::verify), and where the manifest is
/// damaged as long as [`Db::compact`](crate::Db::compact) and as much room again.
///
/// The default options are good for every store; of other ones the sizes count for what is written.
///
/// # Errors
///
/// Refuses a store that is open, and one of a newer format, and ends where the disk does not give
/// or take bytes at all; then nothing was changed, or running it again finishes it.
pub fn repair(folder: impl AsRef<Path>, options: &Options) -> Result<Repaired> {
    repair_on(&(Arc::new(OsFs) as Arc<dyn Fs>), folder.as_ref(), options)
}

/// The same on another file system, such as a simulated one.
pub fn repair_on(fs: &Arc<dyn Fs>, folder: &Path, options: &Options) -> Result<Repaired> {
    options.check()?;
    if !fs.exists(&folder.join("manifest"))? && !fs.exists(&folder.join("tables"))? {
        return Err(Error::Missing(folder.to_owned()));
    }
    let _lock = fs.lock(&folder.join("LOCK"))?;
    if let Some(plan) = plan::read(&**fs, folder)? {
        return plan::carry_out(&**fs, folder, plan);
    }
    let found = look::look(fs, folder)?;
    if found.is_healthy() {
        return Ok(Repaired::healthy(found.whole_tables()));
    }
    let plan = write::write(fs, folder, options, &found)?;
    plan::carry_out(&**fs, folder, plan)
}
