//! Your servers as a cluster, in the shape in which the suite takes every cluster.

use std::collections::VecDeque;

use bytes::Bytes;
use harness::contract::{ClusterSpec, Consensus, StoreError, Unsupported};

use crate::exercise::Node;
use crate::scaffold::{Apply, Id, Message, Payload, Saved};

/// A cluster of servers that talk by function calls, each with a disk that forgets nothing.
#[derive(Debug)]
pub struct Judged {
    nodes: Vec<Node>,
    disks: Vec<Saved>,
    applied: Vec<Vec<Vec<u8>>>,
    network: VecDeque<Message>,
    /// Servers started so far: each gets another seed.
    starts: u64,
}

/// Ticks within which a cluster in which nothing fails must have come to an end.
const PATIENCE: usize = 2_000;

impl Judged {
    fn start_node(&mut self, id: Id) -> Node {
        self.starts += 1;
        Node::new(id, self.disks[id as usize].clone(), self.starts)
    }

    /// Lets all servers do what they want done, until nobody wants anything.
    fn run(&mut self) {
        loop {
            for node in 0..self.nodes.len() {
                let ready = self.nodes[node].ready();
                if let Some(saved) = ready.save {
                    self.disks[node] = saved;
                }
                self.network.extend(ready.messages);
                for apply in ready.apply {
                    if let Apply::Entry(_, Payload::Command(command)) = apply {
                        self.applied[node].push(command.to_vec());
                    }
                }
            }
            let Some(message) = self.network.pop_front() else { return };
            let to = message.to as usize;
            self.nodes[to].step(message);
        }
    }

    fn tick(&mut self) {
        self.nodes.iter_mut().for_each(Node::tick);
        self.run();
    }

    fn leader(&mut self) -> Result<usize, StoreError> {
        for _ in 0..PATIENCE {
            if let Some(leader) = self.nodes.iter().position(Node::is_leader) {
                return Ok(leader);
            }
            self.tick();
        }
        Err("nobody is elected although nothing fails".into())
    }
}

impl Consensus for Judged {
    const NAME: &'static str = "yours";

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        let ids: Vec<Id> = (0..).take(spec.nodes).collect();
        let disks = vec![Saved::founding(&ids); spec.nodes];
        let applied = vec![Vec::new(); spec.nodes];
        let (nodes, network) = (Vec::new(), VecDeque::new());
        let mut cluster = Self { nodes, disks, applied, network, starts: 0 };
        for id in ids {
            let node = cluster.start_node(id);
            cluster.nodes.push(node);
        }
        Ok(cluster)
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let leader = self.leader()?;
        let index = self.nodes[leader].propose(Bytes::copy_from_slice(payload));
        index.map(|_| ()).ok_or_else(|| "a leader takes no command".into())
    }

    fn drive(&mut self, entries: u64) -> Result<(), StoreError> {
        self.leader()?;
        for _ in 0..PATIENCE {
            self.run();
            if self.applied.iter().all(|applied| applied.len() as u64 >= entries) {
                return Ok(());
            }
            self.tick();
        }
        Err("entries are not applied everywhere although nothing fails".into())
    }

    fn applied(&self, node: usize) -> Vec<Vec<u8>> {
        self.applied[node].clone()
    }

    fn restart(&mut self, node: usize) -> Result<(), Unsupported> {
        self.applied[node].clear();
        self.network.retain(|message| message.to as usize != node);
        let id = Id::try_from(node).expect("a small number");
        self.nodes[node] = self.start_node(id);
        Ok(())
    }
}
