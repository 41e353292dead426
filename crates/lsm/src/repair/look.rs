//! Looking at all of a store, to see what is damaged. Nothing is changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::fs::{Fs, FsErrorKind};

use crate::batch::{self, FamilyId};
use crate::cache::Cache;
use crate::manifest::{self, Remains};
use crate::table::{self, Survey, Table, TableMeta};
use crate::values::Values;
use crate::version::Place;
use crate::{Error, Result};

/// The state of a table's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Whole,
    /// It, or a value that it points to, is not what was written.
    Damaged,
    Missing,
}

/// A table that the manifest names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) family: FamilyId,
    pub(super) place: Place,
    pub(super) meta: TableMeta,
    pub(super) health: Health,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) remains: Remains,
    pub(super) named: Vec<Named>,
    pub(super) values: Values,
    pub(super) log_is_whole: bool,
    /// The first segment of the log.
    pub(super) log_begin: Option<u64>,
    /// Whether the manifest does not know all tables.
    pub(super) is_stale: bool,
}

impl Found {
    pub(super) fn is_healthy(&self) -> bool {
        !self.is_stale
            && self.log_is_whole
            && self.named.iter().all(|it| it.health == Health::Whole)
    }

    pub(super) fn whole_tables(&self) -> usize {
        self.named.iter().filter(|it| it.health == Health::Whole).count()
    }
}

/// The folder with tables of a store.
pub(super) fn tables_of(store: &Path) -> PathBuf {
    store.join("tables")
}

/// The numbers of the files in a folder, by what their names say.
pub(super) fn numbers(
    fs: &dyn Fs,
    folder: &Path,
    number: impl Fn(&str) -> Option<u64>,
) -> Result<Vec<u64>> {
    if !fs.exists(folder)? {
        return Ok(Vec::new());
    }
    let entries = fs.list(folder)?;
    Ok(entries.iter().filter_map(|it| number(it.name.to_str()?)).collect())
}

pub(super) fn look(fs: &Arc<dyn Fs>, store: &Path) -> Result<Found> {
    let remains = manifest::salvage(&**fs, &store.join("manifest"))?;
    let tables = tables_of(store);
    let there = numbers(&**fs, &tables, table::number)?;
    // Nothing is read twice, so that there is nothing to keep.
    let cache = Cache::new(0);
    let values = Values::new(Arc::clone(fs), store, &cache)?;
    let mut named = Vec::new();
    for (&family, facts) in &remains.facts.families {
        for (place, meta) in facts.tables.values() {
            let health = if there.contains(&meta.number) {
                let table = Table::open(&**fs, &tables, meta.clone(), &cache, &values);
                health(table.and_then(|it| it.verify()))?
            } else {
                Health::Missing
            };
            named.push(Named { family, place: *place, meta: meta.clone(), health });
        }
    }
    let mut unnamed = Vec::new();
    for number in there.into_iter().filter(|it| !remains.facts.has_table(*it)) {
        unnamed.push(table::survey(&**fs, &tables, number)?);
    }
    let (log_is_whole, log_begin) = look_at_log(&**fs, &store.join("log"))?;
    let is_missing = named.iter().any(|it| it.health == Health::Missing);
    let is_stale = !remains.is_whole
        || is_missing && !unnamed.is_empty()
        || unnamed.iter().any(|it| proves_an_edit(&remains, it, log_begin));
    Ok(Found { remains, named, values, log_is_whole, log_begin, is_stale })
}

/// Damage as an answer; other errors stay errors.
fn health(outcome: Result<()>) -> Result<Health> {
    match outcome {
        Ok(()) => Ok(Health::Whole),
        Err(cause) if is_damage(&cause) => Ok(Health::Damaged),
        Err(cause) => Err(cause),
    }
}

/// Whether bytes are wrong or missing, and the disk as such is well.
pub(super) fn is_damage(cause: &Error) -> bool {
    match cause {
        Error::Corrupt { .. } => true,
        Error::Fs(cause) => {
            matches!(cause.kind, FsErrorKind::NotFound | FsErrorKind::UnexpectedEnd)
        }
        _ => false,
    }
}

/// Whether the log can be read as it is, and the segment with which it begins.
fn look_at_log(fs: &dyn Fs, log: &Path) -> Result<(bool, Option<u64>)> {
    let mut has_strange_records = false;
    let outcome = wal::peek(fs, log, |_, record| {
        has_strange_records |= batch::decode(record).is_none();
    });
    let is_whole = match outcome.map_err(Error::from) {
        Ok(()) => !has_strange_records,
        Err(cause) if is_damage(&cause) => false,
        Err(cause) => return Err(cause),
    };
    Ok((is_whole, wal::salvage(fs, log, |_, _| ()).map_err(Error::from)?.segments.first().copied()))
}

/// Whether a table that the manifest does not name shows that an edit is missing there: where that
/// is the last one, it leaves no other trace. What a crash leaves of a merge knows no more of the
/// log than the manifest does, and what it leaves of a flush is in the log still.
fn proves_an_edit(remains: &Remains, table: &Survey, log_begin: Option<u64>) -> bool {
    let facts = &remains.facts;
    let family = table.origin.as_ref().map_or(0, |it| it.family);
    let Some(known) = facts.families.get(&family) else { return family > facts.last_family };
    match &table.origin {
        Some(origin) if !origin.replaces.is_empty() => Some(origin.flushed) > known.flushed,
        _ => {
            let is_gone = |begin| begin > known.flushed.map_or(1, |it| it.segment);
            facts.copy_of.is_none() && table.meta.is_some() && log_begin.is_none_or(is_gone)
        }
    }
}
