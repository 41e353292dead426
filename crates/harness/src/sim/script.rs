//! Fault scripts: what goes wrong in a run, as text that can be read, kept, and made shorter.
//!
//! One line is one fault. Empty lines and what follows a `#` mean nothing.
//!
//! ```text
//!   line      = [ "at" TIME ] fault             at once where no time is given
//!   TIME      = number ( "ns" | "us" | "ms" | "s" )            120ms
//!   NODES     = number number ...  or  "*"                     1 3
//!   CHANCE    = number "%"                                     2.5%
//!   DOSE      = "once"  or  "once after" number  or  number "times"  or  CHANCE
//!   SIZE      = number ( "B" | "KiB" | "MiB" )                 64KiB
//! ```
//!
//! | fault                                    | what happens                                      |
//! |------------------------------------------|---------------------------------------------------|
//! | `partition 1 2 \| 3 \| 4 5`              | no message passes between the groups              |
//! | `partition 1 -> 2 3`                     | no message passes from the first to the second    |
//! | `bridge 1 2 \| 3 \| 4 5`                 | the outer groups reach only the one in the middle |
//! | `ring`                                   | each node reaches only its two neighbours         |
//! | `heal`                                   | every message passes again                        |
//! | `link 1 -> * drop CHANCE`                | messages on these links are lost                  |
//! | `link * -> * duplicate CHANCE`           | they arrive twice                                 |
//! | `link * -> * reorder CHANCE`             | they may be overtaken                             |
//! | `link * -> 2 delay TIME..TIME`           | they take so long                                 |
//! | `link * -> * heal`                       | these links are as at first                       |
//! | `pause 2`, `resume 2`                    | the node stands still; what comes for it waits    |
//! | `kill 2`                                 | its process ends, its page cache stays            |
//! | `crash 2`                                | its power is cut                                  |
//! | `crash 2 after 17 ios`                   | its power is cut in the midst of the 18th I/O     |
//! | `restart 2`                              | it starts again where it is down                  |
//! | `clock 2 rate 1.05`                      | its clock runs so fast                            |
//! | `clock 2 jump -50ms`                     | its clock is set back, or forward without a minus |
//! | `disk 1 lose-sync DOSE`                  | syncs report success and do nothing               |
//! | `disk 1 read-error DOSE`                 | reads fail; also `write-error`, `sync-error`      |
//! | `disk 1 short-read DOSE`                 | reads return less than they could                 |
//! | `disk 1 full after SIZE`                 | files may grow by so much                         |
//! | `disk 1 flip-bit`, `disk 1 flip-bit wal` | a bit changes, of any file or of one named so     |
//! | `disk 1 slow TIME..TIME`                 | each I/O takes so long                            |
//! | `disk 1 heal`                            | the disk works again                              |
//! | `recover`                                | all is healed, resumed and restarted              |
//!
//! ```
//! use harness::sim::Script;
//!
//! let script: Script = "
//!     at 120ms partition 1 | 2 3    # the leader is alone
//!     at 300ms heal
//!     crash 2 after 17 ios
//!     disk 1 lose-sync once
//! ".parse()?;
//! assert_eq!(script.lines[0].to_string(), "at 120ms partition 1 | 2 3");
//!
//! let error = "at 120 heal".parse::<Script>().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "line 1: expected a time with its unit, such as 120ms, but found `120`",
//! );
//! # Ok::<(), harness::sim::ScriptError>(())
//! ```
//!
//! # What this module does not do
//!
//! A script holds no workload and no expectation: those are code, beside the system that they test.

mod hunt;
mod parse;
mod show;
mod swarm;

use std::time::Duration;

use super::disk::DiskFault;
use super::network::{LinkFault, NodeId};

pub use hunt::{Finding, hunt, shrink, survive};
pub use parse::ScriptError;
pub use swarm::{Family, Swarm};

/// What goes wrong, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The faults. They need not be in the order of time.
    pub lines: Vec<Line>,
}

/// One fault at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// After the beginning of the world.
    pub at: Duration,
    /// What happens.
    pub fault: Command,
}

/// A set of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Every node.
    All,
    /// These.
    Some(Vec<NodeId>),
}

/// One fault; the table in the module's header tells what each does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// No message passes between groups. A node in no group is a group of its own.
    Partition(Vec<Vec<NodeId>>),
    /// No message passes from the first to the second.
    OneWay(Vec<NodeId>, Vec<NodeId>),
    /// No message passes between the first and the last; the middle reaches both.
    Bridge([Vec<NodeId>; 3]),
    /// Each node reaches its two neighbours alone.
    Ring,
    /// Every link passes again.
    Heal,
    /// Links between two sets change.
    Link(Nodes, Nodes, LinkFault),
    /// A node stands still.
    Pause(NodeId),
    /// A node goes on.
    Resume(NodeId),
    /// A process ends.
    Kill(NodeId),
    /// A machine loses power.
    Crash(NodeId),
    /// A machine loses power in the midst of the I/O that follows on so many.
    CrashAfter(NodeId, u64),
    /// A node starts again.
    Restart(NodeId),
    /// A clock runs at so many parts per million of true time.
    ClockRate(NodeId, u32),
    /// A clock is moved by so many nanoseconds.
    ClockJump(NodeId, i64),
    /// Something happens to a disk.
    Disk(NodeId, DiskFault),
    /// All is healed, resumed and restarted.
    Recover,
}

impl Script {
    /// The same without the lines of which `drop` says so.
    #[must_use]
    fn without(&self, drop: impl Fn(usize) -> bool) -> Self {
        let kept = self.lines.iter().enumerate().filter(|(position, _)| !drop(*position));
        Self { lines: kept.map(|(_, line)| line.clone()).collect() }
    }
}

#[cfg(test)]
mod tests;
