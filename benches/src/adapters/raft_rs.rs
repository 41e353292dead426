//! raft-rs, its core stepped by function calls: all nodes on one thread, logs in memory.
//!
//! Its tuned variant merges the proposals of a batch into one message (`batch_append`), which is
//! off by default.

use std::collections::VecDeque;

use harness::contract::{ClusterSpec, Consensus, StoreError, Unsupported};
use slog::{Discard, Logger, o};
use tikv_raft::prelude::{Config, Entry, EntryType, Message};
use tikv_raft::storage::MemStorage;
use tikv_raft::{RawNode, StateRole};

use super::replica::{LOG_KEPT, LOG_MAX, Machine, ROUNDS_MAX, Stuck};

/// Nodes on one thread; `TUNED` where proposals are merged into messages.
#[derive(Debug)]
pub struct Cluster<M, const TUNED: bool> {
    nodes: Vec<Node<M>>,
    network: VecDeque<Message>,
}

struct Node<M> {
    raft: RawNode<MemStorage>,
    machine: M,
    compacted: u64,
}

impl<M: std::fmt::Debug> std::fmt::Debug for Node<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl<M: Machine, const TUNED: bool> Consensus for Cluster<M, TUNED> {
    const NAME: &'static str = if TUNED { "raft-rs-batched" } else { "raft-rs" };

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        if spec.durable {
            return Err(Unsupported("the log is in memory".to_owned()));
        }
        let ids: Vec<_> = (1..=spec.nodes as u64).collect();
        let logger = Logger::root(Discard, o!());
        let node = |id: &u64| {
            let storage = MemStorage::new_with_conf_state((ids.clone(), vec![]));
            let config = Config {
                id: *id,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 64,
                pre_vote: true,
                check_quorum: true,
                batch_append: TUNED,
                ..Config::default()
            };
            let raft = RawNode::new(&config, storage, &logger).expect("a valid config");
            Node { raft, machine: M::default(), compacted: 0 }
        };
        let mut cluster = Self { nodes: ids.iter().map(node).collect(), network: VecDeque::new() };
        cluster.nodes[0].raft.campaign().expect("it may campaign");
        let leads = |cluster: &Self| cluster.nodes[0].raft.raft.state == StateRole::Leader;
        cluster.run(leads).expect("nobody is in the way");
        Ok(cluster)
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        self.nodes[0].raft.propose(Vec::new(), payload.to_vec())?;
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

impl<M: Machine, const TUNED: bool> Cluster<M, TUNED> {
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
                for node in &mut self.nodes {
                    node.raft.tick();
                }
            }
            while let Some(message) = self.network.pop_front() {
                let to = usize::try_from(message.to).expect("64-bit targets only") - 1;
                self.nodes[to].raft.step(message)?;
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
            let mut ready = self.raft.ready();
            network.extend(ready.take_messages());
            self.apply(&ready.take_committed_entries())?;
            let storage = self.raft.raft.raft_log.store.clone();
            if !ready.entries().is_empty() {
                storage.wl().append(ready.entries())?;
            }
            if let Some(state) = ready.hs() {
                storage.wl().set_hardstate(state.clone());
            }
            network.extend(ready.take_persisted_messages());
            let mut light = self.raft.advance(ready);
            if let Some(commit) = light.commit_index() {
                storage.wl().mut_hard_state().set_commit(commit);
            }
            network.extend(light.take_messages());
            self.apply(&light.take_committed_entries())?;
            self.raft.advance_apply();
        }
        Ok(is_news)
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let Some(last) = entries.last() else { return Ok(()) };
        // The entry with which a leader begins has no index of a proposal and no bytes.
        for entry in entries.iter().filter(|it| it.get_entry_type() == EntryType::EntryNormal) {
            if entry.index > 1 {
                self.machine.apply(&entry.data);
            }
        }
        if last.index > self.compacted + LOG_MAX {
            self.compacted = last.index - LOG_KEPT;
            self.raft.raft.raft_log.store.wl().compact(self.compacted)?;
        }
        Ok(())
    }
}
