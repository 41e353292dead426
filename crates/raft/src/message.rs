//! What servers say to each other.
//!
//! ```text
//!   candidate ---- RequestPreVote, RequestVote -------> everybody who votes
//!             <--- VoteResponse ----------------------
//!   leader    ---- AppendEntries, InstallSnapshot ----> followers, learners
//!             <--- AppendResponse, SnapshotResponse --
//!             ---- TimeoutNow ------------------------> the next leader
//!   follower  ---- ReadIndex -------------------------> leader
//!             <--- ReadIndexResponse -----------------
//! ```
//!
//! Two numbers make replies safe. A *session* names one period in which one leader replicates to
//! one member, so that a member which was removed and added again is not credited with what it
//! acknowledged before. A *round* numbers the leader's questions "am I still the leader?"; every
//! message to a follower asks it, every reply answers it.
//!
//! # What this module does not do
//!
//! It has no encoding: that is in `codec`, under frames that know versions and hostile peers.

use bytes::Bytes;

use crate::config::ReadMode;
use crate::entries::Entries;
use crate::types::{Incarnation, Index, NodeId, Position, SnapshotMeta, Term};

/// Names a read, never twice: `boot` differs at each start of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId {
    /// Which start of the process asked.
    pub boot: u64,
    /// Which of its reads it is.
    pub sequence: u64,
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The state machine as it is now may answer it.
    Serve(ReadId),
    /// The leader is another one now, or did not answer: ask again.
    Lost(ReadId),
}

/// A message between two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// The disk that the sender has.
    pub incarnation: Incarnation,
    /// The sender's term; for a pre-vote and a granted one, the term that is asked about.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
//
// A word for the tag: behind a byte, all that follows is moved from an odd address on, in pieces
// that are not those in which it was stored, and each move waits until the stores are done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Body {
    /// Would you vote for me? Nothing changes by the question (D§9.6).
    RequestPreVote {
        /// The end of the candidate's log.
        last: Position,
    },
    /// Vote for me (§5.2, §5.4.1).
    RequestVote {
        /// The end of the candidate's log.
        last: Position,
        /// The leader asked for this election, so its lease is no obstacle (D§3.10).
        transfer: bool,
    },
    /// The answer to either.
    VoteResponse {
        /// To which.
        pre: bool,
        /// Yes or no.
        granted: bool,
    },
    /// Entries behind `prev`, or none: then it is a heartbeat (§5.3).
    AppendEntries {
        /// `prevLogIndex`, `prevLogTerm`.
        prev: Position,
        /// Shared by the messages to all followers that stand at the same place.
        entries: Entries,
        /// `leaderCommit`.
        commit: Index,
        /// See the module's header.
        round: u64,
        /// See the module's header.
        session: u64,
    },
    /// The answer to it.
    AppendResponse {
        /// Of the message that is answered.
        round: u64,
        /// Of the message that is answered.
        session: u64,
        /// Whether the logs match.
        outcome: AppendOutcome,
    },
    /// A part of a snapshot (§7, figure 13).
    InstallSnapshot {
        /// What the snapshot replaces.
        meta: Box<SnapshotMeta>,
        /// Where this part begins.
        offset: u64,
        /// The part. The last one ends at `meta.len`.
        data: Bytes,
        /// See the module's header.
        round: u64,
        /// See the module's header.
        session: u64,
    },
    /// The answer to it: send from `offset` on. Who has it all answers with an `AppendResponse`.
    SnapshotResponse {
        /// Of the message that is answered.
        round: u64,
        /// Of the message that is answered.
        session: u64,
        /// Which snapshot, by its last entry.
        last: Index,
        /// How much of it is there.
        offset: u64,
    },
    /// Campaign at once (D§3.10).
    TimeoutNow,
    /// A follower's question: what is committed now (D§6.4)?
    ReadIndex {
        /// Which read.
        id: ReadId,
        /// Whether a lease is enough.
        mode: ReadMode,
    },
    /// The answer, once the leader knows that it is one.
    ReadIndexResponse {
        /// Which read.
        id: ReadId,
        /// Serve the read once this entry is applied.
        index: Index,
    },
}

/// Whether `AppendEntries` fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The logs are the same up to here, and the follower's is durable.
    Accepted {
        /// The last index that is known to match.
        matched: Index,
    },
    /// The follower has another entry at `prev`, or none.
    Rejected {
        /// `prev.index` of the message.
        prev: Index,
        /// The last place at or before `prev` where the logs may match: terms that the leader
        /// cannot have are passed over (§5.3, the last paragraph but two).
        hint: Position,
    },
}

impl Body {
    /// Whether it promises something that must survive a crash, and so waits for the disk.
    ///
    /// A leader's entries do not: the leader counts itself only when its own copy is durable
    /// (D§10.2.1). A pre-vote promises nothing.
    pub const fn is_promise(&self) -> bool {
        match self {
            Self::RequestVote { .. }
            | Self::VoteResponse { pre: false, .. }
            | Self::AppendResponse { .. }
            | Self::SnapshotResponse { .. } => true,
            Self::RequestPreVote { .. }
            | Self::VoteResponse { pre: true, .. }
            | Self::AppendEntries { .. }
            | Self::InstallSnapshot { .. }
            | Self::TimeoutNow
            | Self::ReadIndex { .. }
            | Self::ReadIndexResponse { .. } => false,
        }
    }
}
