//! The manifest: which tables make up the store, as a log of edits.
//!
//! Each record of the log is one edit and happens as a whole. Reading them all in order gives the
//! present state; now and then an edit that begins with [`Edit::Reset`] says everything anew and
//! what lies before it is released.
//!
//! The order of things is what makes it safe: tables are durable, with their names, before the edit
//! that adds them; the edit is durable before anyone relies on it, and before the files that it
//! removes are removed. An edit whose sync failed may be durable or not. Then nothing more is taken
//! until the next opening finds out, and the tables that it adds stay until then.

mod remains;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use env::fs::Fs;
use wal::{Backend, Log, Position};

pub(crate) use self::remains::{Remains, salvage, write_anew};

use crate::batch::FamilyId;
use crate::codec::{Put, Taker};
use crate::removal::Removal;
use crate::stamp::Sequence;
use crate::table::{Special, TableMeta};
use crate::version::{LEVELS, Place};
use crate::{Error, Result};

/// So many edits are followed by one that says everything.
const EDITS_MAX: usize = 1_000;

/// One thing that an edit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing that was said before holds any more.
    Reset,
    /// There is a family of this name.
    Family(FamilyId, String),
    /// The family is gone, and so are its tables.
    DropFamily(FamilyId),
    /// A table is in a place.
    Add(FamilyId, Place, TableMeta),
    /// A table is gone.
    Remove(FamilyId, u64),
    /// The family's changes before this place of the log are in its tables.
    Flushed(FamilyId, Position),
    /// Changes up to this number were made.
    Sequence(Sequence),
    /// A range of keys was removed.
    Removal(FamilyId, Removal),
    /// No table needs the removal of this number any more.
    Forget(FamilyId, Sequence),
    /// The number that tells this store from others; see `db/copy.rs`.
    Identity(u64),
    /// This is a copy of the store with that number.
    CopyOf(u64),
}

/// The numbers of the tables that edits add.
pub(crate) fn added(edits: &[Edit]) -> impl Iterator<Item = u64> {
    edits.iter().filter_map(|it| match it {
        Edit::Add(_, _, meta) => Some(meta.number),
        _ => None,
    })
}

/// What the manifest says of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FamilyFacts {
    pub(crate) name: String,
    pub(crate) tables: BTreeMap<u64, (Place, TableMeta)>,
    pub(crate) flushed: Option<Position>,
    pub(crate) removals: BTreeMap<Sequence, Removal>,
}

/// What the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) families: BTreeMap<FamilyId, FamilyFacts>,
    pub(crate) sequence: Sequence,
    /// The largest numbers of tables and families ever named.
    pub(crate) last_table: u64,
    pub(crate) last_family: FamilyId,
    pub(crate) identity: Option<u64>,
    pub(crate) copy_of: Option<u64>,
}

/// What the manifest in `folder` says, read without opening it.
pub(crate) fn peek(fs: &dyn Fs, folder: &Path) -> Result<Facts> {
    let mut reading = Reading::default();
    wal::peek(fs, folder, |at, record| reading.take(at, record))?;
    reading.facts(folder)
}

/// A manifest that is being read.
#[derive(Debug, Default)]
struct Reading {
    facts: Facts,
    edits: usize,
    damaged: Option<Position>,
}

impl Reading {
    fn take(&mut self, at: Position, record: &[u8]) {
        let Some(all) = decode(record) else {
            self.damaged = self.damaged.or(Some(at));
            return;
        };
        self.edits = if all.first() == Some(&Edit::Reset) { 1 } else { self.edits + 1 };
        for edit in all {
            self.facts.apply(edit);
        }
    }

    fn facts(self, folder: &Path) -> Result<Facts> {
        match self.damaged {
            None => Ok(self.facts),
            Some(at) => {
                let (path, offset) = (folder.to_owned(), u64::from(at.offset));
                Err(Error::Corrupt { path, offset, what: "an edit of the manifest" })
            }
        }
    }
}

/// The open manifest.
#[derive(Debug)]
pub(crate) struct Manifest {
    log: Log,
    facts: Facts,
    /// Edits since the last that said everything.
    edits: usize,
    /// The tables of the edit of which nobody knows whether it is durable.
    in_doubt: Vec<u64>,
}

impl Manifest {
    /// Opens the manifest in `folder`, or makes an empty one. An edit that does not fit into a
    /// segment gets a larger one.
    pub(crate) fn open(fs: &Arc<dyn Fs>, folder: &Path, segment_len: u32) -> Result<Self> {
        let options = wal::Options { segment_len, backend: Backend::Written, spares_max: 0 };
        let log = Log::open(Arc::clone(fs), folder, options)?;
        let mut reading = Reading::default();
        log.replay(|at, record| reading.take(at, record))?;
        let edits = reading.edits;
        Ok(Self { facts: reading.facts(folder)?, log, edits, in_doubt: Vec::new() })
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Makes an edit. It is durable when this returns.
    pub(crate) fn edit(&mut self, edits: &[Edit]) -> Result<()> {
        self.require_going_on()?;
        if let Err(cause) = self.append(edits) {
            if self.log.has_failed() {
                self.in_doubt.extend(added(edits));
            }
            return Err(cause);
        }
        for edit in edits {
            self.facts.apply(edit.clone());
        }
        self.edits += 1;
        if self.edits > EDITS_MAX.max(self.facts.tables()) {
            // The edit was made, and to report a failure here would have it made twice. Where the
            // disk is full the next edit tries again; a log that failed refuses that one itself.
            self.say_everything().ok();
        }
        Ok(())
    }

    /// Whether edits can be made: not after one that failed half-way.
    pub(crate) fn require_going_on(&self) -> Result<()> {
        if self.log.has_failed() { Err(wal::Error::Failed.into()) } else { Ok(()) }
    }

    /// Whether the next opening may find that a table is part of the store.
    pub(crate) fn may_name(&self, table: u64) -> bool {
        self.in_doubt.contains(&table) || self.facts.has_table(table)
    }

    /// Checks what was written.
    pub(crate) fn verify(&self) -> Result<()> {
        Ok(self.log.verify()?)
    }

    fn append(&self, edits: &[Edit]) -> Result<Position> {
        let at = self.log.append_large(&encode(edits))?;
        self.log.sync()?;
        Ok(at)
    }

    fn say_everything(&mut self) -> Result<()> {
        let at = self.append(&self.facts.edits())?;
        self.log.release(at)?;
        self.edits = 1;
        Ok(())
    }
}

impl Facts {
    fn tables(&self) -> usize {
        self.families.values().map(|it| it.tables.len()).sum()
    }

    pub(crate) fn has_table(&self, number: u64) -> bool {
        self.families.values().any(|it| it.tables.contains_key(&number))
    }

    fn apply(&mut self, edit: Edit) {
        match edit {
            // Numbers are never used twice, so those that were named are remembered.
            Edit::Reset => self.families.clear(),
            Edit::Family(id, name) => {
                self.last_family = self.last_family.max(id);
                self.families.entry(id).or_default().name = name;
            }
            Edit::DropFamily(id) => {
                self.last_family = self.last_family.max(id);
                self.families.remove(&id);
            }
            Edit::Add(id, place, meta) => {
                self.last_table = self.last_table.max(meta.number).max(place.run);
                let family = self.families.entry(id).or_default();
                family.tables.insert(meta.number, (place, meta));
            }
            Edit::Remove(id, table) => {
                self.last_table = self.last_table.max(table);
                if let Some(family) = self.families.get_mut(&id) {
                    family.tables.remove(&table);
                }
            }
            Edit::Flushed(id, position) => {
                self.families.entry(id).or_default().flushed = Some(position);
            }
            Edit::Sequence(sequence) => self.sequence = self.sequence.max(sequence),
            Edit::Identity(identity) => self.identity = Some(identity),
            Edit::CopyOf(identity) => self.copy_of = Some(identity),
            Edit::Removal(id, removal) => {
                let family = self.families.entry(id).or_default();
                family.removals.insert(removal.sequence, removal);
            }
            Edit::Forget(id, sequence) => {
                if let Some(family) = self.families.get_mut(&id) {
                    family.removals.remove(&sequence);
                }
            }
        }
    }

    /// Edits that say everything.
    fn edits(&self) -> Vec<Edit> {
        let mut edits = vec![Edit::Reset, Edit::Sequence(self.sequence)];
        // The last of each may be gone, and its number must not be given out again. If the family
        // is there, what follows names it.
        edits.push(Edit::Remove(FamilyId::MAX, self.last_table));
        edits.push(Edit::DropFamily(self.last_family));
        edits.extend(self.identity.map(Edit::Identity));
        edits.extend(self.copy_of.map(Edit::CopyOf));
        for (&id, family) in &self.families {
            edits.push(Edit::Family(id, family.name.clone()));
            edits.extend(family.flushed.map(|it| Edit::Flushed(id, it)));
            edits.extend(family.tables.values().map(|it| Edit::Add(id, it.0, it.1.clone())));
            edits.extend(family.removals.values().map(|it| Edit::Removal(id, it.clone())));
        }
        edits
    }
}

fn encode(edits: &[Edit]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for edit in edits {
        match edit {
            Edit::Reset => bytes.put_u8(1),
            Edit::Family(id, name) => {
                bytes.put_u8(2);
                bytes.put_u32(*id);
                bytes.put_bytes(name.as_bytes());
            }
            Edit::DropFamily(id) => {
                bytes.put_u8(3);
                bytes.put_u32(*id);
            }
            Edit::Add(id, place, meta) => {
                // The shortest of three that says all.
                let is_special = place.run != 0 || meta.special != Special::default();
                let has_values = !meta.values.is_empty();
                bytes.put_u8(match (is_special, has_values) {
                    (true, _) => 13,
                    (false, true) => 12,
                    (false, false) => 4,
                });
                bytes.put_u32(*id);
                bytes.put_u8(u8::try_from(place.level).expect("there are few levels"));
                meta.encode(&mut bytes);
                if is_special || has_values {
                    meta.encode_values(&mut bytes);
                }
                if is_special {
                    bytes.put_u64(place.run);
                    meta.special.encode(&mut bytes);
                }
            }
            Edit::Remove(id, table) => {
                bytes.put_u8(5);
                bytes.put_u32(*id);
                bytes.put_u64(*table);
            }
            Edit::Flushed(id, position) => {
                bytes.put_u8(6);
                bytes.put_u32(*id);
                bytes.put_u64(position.segment);
                bytes.put_u32(position.offset);
            }
            Edit::Sequence(sequence) => {
                bytes.put_u8(7);
                bytes.put_u64(*sequence);
            }
            Edit::Removal(id, removal) => {
                bytes.put_u8(8);
                bytes.put_u32(*id);
                bytes.put_u64(removal.sequence);
                bytes.put_bytes(&removal.start);
                bytes.put_bytes(&removal.end);
            }
            Edit::Forget(id, sequence) => {
                bytes.put_u8(9);
                bytes.put_u32(*id);
                bytes.put_u64(*sequence);
            }
            Edit::Identity(identity) => {
                bytes.put_u8(10);
                bytes.put_u64(*identity);
            }
            Edit::CopyOf(identity) => {
                bytes.put_u8(11);
                bytes.put_u64(*identity);
            }
        }
    }
    bytes
}

pub(crate) fn decode(record: &[u8]) -> Option<Vec<Edit>> {
    let mut taker = Taker(record);
    let mut edits = Vec::new();
    while !taker.is_empty() {
        edits.push(take_edit(&mut taker)?);
    }
    Some(edits)
}

fn take_edit(from: &mut Taker<'_>) -> Option<Edit> {
    Some(match from.u8()? {
        1 => Edit::Reset,
        2 => Edit::Family(from.u32()?, String::from_utf8(from.bytes()?.to_vec()).ok()?),
        3 => Edit::DropFamily(from.u32()?),
        tag @ (4 | 12 | 13) => {
            let (id, level) = (from.u32()?, usize::from(from.u8()?));
            let mut meta = TableMeta::decode(from)?;
            if tag > 4 {
                meta = meta.decode_values(from)?;
            }
            let mut run = 0;
            if tag == 13 {
                run = from.u64()?;
                meta.special = Special::decode(from)?;
            }
            (level < LEVELS).then_some(Edit::Add(id, Place::new(level, run), meta))?
        }
        5 => Edit::Remove(from.u32()?, from.u64()?),
        6 => {
            let (id, segment, offset) = (from.u32()?, from.u64()?, from.u32()?);
            Edit::Flushed(id, Position { segment, offset })
        }
        7 => Edit::Sequence(from.u64()?),
        8 => {
            let (id, sequence) = (from.u32()?, from.u64()?);
            let (start, end) = (from.bytes()?.to_vec(), from.bytes()?.to_vec());
            Edit::Removal(id, Removal { start, end, sequence })
        }
        9 => Edit::Forget(from.u32()?, from.u64()?),
        10 => Edit::Identity(from.u64()?),
        11 => Edit::CopyOf(from.u64()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use harness::sim::{DiskFault, SimDisk};

    use super::*;

    fn meta(number: u64) -> TableMeta {
        TableMeta {
            number,
            size: 10,
            entries: 2,
            garbage: 1,
            newest: 7,
            smallest: b"a".to_vec(),
            largest: b"b".to_vec(),
            values: if number.is_multiple_of(2) { Vec::new() } else { vec![(3, 5), (7, 11)] },
            special: if number.is_multiple_of(3) {
                Special { base: 5, prefix_len: 4, born: 1_000 }
            } else {
                Special::default()
            },
        }
    }

    #[test]
    fn edits_are_read_as_they_were_written() {
        let position = Position { segment: 3, offset: 77 };
        let edits = [
            Edit::Reset,
            Edit::Family(1, "users".to_owned()),
            Edit::Add(1, Place::new(3, 0), meta(9)),
            Edit::Add(1, Place::new(3, 0), meta(11)),
            Edit::Add(1, Place::new(2, 7), meta(4)),
            Edit::Remove(1, 4),
            Edit::Flushed(1, position),
            Edit::Sequence(11),
            Edit::Removal(1, Removal { start: b"a".to_vec(), end: b"c".to_vec(), sequence: 10 }),
            Edit::Forget(1, 8),
            Edit::Identity(12),
            Edit::CopyOf(13),
            Edit::DropFamily(2),
        ];
        let bytes = encode(&edits);
        assert_eq!(decode(&bytes), Some(edits.to_vec()));
        assert!((1..bytes.len()).all(|len| decode(&bytes[..len]) != Some(edits.to_vec())));
    }

    /// After more edits than are kept, the same is said, in less, and no number comes back.
    #[test]
    fn what_is_said_anew_is_what_was_said() {
        let fs: Arc<dyn Fs> = SimDisk::new(1).mount();
        let folder = Path::new("/manifest");
        let mut manifest = Manifest::open(&fs, folder, 1 << 20).expect("the disk is well");
        manifest.edit(&[Edit::Family(4, "gone".to_owned())]).expect("the disk is well");
        manifest.edit(&[Edit::DropFamily(4)]).expect("the disk is well");
        for number in 1..=EDITS_MAX as u64 + 10 {
            let edits = [Edit::Add(0, Place::TOP, meta(number)), Edit::Remove(0, number - 1)];
            manifest.edit(&edits).expect("the disk is well");
        }
        manifest.edit(&[Edit::Remove(0, 1_010), Edit::Sequence(5)]).expect("the disk is well");
        manifest.say_everything().expect("the disk is well");
        drop(manifest);
        let manifest = Manifest::open(&fs, folder, 1 << 20).expect("the disk is well");
        assert!(manifest.edits < 20, "{} edits are left", manifest.edits);
        let facts = manifest.facts();
        assert_eq!((facts.last_table, facts.sequence, facts.tables()), (1_010, 5, 0));
        assert!(facts.last_family >= 4);
    }

    /// What is said anew suffices by itself, also for numbers of what is gone.
    #[test]
    fn everything_is_said_without_what_was_said_before() {
        let mut facts = Facts::default();
        let position = Position { segment: 3, offset: 77 };
        for edit in [
            Edit::Family(0, "default".to_owned()),
            Edit::Family(4, "users".to_owned()),
            Edit::Family(6, "gone".to_owned()),
            Edit::Flushed(4, position),
            Edit::Add(4, Place::new(2, 6), meta(9)),
            Edit::Add(4, Place::TOP, meta(12)),
            Edit::Remove(4, 12),
            Edit::Removal(4, Removal { start: b"a".to_vec(), end: b"c".to_vec(), sequence: 3 }),
            Edit::Removal(4, Removal { start: b"b".to_vec(), end: b"c".to_vec(), sequence: 4 }),
            Edit::Forget(4, 3),
            Edit::Identity(12),
            Edit::CopyOf(13),
            Edit::Sequence(5),
            Edit::DropFamily(6),
        ] {
            facts.apply(edit);
        }
        for last_is_there in [false, true] {
            if last_is_there {
                facts.apply(Edit::Family(7, "last".to_owned()));
            }
            let mut anew = Facts::default();
            facts.edits().into_iter().for_each(|edit| anew.apply(edit));
            assert_eq!(anew, facts);
        }
    }

    /// Keys may be longer than is usual, and tables more.
    #[test]
    fn an_edit_that_fits_into_no_segment_gets_a_larger_one() {
        let fs: Arc<dyn Fs> = SimDisk::new(1).mount();
        let folder = Path::new("/manifest");
        let open = || Manifest::open(&fs, folder, 32 << 10).expect("the disk is well");
        let mut manifest = open();
        let large = |number| TableMeta { largest: vec![b'z'; 1 << 16], ..meta(number) };
        for number in 1..10 {
            manifest.edit(&[Edit::Add(0, Place::TOP, large(number))]).expect("the disk is well");
        }
        assert_eq!(open().facts(), manifest.facts());
        manifest.edits = EDITS_MAX;
        manifest.edit(&[Edit::Sequence(1)]).expect("the disk is well");
        assert_eq!(manifest.edits, 1, "it says everything, too");
        let expected = manifest.facts.clone();
        drop(manifest);
        let mut manifest = open();
        assert_eq!((manifest.facts(), manifest.edits), (&expected, 1));
        manifest.edit(&[Edit::Sequence(2)]).expect("the disk is well");
        assert_eq!(open().facts().sequence, 2);
    }

    /// There is no room to say everything: the edit is made all the same, once, and the rest later.
    #[test]
    fn a_full_disk_delays_only_what_can_wait() {
        const SEGMENT: u32 = 32 << 10;
        let disk = SimDisk::new(1);
        let fs: Arc<dyn Fs> = disk.mount();
        let folder = Path::new("/manifest");
        let mut manifest = Manifest::open(&fs, folder, SEGMENT).expect("the disk is well");
        for number in 1.. {
            manifest.edit(&[Edit::Add(0, Place::TOP, meta(number))]).expect("the disk is well");
            if manifest.log.end().offset + 1_000 > SEGMENT {
                break;
            }
        }
        manifest.edits = EDITS_MAX;
        disk.inject(&DiskFault::Full { room: 0 });
        manifest.edit(&[Edit::Sequence(1)]).expect("it fits into the segment");
        assert!(manifest.edits > EDITS_MAX, "there was no room to say everything");
        disk.heal();
        manifest.edit(&[Edit::Sequence(2)]).expect("there is room again");
        assert_eq!(manifest.edits, 1);
        let expected = manifest.facts.clone();
        drop(manifest);
        let manifest = Manifest::open(&fs, folder, SEGMENT).expect("the disk is well");
        assert_eq!(*manifest.facts(), expected);
    }
}
