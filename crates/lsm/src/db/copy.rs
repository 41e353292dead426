//! Copies of a store: whole, of one moment, while it goes on.
//!
//! ```text
//!   writers wait     switch all memtables              the moment
//!   flushes wait     write those memtables out         all that was written before is in tables
//!                    note the tables                   and nothing that was written later
//!   nobody waits     link or copy the tables           merges leave their files for so long
//!                    one edit of the copy's manifest   before it the old copy, behind it the new
//!                    remove what the old one had
//! ```
//!
//! Tables never change, so that a copy which is made anew takes only those that it does not have.
//! It knows them by their numbers, and the manifests say of which store the numbers are: a store
//! gets its identity when it is copied first, and a copy names the one it is of.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use env::fs::{FsErrorKind, OpenMode};
use env::random::{OsRandom, Random};

use super::core::{Core, FamilyCore};
use crate::manifest::{Edit, Facts, Manifest};
use crate::memtable::Memtable;
use crate::stamp::Sequence;
use crate::table::{self, TableMeta};
use crate::values;
use crate::version::{Place, Version};
use crate::{Error, Result};

/// Bytes are copied in pieces of this size.
const PIECE: usize = 1 << 20;

/// How the files of a copy come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// By another name for the same file, where the file system allows.
    Link,
    /// By their bytes.
    Bytes,
}

/// What a copy took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The number that tells the store from others.
    pub store: u64,
    /// Tables that were copied or linked.
    pub tables: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Tables that the copy had already.
    pub had: usize,
}

/// What belongs to a moment.
struct Moment {
    sequence: Sequence,
    families: Vec<(Arc<FamilyCore>, Arc<Version>)>,
}

/// For as long as it lives no file of a table is removed.
struct Keeping<'a>(&'a Core);

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        self.0.end_keeping();
    }
}

impl Core {
    /// Makes `folder` a copy of the store as it is now.
    pub(crate) fn copy_to(&self, folder: &Path, by: By) -> Result<Copied> {
        let fs = &*self.fs;
        let tables = folder.join("tables");
        fs.create_dir_all(&tables)?;
        let _lock = fs.lock(&folder.join("LOCK"))?;
        if fs.exists(&folder.join("log"))? {
            return Err(Error::NotACopy(folder.to_owned()));
        }
        fs.sync_dir(folder)?;
        fs.sync_dir(folder.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(folder))?;
        let segment_len = self.options.manifest_segment_len();
        let mut manifest = Manifest::open(&self.fs, &folder.join("manifest"), segment_len)?;
        let identity = self.identity()?;
        let _keeping = self.keep_files();
        let moment = self.moment()?;
        let known = manifest.facts().clone();
        let is_ours = known.copy_of == Some(identity);
        let mut copied = Copied { store: identity, ..Copied::default() };
        for (family, version) in &moment.families {
            for (_, table) in version.tables() {
                let meta = &table.meta;
                if is_ours && has(&known, family.id, meta) {
                    copied.had += 1;
                } else {
                    self.copy_table(&tables, meta, by)?;
                    copied.tables += 1;
                    copied.bytes += meta.size;
                }
            }
        }
        self.copy_values(folder, &moment, is_ours.then_some(&known), by)?;
        fs.sync_dir(&tables)?;
        let edits = moment.edits(identity);
        manifest.edit(&edits)?;
        let values = folder.join("values");
        for entry in fs.list(&values)? {
            let number = entry.name.to_str().and_then(values::number);
            if number.is_some_and(|it| !moment.values().contains(&it)) {
                fs.remove_file(&values.join(&entry.name))?;
            }
        }
        for entry in fs.list(&tables)? {
            let number = entry.name.to_str().and_then(table::number);
            if number.is_some_and(|it| !manifest.facts().has_table(it)) {
                fs.remove_file(&tables.join(&entry.name))?;
            }
        }
        Ok(copied)
    }

    /// The number that tells this store from others.
    fn identity(&self) -> Result<u64> {
        let mut manifest = self.manifest.lock();
        if let Some(identity) = manifest.facts().identity {
            return Ok(identity);
        }
        let identity = OsRandom.next_u64();
        manifest.edit(&[Edit::Identity(identity)])?;
        Ok(identity)
    }

    /// Writes out all that was written so far, and notes the tables that hold it.
    fn moment(&self) -> Result<Moment> {
        let writer = self.writer.lock();
        // Behind this lock no later memtable gets into the tables of this moment.
        let _no_flush = self.flushing.lock();
        let sequence = writer.last;
        let families = writer.families.clone();
        let mut waiting: Vec<(Arc<FamilyCore>, Arc<Memtable>)> = Vec::new();
        for family in &families {
            if !family.share().memtable.is_empty() {
                self.switch(family, 0);
            }
            let state = family.share();
            let oldest_first = state.immutables.iter().rev();
            waiting.extend(oldest_first.map(|it| (Arc::clone(family), Arc::clone(it))));
        }
        drop(writer);
        waiting.iter().try_for_each(|(family, memtable)| self.flush(family, memtable))?;
        let with_version = |family: Arc<FamilyCore>| {
            let version = Arc::clone(&family.share().version);
            (family, version)
        };
        Ok(Moment { sequence, families: families.into_iter().map(with_version).collect() })
    }

    fn copy_table(&self, folder: &Path, meta: &TableMeta, by: By) -> Result<()> {
        let source = table::path(&self.tables_folder(), meta.number);
        self.copy_file(&source, &table::path(folder, meta.number), meta.size, by)
    }

    /// Copies the files with values that tables point into, but for those that the copy has.
    fn copy_values(
        &self,
        folder: &Path,
        moment: &Moment,
        known: Option<&Facts>,
        by: By,
    ) -> Result<()> {
        let (here, there) = (self.meaning.values.folder(), folder.join("values"));
        self.fs.create_dir_all(&there)?;
        self.fs.sync_dir(folder)?;
        let tables = known.into_iter().flat_map(|it| it.families.values());
        let metas = tables.flat_map(|it| it.tables.values()).map(|it| &it.1);
        let has = values::pointed(metas);
        for number in moment.values() {
            let target = values::path(&there, number);
            let segment = wal::segment_path(&self.folder.join("log"), number);
            // It may leave the log between two looks.
            if !self.copy_segment(number, &segment, &target)? {
                let source = values::path(here, number);
                let size = self.fs.size(&source)?;
                // The copy may have a part of it, taken when it was the end of the log.
                if !has.contains_key(&number) || self.fs.size(&target)? != size {
                    self.copy_file(&source, &target, size, by)?;
                }
            }
        }
        Ok(self.fs.sync_dir(&there)?)
    }

    /// Copies the bytes of a segment that is part of the log: it may be written to still, and be
    /// used again. False where it is no part of it any more.
    fn copy_segment(&self, number: u64, segment: &Path, target: &Path) -> Result<bool> {
        let end = self.log.end();
        let written = |size| if number == end.segment { u64::from(end.offset) } else { size };
        let copy = || self.copy_file(segment, target, written(self.fs.size(segment)?), By::Bytes);
        match copy() {
            Err(Error::Fs(cause)) if cause.kind == FsErrorKind::NotFound => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    /// Copies a file over what the copy has of it, at once: until then it has what it had.
    fn copy_file(&self, source: &Path, target: &Path, size: u64, by: By) -> Result<()> {
        let fs = &*self.fs;
        let new = target.with_extension("new");
        if fs.exists(&new)? {
            fs.remove_file(&new)?;
        }
        // A file system without links, or another one, takes the bytes.
        if by == By::Bytes || fs.link(source, &new).is_err() {
            let source = fs.open(source, OpenMode::READ)?;
            let target = fs.open(&new, OpenMode::TRUNCATE)?;
            let mut piece = vec![0; PIECE];
            let mut offset = 0;
            while offset < size {
                let len = usize::try_from(size - offset).map_or(PIECE, |it| it.min(PIECE));
                source.read_exact_at(&mut piece[..len], offset)?;
                target.write_all_at(&piece[..len], offset)?;
                offset += len as u64;
            }
            target.sync_data()?;
        }
        fs.rename(&new, target)?;
        if fs.exists(&new)? {
            // Both were names of one file, and then a rename does nothing.
            fs.remove_file(&new)?;
        }
        Ok(())
    }

    fn keep_files(&self) -> Keeping<'_> {
        self.kept.lock().copies += 1;
        Keeping(self)
    }

    fn end_keeping(&self) {
        let mut kept = self.kept.lock();
        kept.copies -= 1;
        if kept.copies == 0 {
            let folder = self.tables_folder();
            for number in std::mem::take(&mut kept.waiting) {
                // What stays is found, and removed, when the store is opened next.
                self.fs.remove_file(&table::path(&folder, number)).ok();
            }
        }
    }
}

impl Moment {
    /// The files with values that its tables point into.
    fn values(&self) -> BTreeSet<u64> {
        let tables = self.families.iter().flat_map(|it| it.1.tables());
        values::pointed(tables.map(|it| &it.1.meta)).into_keys().collect()
    }

    /// What the manifest of the copy has to say.
    fn edits(&self, identity: u64) -> Vec<Edit> {
        let mut edits = vec![Edit::Reset, Edit::CopyOf(identity), Edit::Sequence(self.sequence)];
        for (family, version) in &self.families {
            edits.push(Edit::Family(family.id, family.name.clone()));
            let add = |(place, table): (Place, &Arc<table::Table>)| {
                Edit::Add(family.id, place, table.meta.clone())
            };
            edits.extend(version.places().map(add));
            let removals = version.removals.all().iter();
            edits.extend(removals.map(|it| Edit::Removal(family.id, it.clone())));
        }
        edits
    }
}

fn has(facts: &Facts, family: u32, meta: &TableMeta) -> bool {
    let family = facts.families.get(&family);
    family.and_then(|it| it.tables.get(&meta.number)).is_some_and(|it| it.1 == *meta)
}
