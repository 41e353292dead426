//! Why a call came to nothing, by what the caller can do.

use raft::{ChangeError, GroupId, NodeId, ProposeError, StartError, TransferError};
use thiserror::Error;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Not proposed: somebody else decides, the command is too large, or too much is on its way.
    #[error(transparent)]
    Propose(#[from] ProposeError),

    /// Not proposed: the change cannot be made now, or at all.
    #[error(transparent)]
    Change(#[from] ChangeError),

    /// Leadership stays where it is.
    #[error(transparent)]
    Transfer(#[from] TransferError),

    /// Leadership was lost with the command on its way.
    #[error("leadership was lost: the command may be applied or not; try again in its session")]
    Uncertain,

    /// Another leader's entry stands in its place.
    #[error("another leader's entry took the command's place, and it will not be applied")]
    Replaced,

    /// No leader confirmed the read.
    #[error("no leader has confirmed the read: try again, or read what may be stale")]
    ReadLost,

    /// There is no state here.
    #[error("this server is a witness and has no state to read: ask another server")]
    Witness,

    /// The node has more to do than it takes.
    #[error("the node has more waiting than it takes: try again later")]
    Busy,

    /// There is no such session; it may have been the least recently used of too many.
    #[error("session {session} is not known: open another one; what it did last is not known")]
    NoSession {
        /// Which.
        session: u64,
    },

    /// A later command of the session was applied already.
    #[error("command {sequence} of session {session} comes after command {last}: count upwards")]
    OutOfOrder {
        /// The session.
        session: u64,
        /// Of this command.
        sequence: u64,
        /// Of the last command that was applied.
        last: u64,
    },

    /// The node has no such group.
    #[error("this node has no group {group}")]
    NoGroup {
        /// Which.
        group: GroupId,
    },

    /// The node has it already.
    #[error("this node runs group {group} already")]
    Exists {
        /// Which.
        group: GroupId,
    },

    /// The group has ended on this node.
    #[error("group {group} has ended on this node: {reason}; start the node again")]
    Failed {
        /// Which.
        group: GroupId,
        /// Why.
        reason: String,
    },

    /// The group cannot begin.
    #[error("the group cannot start: {0}")]
    Start(#[from] StartError),

    /// The state machine has more than the log.
    #[error(
        "the state machine has applied {applied}, and the log ends at {last}: the log is not \
             the one that it was applied from"
    )]
    Ahead {
        /// Of the machine.
        applied: u64,
        /// Of the log.
        last: u64,
    },

    /// The node is no more.
    #[error("the node has stopped")]
    Stopped,
}

impl Error {
    /// Who leads, where the call went to the wrong server and that is known.
    pub const fn leader(&self) -> Option<NodeId> {
        match self {
            Self::Propose(ProposeError::NotLeader { leader })
            | Self::Change(ChangeError::NotLeader { leader })
            | Self::Transfer(TransferError::NotLeader { leader }) => *leader,
            Self::Propose(ProposeError::Transferring { to })
            | Self::Change(ChangeError::Transferring { to }) => Some(*to),
            _ => None,
        }
    }

    /// Whether the command may be applied all the same.
    pub const fn is_uncertain(&self) -> bool {
        matches!(self, Self::Uncertain | Self::Stopped | Self::Failed { .. })
    }
}
