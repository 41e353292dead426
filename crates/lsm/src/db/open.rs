//! Opening: the manifest says which tables there are, the log what came after them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_epoch as epoch;
use env::fs::Fs;
use wal::{Log, Position};

use super::core::{Core, FamilyCore, State, Work, Writer};
use super::output::remove_strays;
use super::write::insert;
use crate::batch::{self, FamilyId};
use crate::cache::Cache;
use crate::head::Prefix;
use crate::manifest::{Edit, Facts, Manifest};
use crate::meaning::Meaning;
use crate::memtable::Memtable;
use crate::planted::planted;
use crate::snapshot::Snapshots;
use crate::stats::Counters;
use crate::sync::{Condvar, Mutex, RwLock};
use crate::table::Table;
use crate::values::{self, Values};
use crate::version::Version;
use crate::{Error, Options, Result};

/// The name of the family that is always there.
pub(crate) const DEFAULT: &str = "default";
const LOCK: &str = "LOCK";
/// So many stores were opened in this process.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// Opens the store in `folder`.
pub(crate) fn open(fs: Arc<dyn Fs>, folder: &Path, options: Options) -> Result<Arc<Core>> {
    options.check()?;
    if !options.create && !fs.exists(&folder.join("manifest"))? {
        return Err(Error::Missing(folder.to_owned()));
    }
    let tables = folder.join("tables");
    fs.create_dir_all(&tables)?;
    let lock = fs.lock(&folder.join(LOCK))?;
    fs.sync_dir(folder)?;
    fs.sync_dir(folder.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(folder))?;
    let mut manifest =
        Manifest::open(&fs, &folder.join("manifest"), options.manifest_segment_len())?;
    if !manifest.facts().families.contains_key(&0) {
        manifest.edit(&[Edit::Family(0, DEFAULT.to_owned())])?;
    }
    let facts = manifest.facts().clone();
    let cache = Cache::new(options.cache_size);
    let segment = wal::Options {
        segment_len: options.segment_len(),
        backend: options.log,
        spares_max: options.memtables.get(),
    };
    let log = Log::open(Arc::clone(&fs), &folder.join("log"), segment)?;
    let values = Arc::new(open_values(&fs, folder, &facts, &cache)?);
    let families = open_families(&*fs, &tables, &facts, &cache, &values, &options)?;
    let writer = Writer { last: facts.sequence, segment: 0, looked: 0, families: families.clone() };
    let core = Arc::new(Core {
        // Relaxed: numbers only have to differ.
        id: OPENED.fetch_add(1, Ordering::Relaxed),
        fs,
        folder: folder.to_owned(),
        meaning: Arc::new(Meaning::new(&options, values)),
        options,
        cache,
        log,
        visible: AtomicU64::new(facts.sequence),
        writer: Mutex::new(writer),
        families: RwLock::new(families),
        snapshots: Snapshots::default(),
        manifest: Mutex::new(manifest),
        next_table: AtomicU64::new(facts.last_table + 1),
        next_memtable: AtomicU64::new(1),
        wants_segment: AtomicBool::new(false),
        is_replaying: AtomicBool::new(true),
        flushing: Mutex::new(()),
        compacting: Mutex::new(()),
        retired: Mutex::default(),
        kept: Mutex::default(),
        work: Mutex::new(Work::default()),
        wake: Condvar::new(),
        done: Condvar::new(),
        counters: Counters::default(),
        _lock: lock,
    });
    remove_strays(&*core.fs, &core)?;
    replay(&core, &facts)?;
    Ok(core)
}

/// The files with values; those that a crash left behind go.
fn open_values(
    fs: &Arc<dyn Fs>,
    folder: &Path,
    facts: &Facts,
    cache: &Arc<Cache>,
) -> Result<Values> {
    let values = Values::new(Arc::clone(fs), folder, cache)?;
    if fs.exists(values.folder())? {
        let metas = facts.families.values().flat_map(|it| it.tables.values());
        values.sweep(|| values::pointed(metas.map(|it| &it.1)).into_keys().collect())?;
    } else {
        fs.create_dir_all(values.folder())?;
        fs.sync_dir(folder)?;
    }
    Ok(values)
}

pub(crate) fn open_families(
    fs: &dyn Fs,
    tables: &Path,
    facts: &Facts,
    cache: &Arc<Cache>,
    values: &Values,
    options: &Options,
) -> Result<Vec<Arc<FamilyCore>>> {
    let mut families = Vec::new();
    for (&id, family) in &facts.families {
        let mut open = Vec::new();
        for (place, meta) in family.tables.values() {
            open.push((*place, Arc::new(Table::open(fs, tables, meta.clone(), cache, values)?)));
        }
        // What the log still holds of the family comes into this memtable.
        let start = family.flushed.unwrap_or(Position { segment: 0, offset: 0 });
        let memtable = Memtable::new(0, options.memtable_size, Prefix::default(), start);
        let memtable = Arc::new(memtable);
        let version = Arc::new(Version::of(open, family.removals.values().cloned().collect()));
        let gaps = Arc::default();
        let state = State { memtable, immutables: Vec::new(), version, gaps };
        families.push(Arc::new(FamilyCore::new(id, family.name.clone(), state)));
    }
    Ok(families)
}

/// Brings the changes of the log back into memtables, and writes out what does not fit.
fn replay(core: &Core, facts: &Facts) -> Result<()> {
    let flushed = |id: &FamilyId| facts.families.get(id).and_then(|it| it.flushed);
    let mut failure = None;
    core.log.replay(|at, record| {
        if failure.is_none() {
            failure =
                replay_record(core, at, record, |id| flushed(id).is_none_or(|it| it <= at)).err();
        }
    })?;
    if let Some(cause) = failure {
        return Err(cause);
    }
    core.is_replaying.store(false, Ordering::Relaxed); // Relaxed: see `release_log`.
    if core.counters.read().flushes > 0 {
        core.release_log()?;
    }
    // A loss of power may have taken the end of the log, but not the tables made from it. Positions
    // must not go back, or later changes would be taken for flushed ones.
    // And a copy has files with values from a log that it has not: their numbers are taken.
    let flushed = facts.families.values().filter_map(|it| it.flushed).max();
    let taken = core.meaning.values.last_segment();
    let taken = taken.map(|segment| Position { segment, offset: u32::MAX });
    match flushed.max(taken) {
        Some(furthest) if furthest > core.log.end() => go_on_behind(core, furthest),
        _ => Ok(()),
    }
}

fn replay_record(
    core: &Core,
    at: Position,
    record: &[u8],
    is_missing: impl Fn(&FamilyId) -> bool,
) -> Result<()> {
    let Some((first, changes)) = batch::decode(record) else {
        let (path, offset) = (core.folder.join("log"), u64::from(at.offset));
        return Err(Error::Corrupt { path, offset, what: "a batch of the log" });
    };
    let mut writer = core.writer.lock();
    let count = changes.len() as u64;
    let mut room: BTreeMap<FamilyId, usize> = BTreeMap::new();
    for change in changes.iter().filter(|it| is_missing(&it.family)) {
        *room.entry(change.family).or_default() +=
            Memtable::span(change.key.len(), change.value.len());
    }
    for (id, bytes) in &room {
        // A family that was dropped later has changes in the log still.
        let Some(family) = writer.family(*id) else { continue };
        if !family.state(&epoch::pin()).memtable.has_room(*bytes) {
            core.switch_at(family, *bytes, at);
            core.work_off()?;
        }
    }
    let guard = epoch::pin();
    for (sequence, change) in (first..).zip(&changes) {
        if let Some(family) = writer.family(change.family)
            && is_missing(&change.family)
        {
            let memtable = &family.state(&guard).memtable;
            insert(memtable, sequence, change, core.options.place(at, record));
        }
    }
    if !planted!(ReusedSequence) {
        writer.last = writer.last.max(first + count - 1);
    }
    // Release: as after a commit.
    core.visible.store(writer.last, Ordering::Release);
    Ok(())
}

/// Writes everything out and begins the log anew above a place that it once reached.
fn go_on_behind(core: &Core, furthest: Position) -> Result<()> {
    let next = Position { segment: furthest.segment + 1, offset: 0 };
    for family in core.all_families() {
        core.switch_at(&family, 0, next);
    }
    core.work_off()?;
    core.log.restart(next.segment)?;
    Ok(())
}

impl Core {
    /// The family of a name, which is made where there is none.
    pub(crate) fn open_family(&self, name: &str) -> Result<Arc<FamilyCore>> {
        let mut writer = self.writer.lock();
        if let Some(family) = writer.families.iter().find(|it| it.name == name) {
            return Ok(Arc::clone(family));
        }
        let mut manifest = self.manifest.lock();
        let id = manifest.facts().last_family + 1;
        let start = self.log.end();
        manifest.edit(&[Edit::Family(id, name.to_owned()), Edit::Flushed(id, start)])?;
        let memtable = Memtable::new(0, self.options.memtable_size, Prefix::default(), start);
        let state = State {
            memtable: Arc::new(memtable),
            immutables: Vec::new(),
            version: Arc::default(),
            gaps: Arc::default(),
        };
        let family = Arc::new(FamilyCore::new(id, name.to_owned(), state));
        // Numbers ascend, so the list stays sorted.
        writer.families.push(Arc::clone(&family));
        self.families.write().push(Arc::clone(&family));
        Ok(family)
    }

    /// Takes a family away with all that it holds. Who iterates over it can go on.
    pub(crate) fn drop_family(&self, id: FamilyId) -> Result<()> {
        let mut writer = self.writer.lock();
        // No flush or merge may bring its tables back.
        let _no_flush = self.flushing.lock();
        let _no_merge = self.compacting.lock();
        let Some(family) = writer.family(id).map(Arc::clone) else { return Ok(()) };
        self.manifest.lock().edit(&[Edit::DropFamily(id)])?;
        writer.families.retain(|it| it.id != id);
        self.families.write().retain(|it| it.id != id);
        let version = Arc::clone(&family.share().version);
        let numbers: Vec<u64> = version.tables().map(|it| it.1.meta.number).collect();
        self.remove_tables(&numbers)?;
        self.release_log()
    }
}
