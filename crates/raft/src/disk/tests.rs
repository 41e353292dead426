//! Tests of the log on the simulated disk: power cuts, damage, full disks, many groups.

mod damage;
mod hostile;
mod power;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::random::{Random, SeededRandom};
use harness::sim::{SimDisk, SimFs};
use wal::{Backend, Options};

use super::{DiskError, DiskLog, DiskStorage, GroupId, Result, record, snapshots};
use crate::codec::DecodeError;
use crate::entries::Entries;
use crate::storage::Storage;
use crate::write::Write;
use crate::{
    Configuration, Entry, HardState, Incarnation, Index, NodeId, Payload, Position, Snapshot,
    SnapshotMeta, Term,
};

/// Short segments, which take three configurations all the same: one change, one record.
const OPTIONS: Options = Options { segment_len: 768, backend: Backend::Mapped, spares_max: 1 };

fn open(fs: &Arc<SimFs>) -> Result<DiskLog> {
    DiskLog::open(Arc::<SimFs>::clone(fs), Path::new("/raft"), OPTIONS)
}

fn founders() -> Configuration {
    Configuration::founding([1, 2, 3].map(NodeId))
}

/// All that the core can read of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    incarnation: Incarnation,
    hard_state: HardState,
    snapshot: Snapshot,
    first: Index,
    entries: Entries,
    base: Term,
}

fn view(of: &DiskStorage) -> View {
    let (first, last) = (of.first_index(), of.last_index());
    View {
        incarnation: of.incarnation(),
        hard_state: of.hard_state(),
        snapshot: of.snapshot().expect("the snapshot is whole"),
        first,
        entries: of.entries(first..last + 1, u64::MAX).expect("the log is whole"),
        base: of.term(first.before()).expect("it is the base"),
    }
}

fn write(hard_state: HardState, snapshot: Option<Snapshot>, entries: Entries) -> Write {
    Write {
        sequence: 0,
        hard_state,
        snapshot: snapshot.map(Box::new),
        entries,
        promises: Vec::new(),
    }
}

fn command(index: Index, term: Term, bytes: &[u8]) -> Entry {
    Entry { index, term, payload: Payload::Command(Bytes::copy_from_slice(bytes)) }
}

fn snapshot(last: Position, data: &[u8]) -> Snapshot {
    let meta = SnapshotMeta { last, configuration: founders(), len: data.len() as u64 };
    Snapshot { meta, data: Bytes::copy_from_slice(data) }
}

/// Does to a group what a core might, by chance.
struct Driver {
    random: SeededRandom,
    term: Term,
}

impl Driver {
    const fn new(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed), term: Term(1) }
    }

    /// One change. Half of them only add to the log.
    fn change(&mut self, group: &mut DiskStorage) -> Result<()> {
        let (last, first) = (group.last_index(), group.first_index());
        match self.random.below(12) {
            0 if last > group.snapshot_meta().last.index => {
                // A later leader replaces a suffix that is not committed.
                self.term = self.term + 1;
                let back = self.random.below(last.since(group.snapshot_meta().last.index));
                self.append(group, Index(last.0 - back), 1)
            }
            1 => {
                self.term = self.term + 1;
                let state = self.state(group);
                group.write(&write(state, None, Entries::default()))
            }
            2 => {
                let last = Position { index: last + 1 + self.random.below(5), term: self.term };
                let data = vec![7; usize::try_from(self.random.below(90)).expect("small")];
                let state = self.state(group);
                group.write(&write(state, Some(snapshot(last, &data)), Entries::default()))
            }
            3 | 4 if last >= first => {
                let index = Index(first.0 + self.random.below(last.since(first.before())));
                if index < group.snapshot_meta().last.index {
                    return Ok(());
                }
                let term = group.term(index).expect("it is in the log");
                let keep_after = Index(index.0.saturating_sub(self.random.below(4)));
                let data = vec![9; usize::try_from(self.random.below(90)).expect("small")];
                group.compact(&snapshot(Position { index, term }, &data), keep_after)
            }
            5 => group.checkpoint(),
            _ => {
                let count = 1 + self.random.below(3);
                self.append(group, last + 1, count)
            }
        }
    }

    fn state(&mut self, group: &DiskStorage) -> HardState {
        let vote = Some(NodeId(self.random.below(3) + 1));
        HardState { term: self.term, vote, commit: group.snapshot_meta().last.index }
    }

    fn append(&mut self, group: &mut DiskStorage, from: Index, count: u64) -> Result<()> {
        let state = self.state(group);
        let mut entry = |index| match self.random.below(8) {
            0 => Entry { index, term: self.term, payload: Payload::Noop },
            1 => {
                let payload = Payload::Configuration(Box::new(founders()));
                Entry { index, term: self.term, payload }
            }
            len => {
                let len = usize::try_from(len).expect("small");
                command(index, self.term, &[b'c'; 8][..len])
            }
        };
        let entries = (from.0..from.0 + count).map(|index| entry(Index(index))).collect();
        group.write(&write(state, None, entries))
    }
}

#[test]
fn groups_share_a_log_and_are_found_again() -> Result<()> {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount())?;
    let mut driver = Driver::new(1);
    let mut groups = Vec::new();
    for id in 0..5 {
        groups.push(log.create(GroupId(id), Incarnation(id), founders())?);
    }
    for _ in 0..200 {
        for group in &mut groups {
            driver.change(group)?;
        }
    }
    log.sync()?;
    let views: Vec<View> = groups.iter().map(view).collect();
    disk.crash();
    drop((log, groups));
    let log = open(&disk.mount())?;
    assert_eq!(log.groups(), (0..5).map(GroupId).collect::<Vec<_>>());
    for (id, known) in (0..5).zip(&views) {
        assert_eq!(view(&log.group(GroupId(id))?), *known);
    }
    Ok(())
}

#[test]
fn a_group_is_made_once_and_taken_once() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    let log = open(&fs)?;
    let missing = log.group(GroupId(7));
    assert!(matches!(missing, Err(DiskError::NoGroup { group: GroupId(7) })));
    drop(log.create(GroupId(7), Incarnation(1), founders())?);
    let again = log.create(GroupId(7), Incarnation(1), founders());
    assert!(matches!(again, Err(DiskError::Exists { group: GroupId(7) })));
    let locked = open(&fs).expect_err("it is open");
    assert!(locked.to_string().contains("locked"), "{locked}");
    Ok(())
}

/// What a leader hands out at once may be longer than a segment.
#[test]
fn a_long_write_is_several_records() -> Result<()> {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount())?;
    let mut group = log.create(GroupId(1), Incarnation(0), founders())?;
    let entries: Entries =
        (1..=60).map(|index| command(Index(index), Term(1), &[1; 100])).collect();
    let state = HardState { term: Term(1), vote: None, commit: Index(0) };
    group.write(&write(state, None, entries.clone()))?;
    group.checkpoint()?;
    let known = view(&group);
    assert_eq!(known.entries, entries);
    drop((group, log));
    disk.crash();
    assert_eq!(view(&open(&disk.mount())?.group(GroupId(1))?), known);
    Ok(())
}

#[test]
fn an_entry_longer_than_a_record_is_refused() -> Result<()> {
    let log = open(&SimDisk::new(1).mount())?;
    let mut group = log.create(GroupId(1), Incarnation(0), founders())?;
    let fits = usize::try_from(group.entry_bytes_max()).expect("small");
    let mut put = |len: usize| {
        let entry = command(group.last_index() + 1, Term(1), &vec![1; len]);
        group.write(&write(HardState::default(), None, vec![entry].into()))
    };
    put(fits)?;
    assert!(matches!(put(768), Err(DiskError::TooLarge { .. })));
    Ok(())
}

/// Busy groups compact; a quiet one would hold all of the log back.
#[test]
fn the_log_stays_short_where_quiet_groups_are_written_anew() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    let log = open(&fs)?;
    let mut quiet = log.create(GroupId(1), Incarnation(0), founders())?;
    let mut busy = log.create(GroupId(2), Incarnation(0), founders())?;
    for round in 1..=300 {
        let entry = command(Index(round), Term(1), &[1; 50]);
        busy.write(&write(HardState::default(), None, vec![entry].into()))?;
        if round % 10 == 0 {
            let last = Position { index: Index(round), term: Term(1) };
            busy.compact(&snapshot(last, b"state"), last.index)?;
        }
        if quiet.segments_held() > 4 {
            quiet.checkpoint()?;
        }
        let segments = env::fs::Fs::list(&*fs, Path::new("/raft/log"))?.len();
        assert!(segments < 12, "{segments} segments after round {round}");
    }
    let files = env::fs::Fs::list(&*fs, Path::new("/raft/snapshots"))?;
    assert_eq!(files.len(), 1, "old snapshots go: {files:?}");
    Ok(())
}

#[test]
fn parts_of_a_snapshot_are_its_bytes() -> Result<()> {
    let log = open(&SimDisk::new(1).mount())?;
    let mut group = log.create(GroupId(1), Incarnation(0), founders())?;
    let data: Vec<u8> = (0..100_000u32).map(|at| at.to_le_bytes()[0]).collect();
    let last = Position { index: Index(9), term: Term(3) };
    let whole = snapshot(last, &data);
    group.write(&write(HardState::default(), Some(whole), Entries::default()))?;
    for (offset, len) in [(0, 10), (32_760, 20), (99_990, 100), (100_000, 5), (0, 1 << 40)] {
        let part = group.snapshot_chunk(offset, len)?;
        let start = usize::try_from(offset).expect("small");
        let end = data.len().min(start.saturating_add(usize::try_from(len).expect("small")));
        assert_eq!(part, &data[start..end]);
    }
    assert_eq!(group.last_index(), Index(9));
    assert_eq!(group.term(Index(9))?, Term(3));
    Ok(())
}
