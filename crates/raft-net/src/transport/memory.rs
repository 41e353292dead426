//! Nodes in one process, and links between them that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use raft::NodeId;

use super::{Packet, Transport};
use crate::Inbox;

/// Where nodes of one process find each other. Copies are the same hub.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<NodeId, Inbox>,
    /// Links that carry nothing, by their two ends.
    cut: BTreeSet<(NodeId, NodeId)>,
}

/// One node's end of a [`Hub`].
#[derive(Debug)]
pub struct HubTransport {
    id: NodeId,
    hub: Hub,
}

impl Hub {
    /// A hub that nobody is attached to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches a node, in the place of an earlier one with that name. The others notice, as they
    /// do when somebody connects to them.
    pub fn attach(&self, id: NodeId, inbox: Inbox) -> HubTransport {
        self.state.lock().nodes.insert(id, inbox);
        self.introduce();
        HubTransport { id, hub: self.clone() }
    }

    /// Everybody hears of everybody, but for links that are cut.
    fn introduce(&self) {
        let (nodes, cut) = {
            let state = self.state.lock();
            (state.nodes.clone(), state.cut.clone())
        };
        for (to, inbox) in &nodes {
            for from in nodes.keys().filter(|from| *from != to && !cut.contains(&(**from, *to))) {
                // Who has ended hears nothing.
                inbox.deliver(*from, Packet::default());
            }
        }
    }

    /// The way into a node that is attached.
    pub fn inbox(&self, id: NodeId) -> Option<Inbox> {
        self.state.lock().nodes.get(&id).cloned()
    }

    /// Nobody hears `id` any more, nor does it hear anybody.
    pub fn isolate(&self, id: NodeId) {
        let mut state = self.state.lock();
        let others: Vec<_> = state.nodes.keys().copied().filter(|other| *other != id).collect();
        for other in others {
            state.cut.extend([(id, other), (other, id)]);
        }
    }

    /// Everybody hears everybody again.
    pub fn heal(&self) {
        self.state.lock().cut.clear();
        self.introduce();
    }
}

impl Transport for HubTransport {
    fn send(&mut self, to: NodeId, packet: Packet) {
        let inbox = {
            let state = self.hub.state.lock();
            if state.cut.contains(&(self.id, to)) {
                return;
            }
            state.nodes.get(&to).cloned()
        };
        if let Some(inbox) = inbox {
            inbox.deliver(self.id, packet);
        }
    }
}
