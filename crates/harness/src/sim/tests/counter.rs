//! A counter with a write-ahead log on one disk: an increment that was acknowledged stays.
//!
//! ```text
//!          0       8          632        640
//!   log    | value | filling   | checksum |   one record an increment; the last sound one counts
//! ```
//!
//! A record is longer than a sector, so that it can be torn. At each start, and after every eighth
//! record, the log is replaced by one of a single record.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use env::fs::{File, Fs, FsError, FsErrorKind, FsExt, OpenMode};

use super::{FAULTS, Run, SURVIVED, must_catch};
use crate::sim::{
    Actor, Command, Context, Family, Fault, Host, NodeId, Script, SimFs, Swarm, Trace, World,
    crash_at_every_io, survive,
};

const LOG: &str = "counter/log";
const TEMPORARY: &str = "counter/log.new";
const RECORD: usize = 640;
const CHECKSUM: usize = RECORD - 8;
const RECORDS_MAX: u64 = 8;

/// What the author of the counter got wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    SkipsSync,
    AcknowledgesBeforeSync,
    SkipsDirectorySync,
    RenamesBeforeSync,
    TrustsTornRecord,
    RetriesFailedSync,
    IgnoresShortRead,
    OverwritesInPlace,
    TrustsCacheAfterRestart,
}

struct Counter {
    fs: Arc<SimFs>,
    log: Box<dyn File>,
    records: u64,
    value: u64,
    bug: Option<Bug>,
}

/// What the user knows of the counter.
#[derive(Debug, Default)]
struct User {
    acknowledged: u64,
    attempted: u64,
    complaint: Option<String>,
}

impl Counter {
    fn open(fs: Arc<SimFs>, bug: Option<Bug>) -> Result<Self, FsError> {
        fs.create_dir_all(Path::new("counter"))?;
        fs.sync_dir(Path::new(""))?;
        let value = match read(&*fs, bug) {
            Ok(log) => last_sound(&log, bug),
            Err(error) if error.kind == FsErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let exists = fs.exists(Path::new(LOG))?;
        let log = if exists && bug == Some(Bug::TrustsCacheAfterRestart) {
            fs.open(Path::new(LOG), OpenMode::WRITE)?
        } else {
            // What was read may be in the cache only; written anew it is durable.
            replace(&*fs, value, bug)?
        };
        let records = log.size()? / RECORD as u64;
        Ok(Self { fs, log, records, value, bug })
    }

    /// After an error the counter must be opened again.
    fn increment(&mut self, user: &mut User) -> Result<(), FsError> {
        let next = self.value + 1;
        user.attempted += 1;
        if self.records >= RECORDS_MAX && self.bug != Some(Bug::OverwritesInPlace) {
            self.log = replace(&*self.fs, next, self.bug)?;
            self.records = 1;
        } else {
            self.append(next, user)?;
        }
        self.value = next;
        user.acknowledged = next;
        Ok(())
    }

    fn append(&mut self, next: u64, user: &mut User) -> Result<(), FsError> {
        let position = if self.bug == Some(Bug::OverwritesInPlace) { 0 } else { self.records };
        self.log.write_all_at(&record(next), position * RECORD as u64)?;
        self.records += 1;
        if self.bug == Some(Bug::AcknowledgesBeforeSync) {
            user.acknowledged = next;
        }
        match self.log.sync_data() {
            _ if self.bug == Some(Bug::SkipsSync) => Ok(()),
            Err(error)
                if error.kind == FsErrorKind::Io && self.bug == Some(Bug::RetriesFailedSync) =>
            {
                self.log.sync_data()
            }
            result => result,
        }
    }
}

/// Replaces the log by one record.
fn replace(fs: &dyn Fs, value: u64, bug: Option<Bug>) -> Result<Box<dyn File>, FsError> {
    let log = fs.open(Path::new(TEMPORARY), OpenMode::TRUNCATE)?;
    log.write_all_at(&record(value), 0)?;
    if bug != Some(Bug::RenamesBeforeSync) {
        log.sync_data()?;
    }
    fs.rename(Path::new(TEMPORARY), Path::new(LOG))?;
    if bug != Some(Bug::SkipsDirectorySync) {
        fs.sync_dir(Path::new("counter"))?;
    }
    Ok(log)
}

fn read(fs: &dyn Fs, bug: Option<Bug>) -> Result<Vec<u8>, FsError> {
    if bug != Some(Bug::IgnoresShortRead) {
        return fs.read(Path::new(LOG));
    }
    let log = fs.open(Path::new(LOG), OpenMode::READ)?;
    let mut bytes = vec![0; 16 * RECORD];
    let count = log.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn record(value: u64) -> [u8; RECORD] {
    let mut record = [value.to_le_bytes()[0]; RECORD];
    record[..8].copy_from_slice(&value.to_le_bytes());
    let checksum = checksum(&record[..CHECKSUM]);
    record[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    record
}

/// FNV-1a, by which zeros are not sound.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

fn last_sound(log: &[u8], bug: Option<Bug>) -> u64 {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let trusts = bug == Some(Bug::TrustsTornRecord);
    let sound = |record: &&[u8]| word(&record[CHECKSUM..]) == checksum(&record[..CHECKSUM]);
    let records = log.chunks_exact(RECORD).take_while(|record| trusts || sound(record));
    records.last().map_or(0, |record| word(&record[..8]))
}

type Factory = Box<dyn FnMut(Host) -> Result<Process, FsError>>;

/// A process that counts every millisecond.
struct Process {
    counter: Option<Counter>,
    fs: Arc<SimFs>,
    user: Rc<RefCell<User>>,
    bug: Option<Bug>,
}

impl Process {
    fn new(fs: Arc<SimFs>, user: Rc<RefCell<User>>, bug: Option<Bug>) -> Result<Self, FsError> {
        let counter = Counter::open(Arc::clone(&fs), bug)?;
        user.borrow_mut().check(counter.value);
        Ok(Self { counter: Some(counter), fs, user, bug })
    }

    fn tick(&mut self) -> Result<(), FsError> {
        let mut user = self.user.borrow_mut();
        if let Some(counter) = &mut self.counter {
            return counter.increment(&mut user);
        }
        let counter = Counter::open(Arc::clone(&self.fs), self.bug)?;
        user.check(counter.value);
        self.counter = Some(counter);
        Ok(())
    }
}

impl User {
    fn check(&mut self, value: u64) {
        let (least, most) = (self.acknowledged, self.attempted);
        if value < least || value > most {
            self.complaint = Some(format!("{value} found, {least} acknowledged, {most} attempted"));
        }
        // Each try may have counted, but only once from what is there now.
        self.acknowledged = value;
        self.attempted = value;
    }
}

impl Actor for Process {
    type Message = ();

    fn on_start(&mut self, context: &mut Context<'_, ()>) {
        context.set_timer(0, Duration::from_millis(1));
    }

    fn on_message(&mut self, _from: NodeId, (): (), _context: &mut Context<'_, ()>) {}

    fn on_timer(&mut self, token: u64, context: &mut Context<'_, ()>) {
        if self.tick().is_err() {
            self.counter = None;
        }
        context.set_timer(token, Duration::from_millis(1));
    }
}

pub(super) fn swarm() -> Swarm {
    let families = vec![Family::Crashes, Family::DiskErrors];
    Swarm { families, ..Swarm::new(1, FAULTS) }
}

pub(super) fn traced(seed: u64) -> Trace {
    observe(seed, &swarm().draw(seed), None, World::traced).1
}

pub(super) fn run(seed: u64, script: &Script, bug: Option<Bug>) -> Run {
    observe(seed, script, bug, World::new)
}

fn observe(
    seed: u64,
    script: &Script,
    bug: Option<Bug>,
    world: impl FnOnce(u64, u32, Factory) -> World<Process>,
) -> Run {
    let user = Rc::new(RefCell::new(User::default()));
    let shared = Rc::clone(&user);
    let start = move |host: Host| Process::new(host.fs, Rc::clone(&shared), bug);
    let mut world = world(seed, 1, Box::new(start));
    world.play(script);
    world.run_for(FAULTS);
    // Not left to the script: a shorter one may lack it.
    world.inject(&Command::Recover);
    let before = user.borrow().acknowledged;
    world.run_for(FAULTS);
    let trace = world.trace().clone();
    (verdict(&mut world, &mut user.borrow_mut(), before, bug), trace)
}

/// What was acknowledged must also survive a last power cut.
fn verdict(
    world: &mut World<Process>,
    user: &mut User,
    before: u64,
    bug: Option<Bug>,
) -> Result<(), String> {
    if user.complaint.is_none() && user.acknowledged <= before {
        return Err(format!("no progress after recovery: still {before}"));
    }
    let disk = world.disk(NodeId(1));
    let silent = disk.trace().coverage().missing().len() == Fault::ALL.len();
    if !silent {
        disk.crash();
        let counter = Counter::open(disk.mount(), bug).map_err(|error| error.to_string())?;
        user.check(counter.value);
    }
    user.complaint.take().map_or(Ok(()), Err)
}

#[test]
fn counter_survives() {
    survive("sim::tests::counter", SURVIVED, &swarm(), |seed, script| run(seed, script, None).0);
}

/// Short enough to try a crash at every I/O, and a second one at every I/O of the recovery.
#[test]
fn counter_survives_a_crash_at_every_io() {
    let work = |fs: &Arc<SimFs>| {
        let mut user = User::default();
        let counter = Counter::open(Arc::clone(fs), None);
        let _ended_by_the_crash =
            counter.map(|mut counter| (0..20).try_for_each(|_| counter.increment(&mut user)));
        user
    };
    let ios = crash_at_every_io(1, work, |io, mut user, disk| {
        for recovery_io in 0..8 {
            disk.crash_after(recovery_io);
            let _crashes_or_not = Counter::open(disk.mount(), None);
        }
        disk.heal();
        let counter = Counter::open(disk.mount(), None).expect("the disk is well");
        user.check(counter.value);
        assert_eq!(user.complaint, None, "crash at I/O {io}");
    });
    assert!(ios > 50, "{ios} I/Os");
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [
        Bug::SkipsSync,
        Bug::AcknowledgesBeforeSync,
        Bug::SkipsDirectorySync,
        Bug::RenamesBeforeSync,
        Bug::TrustsTornRecord,
        Bug::RetriesFailedSync,
        Bug::IgnoresShortRead,
        Bug::OverwritesInPlace,
        Bug::TrustsCacheAfterRestart,
    ] {
        must_catch(&swarm(), bug, run);
    }
}
