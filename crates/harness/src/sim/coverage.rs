//! Counts how often each kind of fault has happened.
//!
//! A count rises where the fault takes effect, not where a script asks for it: a message that a
//! partition swallowed, an unsynced byte that a crash lost. A simulation whose counts stay at zero
//! tests nothing, and the suite below asserts that they do not.

use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// A kind of fault, as it took effect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])+ $variant,)+
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in a report.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

faults! {
    /// A link lost a message.
    Drop => "drop",
    /// A message took the longer way that a script asked for.
    Delay => "delay",
    /// A message arrived twice.
    Duplicate => "duplicate",
    /// A message arrived after one that was sent later on the same link.
    Reorder => "reorder",
    /// A partition of groups swallowed a message.
    Partition => "partition",
    /// A partition of one direction swallowed a message.
    OneWay => "one-way",
    /// A message did not pass from one side of a bridge to the other.
    Bridge => "bridge",
    /// A message did not pass between nodes that are no neighbours on a ring.
    Ring => "ring",
    /// A node stood still while something arrived for it.
    Pause => "pause",
    /// A process ended; its machine went on.
    Kill => "kill",
    /// A machine lost its power between two I/Os.
    Crash => "crash",
    /// A machine lost its power in the midst of an I/O.
    CrashAtIo => "crash-at-io",
    /// A node came back.
    Restart => "restart",
    /// A clock was made to run at another rate.
    ClockRate => "clock-rate",
    /// A clock was set to another time.
    ClockJump => "clock-jump",
    /// A read failed.
    ReadError => "read-error",
    /// A write failed.
    WriteError => "write-error",
    /// A sync failed, and what it was to write is lost.
    SyncError => "sync-error",
    /// A write found no room, or room for a part only.
    Full => "full",
    /// A read returned less than was there.
    ShortRead => "short-read",
    /// A stored bit changed.
    BitFlip => "bit-flip",
    /// A sync reported success and did nothing.
    LostSync => "lost-sync",
    /// An I/O took its time.
    Slow => "slow",
    /// A crash lost at least a part of an unsynced write.
    WriteLost => "write-lost",
    /// A crash kept at least a part of an unsynced write.
    WriteKept => "write-kept",
    /// A crash kept some sectors of one write and lost others.
    WriteTorn => "write-torn",
    /// A crash kept a part of a sector.
    SectorTorn => "sector-torn",
    /// A crash forgot that a file was created, renamed or removed.
    NameLost => "name-lost",
}

/// How often each kind of fault has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    counts: [u64; Fault::ALL.len()],
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: [0; Fault::ALL.len()] }
    }
}

impl Coverage {
    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.counts[fault as usize] += 1;
    }

    /// How often `fault` happened.
    pub fn count(&self, fault: Fault) -> u64 {
        self.counts[fault as usize]
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(ours, theirs)| *ours += theirs);
    }

    /// The kinds that never happened.
    pub fn missing(&self) -> Vec<Fault> {
        Fault::ALL.iter().copied().filter(|&fault| self.count(fault) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &fault in Fault::ALL {
            writeln!(f, "{:<12} {:>9}", fault.name(), self.count(fault))?;
        }
        Ok(())
    }
}
