//! The words of the protocol: nodes, terms, indices, entries, configurations.
//!
//! Names are those of Ongaro and Ousterhout, "In search of an understandable consensus algorithm"
//! (USENIX ATC 2014, extended version; cited as §) and of Ongaro's dissertation "Consensus:
//! bridging theory and practice" (2014; cited as D§).
//!
//! # What this module does not do
//!
//! It has no rules. How a configuration may change is in `membership`, who has a majority of it in
//! `quorum`.

use std::fmt;
use std::ops::Add;

use bytes::Bytes;

macro_rules! number {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Add<u64> for $name {
            type Output = Self;

            fn add(self, more: u64) -> Self {
                Self(self.0 + more)
            }
        }
    };
}

number! {
    /// Names a server.
    NodeId
}
number! {
    /// Numbers the elections; at most one leader a term (§5.1). Term 0 is before all elections.
    Term
}
number! {
    /// A position in the log. The first entry has 1, and 0 is the position before it.
    Index
}
number! {
    /// Names a *disk* of a server. A server whose disk was lost comes back with another one, and
    /// what it then says does not count for the member that it was.
    ///
    /// The top bit tells a disk that keeps no commands: who has one is a *witness*. It votes and
    /// acknowledges by terms and indices alone. Since the name of the disk says so, and every
    /// member is known by its disk, no two servers can differ on who is one.
    Incarnation
}

impl Incarnation {
    const WITNESS: u64 = 1 << 63;

    /// A disk that keeps no commands. Only the lower 63 bits of `number` are used.
    #[must_use]
    pub const fn witness(number: u64) -> Self {
        Self(number | Self::WITNESS)
    }

    /// A disk that keeps commands. Only the lower 63 bits of `number` are used.
    #[must_use]
    pub const fn full(number: u64) -> Self {
        Self(number & !Self::WITNESS)
    }

    /// Whether the disk keeps no commands.
    pub const fn is_witness(self) -> bool {
        self.0 & Self::WITNESS != 0
    }
}

impl Index {
    /// The position before the first entry.
    pub const ZERO: Self = Self(0);

    /// The position before this one; 0 stays 0.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How many positions lie in `earlier + 1 ..= self`.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A position in the log and the term of what is there: enough to name one entry for good (§5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Where.
    pub index: Index,
    /// The term of the entry there.
    pub term: Term,
}

/// One entry of the log (§5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub index: Index,
    /// In which term a leader received it.
    pub term: Term,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: a new leader commits it to learn what is committed (§8).
    Noop,
    /// A command for the state machine.
    Command(Bytes),
    /// From here on this is the configuration (§6). Whole, so that the log alone tells who votes.
    Configuration(Box<Configuration>),
    /// A command that this copy of the entry leaves out: all that a witness has of it.
    Withheld,
}

/// What an entry costs beside its command, for the limits that count bytes.
const ENTRY_OVERHEAD: u64 = 32;

impl Entry {
    /// Its size for limits and windows.
    pub fn size(&self) -> u64 {
        ENTRY_OVERHEAD
            + match &self.payload {
                Payload::Noop | Payload::Withheld => 0,
                Payload::Command(command) => command.len() as u64,
                Payload::Configuration(it) => 16 * it.members.len() as u64,
            }
    }

    /// The entry as a witness has it.
    #[must_use]
    pub fn withheld(&self) -> Self {
        let payload = match &self.payload {
            Payload::Command(_) => Payload::Withheld,
            other => other.clone(),
        };
        Self { payload, ..*self }
    }

    /// Where it is, and its term.
    pub const fn position(&self) -> Position {
        Position { index: self.index, term: self.term }
    }
}

/// Who takes part, and who decides (§6, D§4).
///
/// Invariants, kept by `membership`: the lists are sorted; nobody votes and learns at once; each
/// voter and learner is a member; `outgoing` is empty unless a joint change is under way; each
/// majority of either half has a voter that is no witness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The voters: `C_new` while the configuration is joint.
    pub voters: Vec<NodeId>,
    /// The voters of `C_old` while the configuration is joint (§6), else nobody.
    pub outgoing: Vec<NodeId>,
    /// They get the log and do not vote (D§4.2.1).
    pub learners: Vec<NodeId>,
    /// Everybody above, and the disk that each is known by.
    pub members: Vec<(NodeId, Incarnation)>,
    /// Whether the leader ends the joint configuration by itself.
    pub auto_leave: bool,
}

/// What a server must remember for ever, beside the log (figure 2, "persistent state").
///
/// Term, vote and entries go to disk in one write, so that no crash separates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// `currentTerm`.
    pub term: Term,
    /// `votedFor`.
    pub vote: Option<NodeId>,
    /// `commitIndex`. The paper keeps it in memory; a stale one costs time and never safety.
    pub commit: Index,
}

/// What a snapshot replaces (§7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry that it contains.
    pub last: Position,
    /// The configuration at that entry.
    pub configuration: Configuration,
    /// How many bytes the state machine's part has.
    pub len: u64,
}

/// A snapshot (§7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What it replaces.
    pub meta: SnapshotMeta,
    /// The state machine's part.
    pub data: Bytes,
}
