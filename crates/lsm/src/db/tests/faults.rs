//! `EIO` and `ENOSPC` in the place of every write, every sync and every growth of a file in turn.
//!
//! What is asked each time: reads go on; who writes gets a typed error; after it the store either
//! goes on as if nothing had been, or says that it has stopped: at once where the log cannot be
//! trusted, with the next flush where the manifest cannot; with room again it goes on by itself;
//! and opened anew it has all that was acknowledged.

use env::fs::FsErrorKind;
use harness::sim::{DiskFault, Dose, SimDisk};

use super::*;
use crate::{Backend, Error};

/// What the store may hold: each batch that failed may have been made or not.
struct Expected {
    models: Vec<Model>,
}

impl Expected {
    fn wrote(&mut self, changes: &Changes) {
        for it in &mut self.models {
            apply(it, changes);
        }
    }

    fn failed(&mut self, changes: &Changes) {
        let mut others = self.models.clone();
        for it in &mut others {
            apply(it, changes);
        }
        self.models.extend(others);
        self.models.dedup();
    }

    fn require(&self, db: &Db, context: &str) {
        let found = contents(db).expect("reads go on");
        assert!(self.models.contains(&found), "{context}: what is read was never written");
    }
}

/// Whether a sync failed of what this part of the store holds: nobody knows any more what of it is
/// durable. Where a segment of the log is made, a failed sync of its room loses nothing.
fn is_sync_of(part: &str, cause: &Error) -> bool {
    let Error::Fs(cause) = cause else { return false };
    let is_sync = cause.operation == "flush" || (part == "manifest" && cause.operation == "sync");
    is_sync && cause.path.starts_with(folder().join(part))
}

/// Writes all batches, whatever fails. Returns the first cause, and whether the store has stopped.
fn run(
    db: &Db,
    batches: &[Changes],
    expected: &mut Expected,
    context: &str,
) -> (Option<Error>, bool) {
    let (mut first, mut has_stopped) = (None, false);
    for changes in batches {
        match write(db, changes) {
            Ok(()) => {
                let distrusted = first.as_ref().is_some_and(|it| is_sync_of("log", it));
                assert!(!distrusted, "{context}: it went on after {first:?}");
                expected.wrote(changes);
            }
            Err(Error::Stopped(_)) => has_stopped = true,
            Err(cause) => {
                let Error::Fs(inside) = &cause else { panic!("{context}: {cause}") };
                assert_eq!(inside.kind, FsErrorKind::Io, "{context}: {cause}");
                assert!(first.is_none(), "{context}: {cause}, and it struck once");
                expected.failed(changes);
                expected.require(db, context);
                first = Some(cause);
            }
        }
    }
    (first, has_stopped)
}

fn settings() -> [Options; 3] {
    let sync = with_durability(Durability::Sync);
    [
        sync.clone(),
        Options { log: Backend::Written, ..sync.clone() },
        Options { value_threshold: Some(60), value_garbage_percent: 10, ..sync },
    ]
}

/// Lets a fault strike at the first occasion, at the second, and so on until none is left.
fn at_each_occasion(fault: fn(Dose) -> DiskFault, options: &Options) -> (usize, usize) {
    let batches = batches(7, 120, 150);
    let (mut failures, mut stops) = (0, 0);
    for occasion in 0.. {
        let context = format!("{:?}, occasion {occasion}", fault(Dose::NEVER));
        let disk = SimDisk::new(u64::from(occasion));
        let mut expected = Expected { models: vec![Model::new()] };
        let db = open(&disk.mount(), options).expect("the disk is well");
        let calm = disk.trace().coverage();
        disk.inject(&fault(Dose::After(occasion)));
        let (cause, has_stopped) = run(&db, &batches, &mut expected, &context);
        let has_struck = disk.trace().coverage() != calm;
        failures += usize::from(cause.is_some());
        stops += usize::from(has_stopped);
        let is_of = |part| cause.as_ref().is_some_and(|it| is_sync_of(part, it));
        if is_of("log") {
            let put = db.put(b"more", b"");
            assert!(matches!(put, Err(Error::Stopped(_))), "{context}: {put:?}");
        } else if is_of("manifest") {
            let settled = db.settle();
            assert!(matches!(settled, Err(Error::Stopped(_))), "{context}: {settled:?}");
        }
        expected.require(&db, &context);
        drop(db);
        disk.heal();
        disk.crash();
        let db = open(&disk.mount(), options);
        let db = db.unwrap_or_else(|it| panic!("{context}: {it}, after {cause:?}"));
        expected.require(&db, &context);
        db.verify().expect("what failed damages nothing");
        if !has_struck {
            break;
        }
    }
    (failures, stops)
}

#[test]
fn each_write_may_fail() {
    for options in settings() {
        let (failures, _) = at_each_occasion(DiskFault::WriteError, &options);
        assert!(failures > 10, "{failures} failures");
    }
}

#[test]
fn each_sync_may_fail() {
    for options in settings() {
        let (failures, stops) = at_each_occasion(DiskFault::SyncError, &options);
        assert!(failures > 60 && stops > 60, "{failures} failures, {stops} stops");
    }
}

/// Each amount of room, in steps that are smaller than what a file grows by.
#[test]
fn the_disk_may_be_full_at_any_growth() {
    const STEP: u64 = 64;
    const PATIENCE: usize = 3;

    for options in settings() {
        let batches = batches(7, 70, 150);
        let mut tried = 0;
        for room in (0..).map(|it| it * STEP) {
            let context = format!("room {room}");
            let disk = SimDisk::new(room);
            let db = open(&disk.mount(), &options).expect("the disk is well");
            disk.inject(&DiskFault::Full { room });
            let (mut expected, mut refused) = (Expected { models: vec![Model::new()] }, 0);
            for changes in &batches {
                match write(&db, changes) {
                    Ok(()) => expected.wrote(changes),
                    Err(cause) => {
                        assert!(cause.is_no_space(), "{context}: {cause}");
                        assert!(refused < PATIENCE, "{context}: there is room again: {cause}");
                        refused += 1;
                        expected.require(&db, &context);
                    }
                }
                if refused == PATIENCE {
                    disk.heal();
                }
            }
            disk.heal();
            db.settle().expect("there is room");
            expected.require(&db, &context);
            drop(db);
            disk.crash();
            let db = open(&disk.mount(), &options).expect("a full disk damages nothing");
            expected.require(&db, &context);
            if refused == 0 {
                break;
            }
            tried += 1;
        }
        assert!(tried > 50, "{tried} amounts of room");
    }
}
