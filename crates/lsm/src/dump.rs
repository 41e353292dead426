//! The files of a store as text, for people who want to see the bytes.
//!
//! Which kind of file it is, its name and its folder tell, as `docs/lsm/format.md` lists them. What
//! is damaged is named where it stands, and what comes before it was shown by then.

use std::path::Path;

use env::fs::{Fs, OpenMode};

use crate::batch::{self, Change};
use crate::manifest::{self, Edit};
use crate::table::{damaged, dump_table};
use crate::values::BY_MERGE;
use crate::{Result, table, values};

/// So much of a value is shown.
const SHOWN: usize = 64;

/// Calls `line` with one line for each part of a file of a store: of a table with its parts, blocks
/// and entries; of the log, and of what it left as a file of values, with its records and changes;
/// of the manifest with its edits.
///
/// # Errors
///
/// [`Error::Corrupt`](crate::Error::Corrupt) where a table is damaged, and where the name is none
/// of a store's. Records that a log has lost are lines, since those behind them are there.
pub fn dump(fs: &dyn Fs, path: &Path, mut line: impl FnMut(String)) -> Result<()> {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let is_manifest = path.parent().is_some_and(|it| it.ends_with("manifest"));
    if let Some(number) = table::number(name) {
        dump_table(fs, path, number, line)
    } else if let Some(number) = wal::segment_number(name) {
        let show = if is_manifest { edits } else { changes };
        dump_records(fs, path, number, show, line)
    } else if let Some(number) = values::number(name) {
        if number & BY_MERGE == 0 {
            return dump_records(fs, path, number, changes, line);
        }
        let size = fs.open(path, OpenMode::READ)?.size()?;
        line(format!("{size} bytes of values that a merge wrote; its tables tell them apart"));
        Ok(())
    } else {
        Err(damaged(&*fs.open(path, OpenMode::READ)?, 0, "name"))
    }
}

fn dump_records(
    fs: &dyn Fs,
    path: &Path,
    number: u64,
    show: fn(&[u8]) -> Option<Vec<String>>,
    mut line: impl FnMut(String),
) -> Result<()> {
    let found = wal::salvage_segment(fs, path, number, |at, record| {
        line(format!("record at {}, {} bytes", at.offset, record.len()));
        match show(record) {
            Some(inside) => inside.into_iter().for_each(|it| line(format!("  {it}"))),
            None => line("  is none of this version".to_owned()),
        }
    })?;
    for gap in &found.gaps {
        line(format!("damaged      from {} to {}", gap.from.offset, gap.to.offset));
    }
    if found.has_more {
        line(
            "behind       a record that was torn, or what the file held in an earlier use"
                .to_owned(),
        );
    }
    Ok(())
}

fn changes(record: &[u8]) -> Option<Vec<String>> {
    let (first, changes) = batch::decode(record)?;
    let shown = |(number, change): (u64, &Change<'_>)| {
        let Change { kind, family, key, value } = change;
        let value = value_shown(value);
        format!("family {family} \"{}\" {kind:?}@{number} = {value}", key.escape_ascii())
    };
    Some((first..).zip(&changes).map(shown).collect())
}

fn edits(record: &[u8]) -> Option<Vec<String>> {
    Some(manifest::decode(record)?.iter().map(edit).collect())
}

fn edit(edit: &Edit) -> String {
    match edit {
        Edit::Reset => "nothing before holds any more".to_owned(),
        Edit::Family(family, name) => format!("family {family} is `{name}`"),
        Edit::DropFamily(family) => format!("family {family} is gone"),
        Edit::Add(family, place, meta) => {
            let (smallest, largest) = (meta.smallest.escape_ascii(), meta.largest.escape_ascii());
            format!(
                "family {family} has table {}, level {}, run {}, {} bytes, {} entries, keys \
                 \"{smallest}\" to \"{largest}\"",
                meta.number, place.level, place.run, meta.size, meta.entries
            )
        }
        Edit::Remove(family, table) => format!("family {family} has no table {table}"),
        Edit::Flushed(family, at) => {
            let (segment, offset) = (at.segment, at.offset);
            format!("family {family} is in tables up to {offset} of segment {segment}")
        }
        Edit::Sequence(sequence) => format!("changes up to {sequence} were made"),
        Edit::Removal(family, removal) => {
            let (start, end) = (removal.start.escape_ascii(), removal.end.escape_ascii());
            format!("family {family} lost \"{start}\" to \"{end}\" by change {}", removal.sequence)
        }
        Edit::Forget(family, sequence) => {
            format!("family {family} needs removal {sequence} no more")
        }
        Edit::Identity(identity) => format!("this is store {identity:016x}"),
        Edit::CopyOf(identity) => format!("this is a copy of store {identity:016x}"),
    }
}

/// A value, cut where it is long.
pub(crate) fn value_shown(value: &[u8]) -> String {
    let shown = &value[..value.len().min(SHOWN)];
    let more = if shown.len() < value.len() { "..." } else { "" };
    format!("{} bytes \"{}\"{more}", value.len(), shown.escape_ascii())
}
