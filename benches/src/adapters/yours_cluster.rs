//! The learner's servers: what `exercises/raft` calls `Node`, stepped by function calls as the
//! others are.
//!
//! They take part after `cargo study bench` has judged them, and until they change.

use std::collections::VecDeque;
use std::path::Path;

use bytes::Bytes;
use exercise_raft::SOURCE;
use exercise_raft::exercise::Node;
use exercise_raft::scaffold::{Apply, Id, Index, Message, Payload, Saved};
use harness::contract::{ClusterSpec, Consensus, StoreError, Unsupported};
use harness::gate;

use super::replica::{Machine, ROUNDS_MAX, Stuck};

/// Entries after which a log is compacted. Few: what is saved is handed out as a whole.
const LOG_MAX: Index = 256;

/// Whether this very source was judged.
pub fn is_judged() -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    gate::is_open(&root, "raft", SOURCE)
}

/// Servers on one thread.
#[derive(Debug)]
pub struct Cluster<M> {
    servers: Vec<Server<M>>,
    network: VecDeque<Message>,
}

#[derive(Debug)]
struct Server<M> {
    node: Node,
    machine: M,
    compacted: Index,
}

impl<M: Machine> Consensus for Cluster<M> {
    const NAME: &'static str = "yours";

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        if spec.durable {
            return Err(Unsupported("the log is in memory".to_owned()));
        }
        let ids: Vec<Id> = (0..).take(spec.nodes).collect();
        let server = |id: &Id| Server {
            node: Node::new(*id, Saved::founding(&ids), u64::from(*id)),
            machine: M::default(),
            compacted: 0,
        };
        let mut cluster =
            Self { servers: ids.iter().map(server).collect(), network: VecDeque::new() };
        cluster
            .run(|cluster| cluster.servers.iter().any(|it| it.node.is_leader()))
            .map_err(|stuck| Unsupported(stuck.to_string()))?;
        Ok(cluster)
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let payload = Bytes::copy_from_slice(payload);
        let mut nodes = self.servers.iter_mut().map(|it| &mut it.node);
        let taken = nodes.find(|it| it.is_leader()).and_then(|it| it.propose(payload));
        taken.map(|_| ()).ok_or_else(|| Stuck.into())
    }

    fn drive(&mut self, entries: u64) -> Result<(), StoreError> {
        self.run(|cluster| cluster.servers.iter().all(|it| it.machine.count() >= entries))
    }

    fn applied(&self, node: usize) -> Vec<Vec<u8>> {
        self.servers[node].machine.payloads()
    }

    fn restart(&mut self, _: usize) -> Result<(), Unsupported> {
        Err(Unsupported("the log is in memory".to_owned()))
    }
}

impl<M: Machine> Cluster<M> {
    fn run(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_MAX {
            for server in &mut self.servers {
                server.work(&mut self.network);
            }
            if is_done(self) {
                return Ok(());
            }
            if self.network.is_empty() {
                self.servers.iter_mut().for_each(|server| server.node.tick());
            }
            while let Some(message) = self.network.pop_front() {
                self.servers[message.to as usize].node.step(message);
            }
        }
        Err(Stuck.into())
    }
}

impl<M: Machine> Server<M> {
    fn work(&mut self, network: &mut VecDeque<Message>) {
        let ready = self.node.ready();
        network.extend(ready.messages);
        for apply in ready.apply {
            let Apply::Entry(index, payload) = apply else { continue };
            if let Payload::Command(command) = payload {
                self.machine.apply(&command);
            }
            if index >= self.compacted + LOG_MAX {
                self.node.compact(index, Bytes::new());
                self.compacted = index;
            }
        }
    }
}
