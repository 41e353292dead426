//! raft-rs, a thread a node: each turns messages, proposals and ticks into `Ready`s, as its
//! documentation has it, with the proposals of a batch merged into one message (`batch_append`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock, Timestamp};
use harness::contract::{StoreError, Unsupported};
use protobuf::Message as _;
use slog::{Discard, Logger, o};
use tikv_raft::prelude::{Config, Entry, EntryType, Message};
use tikv_raft::storage::MemStorage;
use tikv_raft::{RawNode, StateRole};
use tokio::sync::oneshot;

use super::journal::Journal;
use super::{Cluster, ELECTION_TICKS, HEARTBEAT_TICKS, Log, Shared, TICK, Wire};
use crate::adapters::replica::{LOG_KEPT, LOG_MAX, Machine};

/// Most inputs between two `Ready`s.
const INPUTS_MAX: usize = 4_096;

enum Input {
    Propose(Bytes, oneshot::Sender<()>),
    Message(Message),
    Stop,
}

/// A cluster; `ON_FILE` where its durable logs are growing files.
#[derive(Debug)]
pub struct RaftRs<M, const ON_FILE: bool> {
    machines: Vec<Shared<M>>,
    nodes: Vec<Sender<Input>>,
    threads: Vec<JoinHandle<()>>,
    syncs: Option<Arc<AtomicU64>>,
    wire: Arc<Wire>,
}

impl<M, const ON_FILE: bool> Drop for RaftRs<M, ON_FILE> {
    fn drop(&mut self) {
        for node in &self.nodes {
            // One that has failed has ended.
            node.send(Input::Stop).ok();
        }
        self.threads.drain(..).for_each(|it| drop(it.join()));
    }
}

impl<M: Machine + 'static, const ON_FILE: bool> Cluster<M> for RaftRs<M, ON_FILE> {
    const NAME: &'static str = if ON_FILE { "raft-rs-file" } else { "raft-rs" };

    fn start(nodes: usize, log: Log) -> Result<Self, Unsupported> {
        let log = if ON_FILE && log == Log::Wal { Log::File } else { log };
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..nodes).map(|_| channel()).unzip();
        let machines: Vec<Shared<M>> = (0..nodes).map(|_| Arc::default()).collect();
        let (syncs, wire) = (Arc::new(AtomicU64::new(0)), Arc::new(Wire::default()));
        let (leads, led) = channel();
        let ids: Vec<_> = (1..=nodes as u64).collect();
        let mut threads = Vec::new();
        for (at, inbox) in inboxes.into_iter().enumerate() {
            let node = Node {
                raft: raw_node(ids[at], &ids),
                machine: Arc::clone(&machines[at]),
                nodes: senders.clone(),
                journal: Journal::new(log).map_err(|cause| Unsupported(cause.to_string()))?,
                waiting: VecDeque::new(),
                compacted: 0,
                syncs: (at == 0).then(|| Arc::clone(&syncs)),
                wire: Arc::clone(&wire),
            };
            let leads = (at == 0).then(|| leads.clone());
            threads.push(thread::spawn(move || node.run(&inbox, leads)));
        }
        let syncs = (log != Log::Memory).then_some(syncs);
        let cluster = Self { machines, nodes: senders, threads, syncs, wire };
        led.recv().map_err(|cause| Unsupported(cause.to_string()))?;
        Ok(cluster)
    }

    async fn submit(&self, command: Bytes) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.nodes[0].send(Input::Propose(command, reply)).map_err(|_| "the node has ended")?;
        Ok(answer.await?)
    }

    fn machines(&self) -> &[Shared<M>] {
        &self.machines
    }

    fn syncs(&self) -> Option<u64> {
        // Relaxed: a count orders nothing.
        self.syncs.as_ref().map(|syncs| syncs.load(Ordering::Relaxed))
    }

    fn wire(&self) -> Option<&Wire> {
        Some(&self.wire)
    }
}

fn raw_node(id: u64, ids: &[u64]) -> RawNode<MemStorage> {
    let config = Config {
        id,
        election_tick: ELECTION_TICKS as usize,
        heartbeat_tick: HEARTBEAT_TICKS as usize,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 64,
        pre_vote: true,
        check_quorum: true,
        batch_append: true,
        ..Config::default()
    };
    let storage = MemStorage::new_with_conf_state((ids.to_vec(), vec![]));
    let logger = Logger::root(Discard, o!());
    RawNode::new(&config, storage, &logger).expect("a valid config")
}

struct Node<M> {
    raft: RawNode<MemStorage>,
    machine: Shared<M>,
    /// The ways to all nodes, in the order of their names.
    nodes: Vec<Sender<Input>>,
    journal: Journal,
    /// Who waits for a proposal, in the order of the log: the leader stays.
    waiting: VecDeque<oneshot::Sender<()>>,
    compacted: u64,
    syncs: Option<Arc<AtomicU64>>,
    wire: Arc<Wire>,
}

impl<M: Machine> Node<M> {
    fn run(mut self, inbox: &Receiver<Input>, mut leads: Option<Sender<()>>) {
        let clock = MonotonicClock::new();
        let mut next_tick = clock.now() + TICK;
        if leads.is_some() {
            self.raft.campaign().expect("it may campaign");
        }
        loop {
            self.work().expect("neither its log nor its core fails");
            if self.raft.raft.state != StateRole::Leader {
                // Nobody knows what became of their commands, and they are told by that.
                self.waiting.clear();
            } else if let Some(leads) = leads.take() {
                leads.send(()).ok();
            }
            if !self.take_in(inbox, next_tick, clock) {
                return;
            }
            if clock.now() >= next_tick {
                // One, however late it is: by several at once a leader that was held up would find
                // that nobody answers, and step down.
                self.raft.tick();
                next_tick = clock.now() + TICK;
                if leads.is_some() {
                    // Another one may have been elected instead, and hands it over.
                    self.raft.transfer_leader(self.raft.raft.id);
                }
            }
        }
    }

    /// Waits for inputs, and takes all that there are; false where it is to end.
    fn take_in(
        &mut self,
        inbox: &Receiver<Input>,
        next_tick: Timestamp,
        clock: MonotonicClock,
    ) -> bool {
        let first = match inbox.recv_timeout(next_tick.saturating_since(clock.now())) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        for input in std::iter::once(first).chain(inbox.try_iter().take(INPUTS_MAX)) {
            match input {
                Input::Propose(command, reply) => {
                    // Dropped where it is refused, and the client told by that.
                    if self.raft.propose(Vec::new(), command.to_vec()).is_ok() {
                        self.waiting.push_back(reply);
                    }
                }
                // A message that does not fit the state is none.
                Input::Message(message) => drop(self.raft.step(message)),
                Input::Stop => return false,
            }
        }
        true
    }

    fn send(&self, messages: Vec<Message>) {
        for message in messages {
            let to = usize::try_from(message.to).expect("64-bit targets only") - 1;
            self.wire.add(|| message.compute_size() as usize);
            // Who has ended hears nothing.
            self.nodes[to].send(Input::Message(message)).ok();
        }
    }

    fn work(&mut self) -> Result<(), StoreError> {
        while self.raft.has_ready() {
            let mut ready = self.raft.ready();
            self.send(ready.take_messages());
            self.apply(&ready.take_committed_entries())?;
            let storage = self.raft.raft.raft_log.store.clone();
            if !ready.entries().is_empty() {
                storage.wl().append(ready.entries())?;
                if self.journal.is_durable() {
                    self.journal.append(&records(ready.entries())?)?;
                }
            }
            if let Some(state) = ready.hs() {
                storage.wl().set_hardstate(state.clone());
                if self.journal.is_durable() && ready.must_sync() {
                    self.journal.append(&state.write_to_bytes()?)?;
                }
            }
            if ready.must_sync() {
                self.journal.sync()?;
                if let Some(syncs) = self.syncs.as_ref().filter(|_| self.journal.is_durable()) {
                    // Relaxed: a count orders nothing.
                    syncs.fetch_add(1, Ordering::Relaxed);
                }
            }
            self.send(ready.take_persisted_messages());
            let mut light = self.raft.advance(ready);
            if let Some(commit) = light.commit_index() {
                storage.wl().mut_hard_state().set_commit(commit);
            }
            self.send(light.take_messages());
            self.apply(&light.take_committed_entries())?;
            self.raft.advance_apply();
        }
        self.journal.prepare();
        Ok(())
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let Some(last) = entries.last() else { return Ok(()) };
        // The entry with which a leader begins has no bytes and is the first one.
        let is_command =
            |it: &&Entry| it.get_entry_type() == EntryType::EntryNormal && it.index > 1;
        let commands = || entries.iter().filter(is_command);
        {
            let mut machine = self.machine.lock();
            for entry in commands() {
                machine.apply(&entry.data);
            }
        }
        let answered = self.waiting.len().min(commands().count());
        for reply in self.waiting.drain(..answered) {
            // A client that has gone needs no answer.
            reply.send(()).ok();
        }
        if last.index > self.compacted + LOG_MAX {
            // No snapshot is made for a follower that is slow: what it lacks stays.
            let leads = self.raft.raft.state == StateRole::Leader;
            let others = self.raft.raft.prs().iter().filter(|_| leads);
            let matched = others.map(|(_, it)| it.matched);
            self.compacted = matched.fold(last.index - LOG_KEPT, u64::min).max(self.compacted);
            self.raft.raft.raft_log.store.wl().compact(self.compacted)?;
        }
        Ok(())
    }
}

/// Entries as one record, in the encoding that they have.
fn records(entries: &[Entry]) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for entry in entries {
        entry.write_length_delimited_to_vec(&mut bytes)?;
    }
    Ok(bytes)
}
