//! How servers reach each other.

pub(crate) mod frame;
pub(crate) mod memory;
pub(crate) mod tcp;

use raft::{GroupId, Message, NodeId};

/// A message and the group that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Which group.
    pub group: GroupId,
    /// What it says.
    pub message: Message,
}

/// Carries messages between nodes. It may lose, repeat and reorder them.
pub trait Transport: Send + 'static {
    /// Takes messages to a peer. It never waits: what it cannot take it drops, since the protocol
    /// says again whatever matters, and says it newer.
    fn send(&mut self, to: NodeId, batch: Vec<Envelope>);
}
