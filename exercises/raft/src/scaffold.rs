//! What the stages need and what is the point of none of them: given, to be used as it is.
//!
//! | for stages | what                                                                     |
//! |------------|--------------------------------------------------------------------------|
//! | all        | [`Message`], [`Ready`], [`Saved`]; [`Position`], which sorts as votes do |
//! | 1          | [`ELECTION_TICKS`], [`HEARTBEAT_TICKS`], [`Dice`]                         |
//! | 2          | [`Peer`]                                                                 |
//! | 5          | [`Snapshot`]                                                             |

mod saved;

use bytes::Bytes;
use harness::rng::SplitMix64;
pub use saved::{Saved, Snapshot};

/// Who a server is.
pub type Id = u32;
/// A stretch of time with at most one leader.
pub type Term = u64;
/// The number of an entry; the first one is 1, and 0 is before all.
pub type Index = u64;

/// A follower campaigns after so many ticks without a leader, or up to twice as many.
pub const ELECTION_TICKS: u32 = 10;
/// A leader speaks at least so often.
pub const HEARTBEAT_TICKS: u32 = 2;

/// Term and index of an entry. The greater of two is the one of the more up-to-date log (§5.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Its term.
    pub term: Term,
    /// Its index.
    pub index: Index,
}

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: what a new leader begins with.
    Noop,
    /// A command for the state machine.
    Command(Bytes),
    /// From here on these vote.
    Voters(Vec<Id>),
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The term of the leader that wrote it.
    pub term: Term,
    /// What for.
    pub payload: Payload,
}

/// What one server says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub from: Id,
    /// To whom.
    pub to: Id,
    /// The sender's term.
    pub term: Term,
    /// What.
    pub body: Body,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A candidate, whose log ends at `last`, asks for a vote.
    RequestVote {
        /// The end of its log.
        last: Position,
    },
    /// The answer.
    Vote {
        /// Whether it has the vote.
        granted: bool,
    },
    /// A leader's entries behind `prev`; none are a heartbeat.
    Append {
        /// The entry before the first one.
        prev: Position,
        /// Entries.
        entries: Vec<Entry>,
        /// What the leader knows to be committed.
        commit: Index,
        /// The question "am I still the leader?", by its number.
        round: u64,
    },
    /// A leader's snapshot, for a server that needs what is compacted.
    Install {
        /// All of it.
        snapshot: Snapshot,
        /// As above.
        round: u64,
    },
    /// The sender's log is the leader's up to `matched`, durably.
    Accepted {
        /// How far.
        matched: Index,
        /// The question that this answers.
        round: u64,
    },
    /// The sender has another entry at `prev`, or none.
    Rejected {
        /// Where the logs may be the same: at or before this.
        hint: Position,
        /// The question that this answers.
        round: u64,
    },
}

/// What a leader knows of one follower (figure 2, "volatile state on leaders").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The next entry to send to it.
    pub next: Index,
    /// Its log is the leader's up to here.
    pub matched: Index,
    /// The last question that it has answered.
    pub round: u64,
}

/// What is to be brought into the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apply {
    /// A snapshot, in the place of all that was applied.
    Snapshot(Snapshot),
    /// The entry of this index.
    Entry(Index, Payload),
}

/// What a server wants done, in this order: save, then send, then apply, then answer. Whoever
/// drives it may crash between any two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Everything that must survive; `None` where nothing has changed.
    pub save: Option<Saved>,
    /// To be sent.
    pub messages: Vec<Message>,
    /// To be applied.
    pub apply: Vec<Apply>,
    /// Reads that may be answered from the state that there is then.
    pub reads: Vec<u64>,
}

/// Chance, from a seed.
#[derive(Debug)]
pub struct Dice(SplitMix64);

impl Dice {
    /// From a seed, which differs from server to server.
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// An election timeout in ticks (§5.2).
    pub fn timeout(&mut self) -> u32 {
        let more = self.0.below(u64::from(ELECTION_TICKS));
        ELECTION_TICKS + u32::try_from(more).expect("a small number")
    }
}
