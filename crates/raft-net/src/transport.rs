//! How servers reach each other.

pub(crate) mod frame;
pub(crate) mod memory;
pub(crate) mod tcp;

use raft::{GroupId, Message, NodeId};

use crate::pulse::Pulse;

/// A message and the group that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Which group.
    pub group: GroupId,
    /// What it says.
    pub message: Message,
}

/// What one node says to another in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// For all of its quiescent groups.
    pub pulse: Option<Pulse>,
    /// Of one group each.
    pub envelopes: Vec<Envelope>,
}

impl Packet {
    /// Bytes that it takes on the wire, by [`TcpTransport`](crate::TcpTransport): for whoever
    /// counts what a protocol says where it is not sent. It costs as much as sending does.
    pub fn wire_bytes(&self) -> usize {
        frame::encode(self, usize::MAX).0.iter().map(bytes::Bytes::len).sum()
    }
}

impl From<Vec<Envelope>> for Packet {
    fn from(envelopes: Vec<Envelope>) -> Self {
        Self { pulse: None, envelopes }
    }
}

/// Carries packets between nodes. It may lose, repeat and reorder them. When a node is connected it
/// delivers an empty one, so that those are remembered who have nothing to say themselves.
pub trait Transport: Send + 'static {
    /// Takes a packet to a peer. It never waits: what it cannot take it drops, since the protocol
    /// says again whatever matters, and says it newer.
    fn send(&mut self, to: NodeId, packet: Packet);
}
