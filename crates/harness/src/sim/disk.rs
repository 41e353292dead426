//! A disk that keeps what was synced and gambles with the rest.
//!
//! ```text
//!   SimDisk  (the hardware; the test holds it)         crash, kill, crash_after, inject, heal
//!     |
//!     | mount()         one for each life of a process; it is dead after a crash or kill
//!     v
//!   SimFs    (what the engine gets, an `env::fs::Fs`)  open, rename, sync_dir, lock, ...
//!     |
//!     v
//!   tree     names: seen | durable | changes between   (`disk/tree.rs`)
//!   content  bytes: seen | durable | writes between    (`disk/content.rs`)
//! ```
//!
//! A *kill* ends the process: handles die, locks are free, the page cache stays. A *crash* cuts the
//! power: of what was not synced any part may survive, by the rules of `env::fs`, decided by the
//! seed. [`SimDisk::crash_after`] puts the cut in the midst of the n-th I/O that follows, so that a
//! suite can try each one:
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use env::fs::FsExt;
//! use harness::sim::{SimFs, crash_at_every_io};
//!
//! let path = Path::new("CURRENT");
//! let work = |fs: &Arc<SimFs>| {
//!     fs.write_atomic(path, b"old")?;
//!     fs.write_atomic(path, b"new")
//! };
//! let ios = crash_at_every_io(7, work, |io, outcome, disk| match disk.mount().read(path) {
//!     Ok(bytes) => assert!(bytes == b"new" || (bytes == b"old" && outcome.is_err()), "I/O {io}"),
//!     Err(_) => assert!(outcome.is_err(), "a finished write is lost after I/O {io}"),
//! });
//! assert!(ios >= 10);
//! ```
//!
//! An I/O, for this count, is a call that changes something or makes it durable; reads are none.
//!
//! # What this module does not do
//!
//! It holds all files in memory, twice. It imitates no particular file system: it does what POSIX
//! permits, which is worse than any of them. A write to the wrong place is not among its faults.

mod content;
mod faults;
mod mount;
mod tree;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use env::clock::Timestamp;
use env::random::{Random, SeededRandom};

pub(super) use faults::CERTAIN;
pub use faults::{DiskFault, Dose};
pub use mount::SimFs;

use super::coverage::Fault;
use super::time::SimClock;
use super::trace::Trace;
use faults::Faults;
use tree::{Inode, Tree};

/// The hardware of a simulated disk. Copies are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    machine: Arc<Machine>,
}

/// A disk, and whose it is.
#[derive(Debug)]
struct Machine {
    /// What the trace calls it.
    name: String,
    clock: Arc<SimClock>,
    trace: Trace,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    faults: Faults,
    random: SeededRandom,
    /// How often the machine or its processes have died. A handle of an earlier life is dead.
    life: u64,
    is_down: bool,
    ios: u64,
    /// The I/O in whose midst the power fails.
    crash_at: Option<u64>,
    locks: BTreeSet<Inode>,
}

impl SimDisk {
    /// An empty disk outside any world: `seed` decides what crashes keep.
    pub fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        Self::of("disk".to_owned(), random, Arc::new(SimClock::new()), Trace::new())
    }

    /// The empty disk of a node of a world.
    pub(super) fn of(
        name: String,
        random: SeededRandom,
        clock: Arc<SimClock>,
        trace: Trace,
    ) -> Self {
        let state = State {
            tree: Tree::new(),
            faults: Faults::NONE,
            random,
            life: 0,
            is_down: false,
            ios: 0,
            crash_at: None,
            locks: BTreeSet::new(),
        };
        Self { machine: Arc::new(Machine { name, clock, trace, state: Mutex::new(state) }) }
    }

    /// The file system for a new process. Brings the machine up where it is down.
    pub fn mount(&self) -> Arc<SimFs> {
        let mut state = self.machine.lock();
        state.is_down = false;
        Arc::new(SimFs::new(Arc::clone(&self.machine), state.life))
    }

    /// Cuts the power. Every mount and handle is dead from now on.
    pub fn crash(&self) {
        self.machine.power_off(&mut self.machine.lock(), Fault::Crash);
    }

    /// Ends all processes of the machine. What they wrote is in the page cache still, and not a
    /// bit more durable than before.
    pub fn kill(&self) {
        let mut state = self.machine.lock();
        state.life += 1;
        state.is_down = true;
        state.locks.clear();
        self.machine.fault(Fault::Kill, format_args!("process ended"));
    }

    /// Cuts the power in the midst of the I/O that follows on the next `ios` ones. A write that is
    /// cut so may have happened in part; a sync has synced nothing. At most one such cut waits.
    pub fn crash_after(&self, ios: u64) {
        let mut state = self.machine.lock();
        state.crash_at = Some(state.ios + ios + 1);
    }

    /// Whether the machine is down: it crashed or was killed, and nobody has mounted it since.
    pub fn is_down(&self) -> bool {
        self.machine.lock().is_down
    }

    /// How many I/Os there were: calls that change something or make it durable.
    pub fn ios(&self) -> u64 {
        self.machine.lock().ios
    }

    /// Makes something go wrong.
    pub fn inject(&self, fault: &DiskFault) {
        let mut state = self.machine.lock();
        match fault {
            DiskFault::LoseSync(dose) => state.faults.lose_sync = *dose,
            DiskFault::ReadError(dose) => state.faults.read_error = *dose,
            DiskFault::WriteError(dose) => state.faults.write_error = *dose,
            DiskFault::SyncError(dose) => state.faults.sync_error = *dose,
            DiskFault::ShortRead(dose) => state.faults.short_read = *dose,
            DiskFault::Full { room } => state.faults.capacity = Some(state.tree.used() + room),
            DiskFault::Slow { min, max } => state.faults.latency = Some((*min, *max)),
            DiskFault::FlipBit { file } => self.machine.flip_bit(&mut state, file.as_deref()),
            DiskFault::Heal => {
                state.faults = Faults::NONE;
                state.crash_at = None;
            }
        }
    }

    /// Ends all faults, and a crash that waits for its I/O.
    pub fn heal(&self) {
        self.inject(&DiskFault::Heal);
    }

    /// What happened on this disk; in a world, the trace of the world.
    pub fn trace(&self) -> &Trace {
        &self.machine.trace
    }

    /// The clock that slow I/O moves.
    pub fn clock(&self) -> &Arc<SimClock> {
        &self.machine.clock
    }
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, State> {
        // An engine that panics between two calls is no reason to lie about the disk.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.true_now()
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now(), format_args!("{}: {what}", self.name));
    }

    fn fault(&self, fault: Fault, what: fmt::Arguments<'_>) {
        self.trace.fault(self.now(), fault, format_args!("{}: {what}", self.name));
    }

    fn power_off(&self, state: &mut State, cause: Fault) {
        self.fault(cause, format_args!("power cut"));
        state.life += 1;
        state.is_down = true;
        state.crash_at = None;
        state.locks.clear();
        let State { tree, random, .. } = state;
        tree.crash(random, &mut |fault| self.fault(fault, format_args!("by the power cut")));
    }

    fn flip_bit(&self, state: &mut State, part: Option<&str>) {
        let mut files = state.tree.files();
        files.retain(|(path, inode)| {
            let named = part.is_none_or(|part| path.to_string_lossy().contains(part));
            named && state.tree.file(*inode).is_ok_and(|content| !content.live.is_empty())
        });
        if files.is_empty() {
            return self.note(format_args!("no file has a bit to flip"));
        }
        let (path, inode) = &files[below(&mut state.random, files.len())];
        let content = state.tree.file_mut(*inode).expect("it was listed as a file");
        let offset = below(&mut state.random, content.live.len());
        let bit = u32::try_from(state.random.below(8)).expect("below 8");
        content.flip(offset, bit);
        self.fault(Fault::BitFlip, format_args!("{} byte {offset} bit {bit}", path.display()));
    }

    /// Lets a slow disk take its time.
    fn take_time(&self, state: &mut State) {
        if let Some((min, max)) = state.faults.latency {
            let spread = u64::try_from(max.saturating_sub(min).as_nanos()).unwrap_or(u64::MAX);
            let extra = state.random.below(spread.saturating_add(1));
            self.clock.spend(min + Duration::from_nanos(extra));
            self.fault(Fault::Slow, format_args!("slow"));
        }
    }
}

/// Runs `work` on a new disk with a crash in the midst of its first I/O, of its second, and so on
/// until it comes to its end without one; that end is followed by a crash too. After each, `check`
/// gets the number of the I/O, what `work` returned, and the disk, to mount it and to look, and
/// perhaps to crash it again during recovery.
///
/// Returns how many I/Os there are.
pub fn crash_at_every_io<T>(
    seed: u64,
    mut work: impl FnMut(&Arc<SimFs>) -> T,
    mut check: impl FnMut(u64, T, &SimDisk),
) -> u64 {
    let mut io = 0;
    loop {
        let disk = SimDisk::new(seed.wrapping_add(io));
        disk.crash_after(io);
        let outcome = work(&disk.mount());
        let finished = !disk.is_down();
        if finished {
            disk.crash();
        }
        check(io, outcome, &disk);
        if finished {
            return io;
        }
        io += 1;
    }
}

fn below(random: &mut SeededRandom, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("below a usize")
}

#[cfg(test)]
mod tests;
