//! Our Raft, its core stepped by function calls: all nodes on one thread, logs in memory.

use std::collections::VecDeque;

use bytes::Bytes;
use harness::contract::{ClusterSpec, Consensus, StoreError, Unsupported};
use raft::{
    Apply, Config, Configuration, Entry, Index, MemoryStorage, Message, NodeId, Payload, Raft,
    Ready,
};

use super::replica::{LOG_KEPT, LOG_MAX, Machine, ROUNDS_MAX, Stuck};

/// Nodes on one thread.
#[derive(Debug)]
pub struct Cluster<M> {
    nodes: Vec<Node<M>>,
    network: VecDeque<Message>,
}

#[derive(Debug)]
struct Node<M> {
    raft: Raft<MemoryStorage>,
    machine: M,
    compacted: Index,
    ready: Ready,
}

impl<M: Machine> Consensus for Cluster<M> {
    const NAME: &'static str = "raft";

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        if spec.durable {
            return Err(Unsupported("the log is in memory".to_owned()));
        }
        let ids = (1..=spec.nodes as u64).map(NodeId);
        let node = |id: NodeId| {
            let storage = MemoryStorage::founding(Configuration::founding(ids.clone()));
            let config = Config::new(id, id.0);
            let raft = Raft::new(config, storage, Index::ZERO).expect("a valid config");
            Node { raft, machine: M::default(), compacted: Index::ZERO, ready: Ready::default() }
        };
        let mut cluster = Self { nodes: ids.clone().map(node).collect(), network: VecDeque::new() };
        cluster.nodes[0].raft.campaign();
        cluster.run(|cluster| cluster.nodes[0].raft.is_leader()).expect("nobody is in the way");
        Ok(cluster)
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        self.nodes[0].raft.propose(Bytes::copy_from_slice(payload))?;
        Ok(())
    }

    fn drive(&mut self, entries: u64) -> Result<(), StoreError> {
        self.run(|cluster| cluster.nodes.iter().all(|node| node.machine.count() >= entries))
    }

    fn applied(&self, node: usize) -> Vec<Vec<u8>> {
        self.nodes[node].machine.payloads()
    }

    fn restart(&mut self, _: usize) -> Result<(), Unsupported> {
        Err(Unsupported("the log is in memory".to_owned()))
    }
}

impl<M: Machine> Cluster<M> {
    fn run(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_MAX {
            let mut is_idle = true;
            for node in &mut self.nodes {
                is_idle &= !node.pump(&mut self.network)?;
            }
            if is_done(self) {
                return Ok(());
            }
            if is_idle {
                self.nodes.iter_mut().for_each(|node| node.raft.tick());
            }
            while let Some(message) = self.network.pop_front() {
                let to = usize::try_from(message.to.0).expect("64-bit targets only") - 1;
                self.nodes[to].raft.step(message);
            }
        }
        Err(Stuck.into())
    }
}

impl<M: Machine> Node<M> {
    /// Does what there is to do; false where there is nothing.
    fn pump(&mut self, network: &mut VecDeque<Message>) -> Result<bool, StoreError> {
        let mut is_news = false;
        while self.raft.has_ready() {
            is_news = true;
            self.raft.ready_into(&mut self.ready)?;
            if let Some(write) = self.ready.write.take() {
                self.raft.storage_mut().write(&write);
                self.raft.persisted_into(write, &mut self.ready.messages);
            }
            network.extend(self.ready.messages.drain(..));
            if let Some(Apply::Entries(entries)) = self.ready.apply.take() {
                self.apply(&entries)?;
            }
        }
        Ok(is_news)
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        for entry in entries {
            if let Payload::Command(command) = &entry.payload {
                self.machine.apply(command);
            }
        }
        let last = entries.last().expect("never empty").index;
        self.raft.applied(last);
        if last.since(self.compacted) > LOG_MAX {
            let snapshot = self.raft.snapshot(Bytes::new())?;
            self.compacted = Index(last.0 - LOG_KEPT);
            self.raft.storage_mut().compact(snapshot, self.compacted);
        }
        Ok(())
    }
}
