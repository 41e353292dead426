//! Writing what could be read: new tables, a new manifest, and the plan that puts them in place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::fs::Fs;
use wal::{Gap, Position};

use super::look::{Found, Health, numbers, tables_of};
use super::plan::{self, Move, Plan};
use super::run::{RunWriter, Source};
use super::{Loss, Lost, Repaired, choose};
use crate::batch::{self, FamilyId};
use crate::db::DEFAULT;
use crate::manifest::{self, Facts, FamilyFacts};
use crate::removal::Removal;
use crate::stamp::{Kind, Stamp};
use crate::table::{self, Origin, Special, Survey};
use crate::values;
use crate::version::{LEVELS, Place};
use crate::{Options, Result};

const START: Position = Position { segment: 0, offset: 0 };

/// Writes everything that is to be put in place, and the plan.
pub(super) fn write(
    fs: &Arc<dyn Fs>,
    store: &Path,
    options: &Options,
    found: &Found,
) -> Result<Plan> {
    let there = numbers(&**fs, &tables_of(store), table::number)?;
    let last = there.iter().copied().max().unwrap_or(0).max(found.remains.facts.last_table);
    let work = plan::folder_of(store);
    for folder in ["tables", "manifest"] {
        plan::create_dir(&**fs, store, &work.join(folder))?;
    }
    let lost = next_lost(&**fs, store)?;
    let mut facts = found.remains.facts.clone();
    // The tables of a copy made before are not these.
    (facts.identity, facts.copy_of) = (None, None);
    DEFAULT.clone_into(&mut facts.families.entry(0).or_default().name);
    let mut repair = Repair {
        fs: &**fs,
        store,
        options,
        run: RunWriter::new(&**fs, work.join("tables"), options, &found.values, last + 1),
        facts,
        report: Repaired::default(),
        lost: lost.clone(),
        out: Vec::new(),
        end: Vec::new(),
    };
    if found.is_stale {
        repair.merge_all(found, &there)?;
    } else {
        repair.rewrite_damaged(found)?;
    }
    if !found.log_is_whole {
        repair.take_log()?;
    }
    repair.set_values_aside()?;
    let Repair { run, mut facts, mut report, out, end, .. } = repair;
    (facts.last_table, facts.sequence) = (run.last_number(), facts.sequence.max(run.newest()));
    (report.written, report.entries) = (run.numbers().len() as u64, run.entries());
    let number = found.remains.segments.last().map_or(2, |it| it + 1).max(2);
    let (new, old) = (work.join("manifest"), store.join("manifest"));
    manifest::write_anew(fs, &new, number, options.manifest_segment_len(), &facts)?;
    let relative = |path: PathBuf| path.strip_prefix(store).map(Path::to_owned).unwrap_or(path);
    let segment = |folder: &Path, number| relative(wal::segment_path(folder, number));
    let retired = &found.remains.segments;
    let bring_in = |it: &u64| (table_path("repair/tables", *it), table_path("tables", *it));
    let phases = vec![
        vec![(segment(&new, number), segment(&old, number))],
        out,
        run.numbers().iter().map(bring_in).collect(),
        retired.iter().map(|it| (segment(&old, *it), lost.join(segment(&old, *it)))).collect(),
        end,
    ];
    report.lost.extend(run.into_lost());
    let plan = Plan { report, lost, phases };
    plan::commit(&**fs, store, &plan)?;
    Ok(plan)
}

fn table_path(folder: &str, number: u64) -> PathBuf {
    table::path(Path::new(folder), number)
}

/// The folder for what this repair sets aside, relative to the store.
fn next_lost(fs: &dyn Fs, store: &Path) -> Result<PathBuf> {
    let taken = numbers(fs, &store.join("lost"), |name| name.parse().ok())?;
    let next = taken.into_iter().max().map_or(1, |it| it + 1);
    Ok(Path::new("lost").join(next.to_string()))
}

struct Repair<'a> {
    fs: &'a dyn Fs,
    store: &'a Path,
    options: &'a Options,
    run: RunWriter<'a>,
    /// What the new manifest will say.
    facts: Facts,
    report: Repaired,
    lost: PathBuf,
    /// Tables that go to `lost`.
    out: Vec<Move>,
    /// What is moved last: logs and files with values.
    end: Vec<Move>,
}

impl Repair<'_> {
    fn set_aside(&self, file: PathBuf) -> Move {
        let to = self.lost.join(&file);
        (file, to)
    }

    fn name_of(&self, family: FamilyId) -> String {
        self.facts.families.get(&family).map_or_else(String::new, |it| it.name.clone())
    }

    fn origin(&self, family: FamilyId, level: usize) -> Origin {
        let flushed = self.facts.families.get(&family).and_then(|it| it.flushed).unwrap_or(START);
        Origin { level, ..Origin::of_flush(family, &self.name_of(family), flushed) }
    }

    /// The manifest is right: only damaged tables are written anew, each in its place.
    fn rewrite_damaged(&mut self, found: &Found) -> Result<()> {
        let tables = tables_of(self.store);
        self.report.kept = found.whole_tables() as u64;
        for named in found.named.iter().filter(|it| it.health != Health::Whole) {
            let (number, family) = (named.meta.number, named.family);
            let (smallest, largest) = (&named.meta.smallest, &named.meta.largest);
            self.facts.families.entry(family).or_default().tables.remove(&number);
            self.facts.sequence = self.facts.sequence.max(named.meta.newest);
            if named.health == Health::Missing {
                self.lose_table(number, Some(family), Some((smallest, largest)));
                continue;
            }
            let survey = table::survey(self.fs, &tables, number)?;
            self.lose_holes(&survey, family, Some((smallest, largest)));
            let origin = self.origin(family, named.place.level);
            let sources = vec![Source::table(&survey)];
            let mut metas = self.run.write(sources, &[], &origin, u64::MAX, Some(number))?;
            for meta in &mut metas {
                let Special { base, born, .. } = named.meta.special;
                meta.special = Special { base, born, ..meta.special };
                meta.newest = meta.newest.max(base);
            }
            let family = self.facts.families.entry(family).or_default();
            family.tables.extend(metas.into_iter().map(|it| (it.number, (named.place, it))));
            self.out.push(self.set_aside(table_path("tables", number)));
        }
        Ok(())
    }

    /// The manifest does not know all: every family becomes one run.
    fn merge_all(&mut self, found: &Found, there: &[u64]) -> Result<()> {
        let tables = tables_of(self.store);
        let mut all = Vec::new();
        for number in there {
            all.push(table::survey(self.fs, &tables, *number)?);
        }
        let chosen = choose::choose(found, all);
        let manifest = PathBuf::from("manifest");
        let (from, to, what) = (None, None, Loss::Removals);
        self.report.lost.push(Lost { file: manifest, family: None, from, to, what });
        for stranger in &chosen.strangers {
            self.lose_table(stranger.number, None, None);
        }
        for named in found.named.iter().filter(|it| it.health == Health::Missing) {
            if !chosen.replaced.contains(&named.meta.number) {
                let keys = (&*named.meta.smallest, &*named.meta.largest);
                self.lose_table(named.meta.number, Some(named.family), Some(keys));
            }
        }
        for family in self.facts.families.values_mut() {
            family.tables.clear();
        }
        for (family, tables) in &chosen.families {
            self.merge_family(found, *family, tables)?;
        }
        self.out = there.iter().map(|it| self.set_aside(table_path("tables", *it))).collect();
        self.find_families_in_log()
    }

    fn merge_family(&mut self, found: &Found, id: FamilyId, tables: &[Survey]) -> Result<()> {
        let family = self.facts.families.entry(id).or_default();
        if family.name.is_empty() {
            let name = tables.iter().find_map(|it| Some(it.origin.as_ref()?.name.clone()));
            family.name = name.unwrap_or_else(|| format!("family-{id}"));
        }
        family.flushed = family.flushed.max(choose::flushed(tables));
        let removals: Vec<Removal> = std::mem::take(&mut family.removals).into_values().collect();
        self.facts.last_family = self.facts.last_family.max(id);
        let is_named = |it: &Survey| found.named.iter().any(|named| named.meta.number == it.number);
        for survey in tables {
            self.lose_holes(survey, id, None);
        }
        self.report.adopted += tables.iter().filter(|it| !is_named(it)).count() as u64;
        let bytes: u64 = tables.iter().filter_map(|it| it.meta.as_ref()).map(|it| it.size).sum();
        let origin = self.origin(id, self.level_for(bytes));
        let base = |it: &Survey| {
            let named = found.named.iter().find(|named| named.meta.number == it.number);
            named.map_or_else(|| choose::base(it, tables), |named| named.meta.special.base)
        };
        let sources =
            tables.iter().map(|it| Source::table(it).adopted(!is_named(it)).later(base(it)));
        let size = self.options.table_size;
        let metas = self.run.write(sources.collect(), &removals, &origin, size, None)?;
        let family = self.facts.families.entry(id).or_default();
        let place = Place::new(origin.level, 0);
        family.tables.extend(metas.into_iter().map(|it| (it.number, (place, it))));
        Ok(())
    }

    /// The first level below the first that takes so many bytes.
    fn level_for(&self, bytes: u64) -> usize {
        let mut size = self.options.level1_size;
        let mut level = 1;
        while size < bytes && level + 1 < LEVELS {
            size = size.saturating_mul(self.options.level_ratio);
            level += 1;
        }
        level
    }

    /// Families that nobody has written out yet are known to the log alone.
    fn find_families_in_log(&mut self) -> Result<()> {
        let mut seen = BTreeSet::new();
        wal::salvage(self.fs, &self.store.join("log"), |_, record| {
            let changes = batch::decode(record).map(|it| it.1).unwrap_or_default();
            seen.extend(changes.iter().map(|it| it.family));
        })?;
        for id in seen {
            let name = format!("family-{id}");
            let new = || FamilyFacts { name, ..FamilyFacts::default() };
            self.facts.families.entry(id).or_insert_with(new);
            self.facts.last_family = self.facts.last_family.max(id);
        }
        Ok(())
    }

    /// The log is damaged: what lies before the damage goes into tables, and the log to `lost`.
    fn take_log(&mut self) -> Result<()> {
        let log = self.store.join("log");
        let flushed: BTreeMap<FamilyId, Position> =
            self.facts.families.iter().map(|(id, it)| (*id, it.flushed.unwrap_or(START))).collect();
        let needed = flushed.values().min().copied().unwrap_or(START);
        let mut strange = None;
        let salvaged = wal::salvage(self.fs, &log, |at, record| {
            if at >= needed && strange.is_none() && batch::decode(record).is_none() {
                strange = Some(Gap { from: at, to: at });
            }
        })?;
        let gaps = salvaged.gaps.iter().chain(&strange);
        let gap = gaps.filter(|it| it.to > needed || it.from >= needed).map(|it| it.from).min();
        let (mut entries, mut removals) = (BTreeMap::new(), Vec::new());
        let (mut taken, mut behind, mut newest) = (0, 0, self.facts.sequence);
        wal::salvage(self.fs, &log, |at, record| {
            let Some((first, changes)) = batch::decode(record) else { return };
            for (sequence, change) in (first..).zip(&changes) {
                newest = newest.max(sequence);
                let Some(start) = flushed.get(&change.family) else { continue };
                if at < *start {
                    continue;
                }
                if gap.is_some_and(|gap| at >= gap) {
                    behind += 1;
                    continue;
                }
                taken += 1;
                let (key, value) = (change.key.to_vec(), change.value.to_vec());
                if change.kind == Kind::Removal {
                    removals.push((change.family, Removal { start: key, end: value, sequence }));
                } else {
                    let of_family: &mut Vec<_> = entries.entry(change.family).or_default();
                    of_family.push((key, Stamp::new(sequence, change.kind), value));
                }
            }
        })?;
        (self.facts.sequence, self.report.changes) = (newest, taken);
        if let Some(gap) = gap {
            let file = Path::new("log").join(format!("{:016x}.wal", gap.segment));
            let (from, to, what) = (None, None, Loss::Changes(behind));
            self.report.lost.push(Lost { file, family: None, from, to, what });
        }
        let next = salvaged.segments.last().map_or(1, |it| it + 1);
        for family in self.facts.families.values_mut() {
            family.flushed = family.flushed.max(Some(Position { segment: next, offset: 0 }));
        }
        for (id, removal) in removals {
            let family = self.facts.families.entry(id).or_default();
            family.removals.insert(removal.sequence, removal);
        }
        for (id, mut of_family) in entries {
            of_family.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
            let origin = self.origin(id, 0);
            let source = vec![Source::memory(of_family)];
            let metas = self.run.write(source, &[], &origin, u64::MAX, None)?;
            let family = self.facts.families.entry(id).or_default();
            family.tables.extend(metas.into_iter().map(|it| (it.number, (Place::TOP, it))));
        }
        let pointed = self.pointed();
        for segment in salvaged.segments {
            let file = wal::segment_path(Path::new("log"), segment);
            // Each value has a checksum of its own, whatever else is damaged in the segment.
            self.end.push(if pointed.contains(&segment) {
                (file, values::path(Path::new("values"), segment))
            } else {
                self.set_aside(file)
            });
        }
        Ok(())
    }

    /// The files with values into which the new tables point.
    fn pointed(&self) -> BTreeSet<u64> {
        let tables = self.facts.families.values().flat_map(|it| it.tables.values());
        values::pointed(tables.map(|it| &it.1)).into_keys().collect()
    }

    /// Files with values into which no table points any more: opening would remove them.
    fn set_values_aside(&mut self) -> Result<()> {
        let pointed = self.pointed();
        let there = numbers(self.fs, &self.store.join("values"), values::number)?;
        for number in there.into_iter().filter(|it| !pointed.contains(it)) {
            self.end.push(self.set_aside(values::path(Path::new("values"), number)));
        }
        Ok(())
    }

    fn lose_table(&mut self, number: u64, family: Option<FamilyId>, keys: Option<(&[u8], &[u8])>) {
        let family = family.map(|it| self.name_of(it));
        let (from, to) = keys.map(|it| (it.0.to_vec(), it.1.to_vec())).unzip();
        let file = table_path("tables", number);
        self.report.lost.push(Lost { file, family, from, to, what: Loss::Entries });
    }

    /// What of a table cannot be read; the keys of the whole table bound what nobody knows better.
    fn lose_holes(&mut self, survey: &Survey, id: FamilyId, keys: Option<(&[u8], &[u8])>) {
        let (smallest, largest) = keys.map(|it| (it.0.to_vec(), it.1.to_vec())).unzip();
        for hole in &survey.holes {
            let (file, family) = (table_path("tables", survey.number), Some(self.name_of(id)));
            let from = hole.from.clone().or_else(|| smallest.clone());
            let to = hole.to.clone().or_else(|| largest.clone());
            self.report.lost.push(Lost { file, family, from, to, what: Loss::Entries });
        }
    }
}
