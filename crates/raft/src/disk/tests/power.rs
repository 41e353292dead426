//! Power cuts at every I/O, and full disks.

use harness::sim::{DiskFault, Dose, crash_at_every_io};

use super::*;

/// What a run has done: all states that each group has had, and how many were durable at the end.
struct Done {
    states: Vec<Vec<View>>,
    durable: [usize; 2],
}

const IDS: [GroupId; 2] = [GroupId(1), GroupId(2)];

fn work(seed: u64, fs: &Arc<SimFs>) -> Done {
    let mut done = Done { states: vec![Vec::new(), Vec::new()], durable: [0, 0] };
    let mut run = || -> Result<()> {
        let (log, mut driver) = (open(fs)?, Driver::new(seed));
        let mut groups = Vec::new();
        for (id, states) in IDS.iter().zip(&mut done.states) {
            // It may be there before the call returns; then it must be this.
            let state = HardState::default();
            let known = View {
                incarnation: Incarnation(id.0),
                hard_state: state,
                snapshot: snapshot(Position::default(), b""),
                first: Index(1),
                entries: Entries::default(),
                base: Term(0),
            };
            states.push(known);
            groups.push(log.create(*id, Incarnation(id.0), founders())?);
        }
        for round in 0..14 {
            for (group, states) in groups.iter_mut().zip(&mut done.states) {
                // A change that fails half-way may be found as well.
                let outcome = driver.change(group);
                states.push(view_or_last(group, states));
                outcome?;
            }
            if round % 3 == 2 {
                log.sync()?;
                done.durable = [0, 1].map(|at| done.states[at].len());
            }
        }
        Ok(())
    };
    run().ok();
    done
}

/// After the power cut the snapshot cannot be read; the entries are in memory.
fn view_or_last(group: &DiskStorage, states: &[View]) -> View {
    let last = states.last().expect("there is the first one");
    let meta = group.snapshot_meta().clone();
    let is_same = meta == last.snapshot.meta;
    let data = match group.snapshot() {
        Ok(snapshot) => snapshot.data,
        Err(_) if is_same => last.snapshot.data.clone(),
        // The drivers here fill a snapshot with one byte that is known by who made it.
        Err(_) => Bytes::from(vec![u8::MAX; usize::try_from(meta.len).expect("small")]),
    };
    let (first, end) = (group.first_index(), group.last_index() + 1);
    View {
        incarnation: group.incarnation(),
        hard_state: group.hard_state(),
        snapshot: Snapshot { meta, data },
        first,
        entries: group.entries(first..end, u64::MAX).expect("it is in memory"),
        base: group.term(first.before()).expect("it is in memory"),
    }
}

/// Equal, where bytes that nobody could read before the power cut count as any.
fn is_same(found: &View, known: &View) -> bool {
    let mut known = known.clone();
    if known.snapshot.data.first() == Some(&u8::MAX) {
        known.snapshot.data = found.snapshot.data.clone();
    }
    *found == known
}

#[test]
fn what_was_synced_survives_a_power_cut_at_every_io() {
    for seed in 0..12 {
        crash_at_every_io(
            seed * 1_000,
            |fs| work(seed, fs),
            |io, done, disk| {
                // The power may fail again while the log is read.
                for again in 0..3 {
                    disk.crash_after(again);
                    open(&disk.mount()).ok();
                    disk.crash();
                }
                let log = open(&disk.mount()).expect("a power cut damages nothing");
                for (at, id) in IDS.iter().enumerate() {
                    let (states, durable) = (&done.states[at], done.durable[at]);
                    let group = match log.group(*id) {
                        Ok(group) => group,
                        Err(cause) => {
                            assert!(durable == 0, "seed {seed}, I/O {io}: {cause}");
                            continue;
                        }
                    };
                    let found = view(&group);
                    let later = &states[durable.saturating_sub(1)..];
                    assert!(
                        later.iter().any(|known| is_same(&found, known)),
                        "seed {seed}, I/O {io}, group {id}: {found:#?} is none of {later:#?}"
                    );
                }
            },
        );
    }
}

/// A suffix that was replaced is not seen again, whatever happens after that.
#[test]
fn truncated_entries_never_come_back() {
    for seed in 0..8 {
        let work = |fs: &Arc<SimFs>| -> Result<()> {
            let log = open(fs)?;
            let mut group = log.create(GroupId(1), Incarnation(0), founders())?;
            let old = (1..=8).map(|index| command(Index(index), Term(1), b"old")).collect();
            group.write(&write(HardState::default(), None, old))?;
            log.sync()?;
            let new = vec![command(Index(3), Term(2), b"new")];
            group.write(&write(HardState::default(), None, new.into()))?;
            log.sync()?;
            group.checkpoint()?;
            let more = vec![command(Index(4), Term(2), b"new")];
            group.write(&write(HardState::default(), None, more.into()))?;
            log.sync()
        };
        crash_at_every_io(seed * 1_000, work, |io, outcome, disk| {
            let Ok(group) = open(&disk.mount()).expect("a power cut").group(GroupId(1)) else {
                return;
            };
            let found = view(&group).entries;
            let terms: Vec<u64> = found.iter().map(|entry| entry.term.0).collect();
            assert!(terms.is_sorted(), "seed {seed}, I/O {io}: {terms:?}");
            let is_new = terms.contains(&2);
            assert!(!is_new || terms.len() <= 4, "seed {seed}, I/O {io}: {terms:?}");
            assert!(outcome.is_err() || terms == [1, 1, 2, 2], "seed {seed}: {terms:?}");
        });
    }
}

#[test]
fn after_a_failure_no_group_is_served() -> Result<()> {
    for fault in [DiskFault::SyncError(Dose::Times(1)), DiskFault::WriteError(Dose::Times(1))] {
        let disk = SimDisk::new(1);
        let log = open(&disk.mount())?;
        let mut one = log.create(GroupId(1), Incarnation(0), founders())?;
        let mut two = log.create(GroupId(2), Incarnation(0), founders())?;
        let known = view(&two);
        let whole = snapshot(Position { index: Index(5), term: Term(1) }, b"state");
        disk.inject(&fault);
        let failed = one.write(&write(HardState::default(), Some(whole), Entries::default()));
        assert!(failed.is_err(), "the snapshot's file cannot be written");
        disk.heal();
        let entry: Entries = vec![command(Index(1), Term(1), b"refused")].into();
        let refused = two.write(&write(HardState::default(), None, entry));
        assert!(matches!(refused, Err(DiskError::Failed)));
        assert!(matches!(log.sync(), Err(DiskError::Failed)), "a second sync would lie");
        drop((one, two, log));
        let log = open(&disk.mount())?;
        assert_eq!(view(&log.group(GroupId(2))?), known);
    }
    Ok(())
}

#[test]
fn a_full_disk_ends_the_server_and_loses_nothing() -> Result<()> {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount())?;
    let mut group = log.create(GroupId(1), Incarnation(0), founders())?;
    disk.inject(&DiskFault::Full { room: 900 });
    let mut index = Index(0);
    let cause = loop {
        let entry: Entries = vec![command(index + 1, Term(1), &[1; 40])].into();
        if let Err(cause) = group.write(&write(HardState::default(), None, entry)) {
            break cause;
        }
        log.sync()?;
        index = index + 1;
    };
    assert!(cause.to_string().contains("full"), "{cause}");
    drop((group, log));
    disk.heal();
    let group = open(&disk.mount())?.group(GroupId(1))?;
    assert_eq!(group.last_index(), index, "what was synced, and nothing else");
    Ok(())
}

/// A group of five entries, the log as it is after a power cut that took the copies behind a state:
/// the first entries are in the first segment, the state in the second.
fn torn_rewrite(fs: &Arc<SimFs>) -> Result<View> {
    let log = open(fs)?;
    let (mut group, state) =
        (log.create(IDS[0], Incarnation(1), founders())?, HardState::default());
    for index in 1..=4 {
        let entry = command(Index(index), Term(1), &[7; 150]);
        group.write(&write(state, None, [entry].into_iter().collect()))?;
    }
    let Snapshot { meta, data } = snapshot(Position { index: Index(4), term: Term(1) }, b"4");
    let file = log.write_snapshot::<DiskError>(|to| to.append(&data))?;
    drop(group.compact_to(meta, &file, Index(2))?);
    log.sync()?;
    let before = view(&group);
    drop((file, group, log));
    let below = wal::Log::open(Arc::<SimFs>::clone(fs), Path::new("/raft/log"), OPTIONS)?;
    let mut records = Vec::new();
    below.replay(|at, _| records.push(at))?;
    // The group, four entries, the state, the copies of two.
    let segments: Vec<u64> = records.iter().map(|it| it.segment).collect();
    assert_eq!(segments, [1, 1, 1, 1, 2, 2, 2]);
    below.truncate(records[6])?;
    Ok(before)
}

#[test]
fn what_holds_the_entries_of_a_state_without_copies_stays() {
    let fs = SimDisk::new(1).mount();
    let before = torn_rewrite(&fs).expect("the disk is well");
    let log = open(&fs).expect("nothing durable is lost");
    // Another group fills segments and gives back what it can.
    let mut other = log.create(IDS[1], Incarnation(2), founders()).expect("the disk is well");
    for _ in 0..20 {
        other.checkpoint().expect("the disk is well");
    }
    drop((other, log));
    let log = open(&fs).expect("nothing durable is lost");
    assert_eq!(view(&log.group(IDS[0]).expect("it is there")), before);
}

#[test]
fn a_state_without_copies_before_the_anchor_is_passed_over() {
    let fs = SimDisk::new(1).mount();
    torn_rewrite(&fs).expect("the disk is well");
    let log = open(&fs).expect("nothing durable is lost");
    let mut group = log.group(IDS[0]).expect("it is there");
    let entry = command(Index(5), Term(1), b"5");
    group.write(&write(group.hard_state(), None, [entry].into_iter().collect())).expect("well");
    // Releases the first segment; the state stays in the second, before the anchor.
    group.checkpoint().expect("the disk is well");
    let before = view(&group);
    drop((group, log));
    let log = open(&fs).expect("the anchor has everything");
    assert_eq!(view(&log.group(IDS[0]).expect("it is there")), before);
}
