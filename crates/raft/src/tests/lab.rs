//! The 28 tests of the well-known course lab on Raft (MIT 6.5840, parts 3A to 3D) by their own
//! names, on virtual time: what takes the original minutes takes milliseconds here, and a failure
//! comes again.
//!
//! ```text
//!   start --> servers <--> network: delays, losses, reordering, cut lines; all from one seed
//!                |
//!             applied: compared with what every other server has applied at the same index
//! ```
//!
//! Our log has entries of its own, an empty one at the beginning of each leadership; so where the
//! original expects an index, these tests expect an order.
//!
//! # What this module does not do
//!
//! It has no disk that fails; `simulation` has. A server that is crashed finds all that it wrote.

mod agreement;
mod elections;
mod persistence;
mod planted;
mod snapshots;

use std::collections::BTreeMap;

use bytes::Bytes;
use env::random::{Random, SeededRandom};

use crate::storage::Storage;
use crate::{
    Apply, Body, Config, Configuration, Index, MemoryStorage, Message, NodeId, Payload, Raft, codec,
};

/// Milliseconds of a tick.
const TICK: u64 = 10;

/// What the lab allows for an election, in milliseconds.
const ELECTION: u64 = 1_000;

/// A server makes a snapshot after so many commands, where it makes any.
const SNAPSHOT_EVERY: usize = 10;

/// What state machines have applied, by index; entries without a command are not in it.
type Applied = BTreeMap<u64, Bytes>;

#[derive(Default)]
struct Server {
    /// `None` while it is crashed.
    raft: Option<Raft<MemoryStorage>>,
    disk: MemoryStorage,
    applied: Applied,
    last_applied: u64,
    starts: u64,
    is_connected: bool,
}

pub(super) struct Lab {
    servers: Vec<Server>,
    now: u64,
    /// Messages on their way, by their arrival and the order of sending.
    wires: BTreeMap<(u64, u64), Message>,
    sent: u64,
    random: SeededRandom,
    is_reliable: bool,
    is_reordering: bool,
    makes_snapshots: bool,
    /// What somebody has applied, by index.
    agreed: Applied,
    /// Questions that servers have sent, and bytes of all messages.
    questions: u64,
    bytes: u64,
    commands: u64,
}

fn encode(applied: &Applied) -> Bytes {
    let mut bytes = Vec::new();
    for (index, command) in applied {
        bytes.extend(index.to_le_bytes());
        bytes.extend((command.len() as u64).to_le_bytes());
        bytes.extend_from_slice(command);
    }
    bytes.into()
}

fn decode(mut bytes: &[u8]) -> Applied {
    let mut applied = Applied::new();
    while let Some((index, rest)) = bytes.split_first_chunk() {
        let (len, rest) = rest.split_first_chunk().expect("a length follows an index");
        let len = usize::try_from(u64::from_le_bytes(*len)).expect("it fits memory");
        applied.insert(u64::from_le_bytes(*index), Bytes::copy_from_slice(&rest[..len]));
        bytes = &rest[len..];
    }
    applied
}

impl Lab {
    fn new(count: usize) -> Self {
        let founders = Configuration::founding((1..=count as u64).map(NodeId));
        let server = |_| Server {
            disk: MemoryStorage::founding(founders.clone()),
            is_connected: true,
            ..Server::default()
        };
        let mut lab = Self {
            servers: (0..count).map(server).collect(),
            now: 0,
            wires: BTreeMap::new(),
            sent: 0,
            random: SeededRandom::new(count as u64),
            is_reliable: true,
            is_reordering: false,
            makes_snapshots: false,
            agreed: Applied::new(),
            questions: 0,
            bytes: 0,
            commands: 0,
        };
        (0..count).for_each(|at| lab.restart(at));
        lab
    }

    fn unreliable(count: usize) -> Self {
        Self { is_reliable: false, ..Self::new(count) }
    }

    fn with_snapshots(count: usize) -> Self {
        Self { makes_snapshots: true, ..Self::new(count) }
    }

    /// Starts a server from what it wrote.
    fn restart(&mut self, at: usize) {
        let server = &mut self.servers[at];
        server.starts += 1;
        let id = NodeId(at as u64 + 1);
        let config = Config {
            election_ticks: 30,
            heartbeat_ticks: 10,
            chunk_bytes: 500,
            ..Config::new(id, 1_000 * id.0 + server.starts)
        };
        let snapshot = server.disk.snapshot();
        server.applied = decode(&snapshot.data);
        server.last_applied = snapshot.meta.last.index.0;
        let raft = Raft::new(config, server.disk.clone(), Index(server.last_applied));
        server.raft = Some(raft.expect("the knobs are sound"));
    }

    fn crash(&mut self, at: usize) {
        if let Some(raft) = self.servers[at].raft.take() {
            self.servers[at].disk = raft.storage().clone();
        }
    }

    fn connect(&mut self, at: usize, is_connected: bool) {
        self.servers[at].is_connected = is_connected;
    }

    fn connect_all(&mut self, of: &[usize], is_connected: bool) {
        for at in of {
            self.connect(*at, is_connected);
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("it is below a usize")
    }

    /// Lets time pass, in milliseconds.
    fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now += 1;
            if self.now.is_multiple_of(TICK) {
                for at in 0..self.servers.len() {
                    if let Some(raft) = &mut self.servers[at].raft {
                        raft.tick();
                    }
                    self.pump(at);
                }
            }
            while let Some(entry) = self.wires.first_entry().filter(|it| it.key().0 <= self.now) {
                let message = entry.remove();
                self.deliver(message);
            }
        }
    }

    fn place(id: NodeId) -> usize {
        usize::try_from(id.0).expect("servers have small numbers") - 1
    }

    fn deliver(&mut self, message: Message) {
        let (from, to) = (Self::place(message.from), Self::place(message.to));
        if self.servers[from].is_connected && self.servers[to].is_connected {
            if let Some(raft) = &mut self.servers[to].raft {
                raft.step(message);
                raft.check_invariants();
            }
            self.pump(to);
        }
    }

    fn send(&mut self, message: Message) {
        let is_question = matches!(
            message.body,
            Body::AppendEntries { .. }
                | Body::RequestVote { .. }
                | Body::RequestPreVote { .. }
                | Body::InstallSnapshot { .. }
        );
        self.questions += u64::from(is_question);
        let mut bytes = Vec::new();
        codec::encode(&message, &mut bytes);
        self.bytes += bytes.len() as u64;
        if !self.servers[Self::place(message.from)].is_connected {
            return;
        }
        let mut delay = 1;
        if !self.is_reliable {
            delay += self.random.below(27);
            if self.random.below(1_000) < 100 {
                return;
            }
        }
        if self.is_reordering && !is_question && self.random.below(900) < 600 {
            let bound = 1 + self.random.below(2_000);
            delay += 200 + self.random.below(bound);
        }
        self.sent += 1;
        self.wires.insert((self.now + delay, self.sent), message);
    }

    /// Does what a server wants done.
    fn pump(&mut self, at: usize) {
        loop {
            let Some(raft) = &mut self.servers[at].raft else { return };
            let ready = raft.ready().expect("memory can be read");
            if ready.is_empty() {
                return;
            }
            let mut messages = ready.messages;
            if let Some(write) = ready.write {
                raft.storage_mut().write(&write);
                messages.extend(raft.persisted(write));
            }
            for message in messages {
                self.send(message);
            }
            if let Some(apply) = ready.apply {
                self.apply(at, apply);
            }
        }
    }

    fn apply(&mut self, at: usize, apply: Apply) {
        let server = &mut self.servers[at];
        let Some(raft) = &mut server.raft else { return };
        match apply {
            Apply::Snapshot => {
                let snapshot = raft.storage().snapshot();
                server.applied = decode(&snapshot.data);
                server.last_applied = snapshot.meta.last.index.0;
                for (index, command) in &server.applied {
                    assert_eq!(self.agreed.get(index), Some(command), "a snapshot of another log");
                }
            }
            Apply::Entries(entries) => {
                for entry in &entries {
                    assert_eq!(entry.index.0, server.last_applied + 1, "entries come in order");
                    server.last_applied = entry.index.0;
                    if let Payload::Command(command) = &entry.payload {
                        server.applied.insert(entry.index.0, command.clone());
                        let known = self.agreed.entry(entry.index.0).or_insert(command.clone());
                        assert_eq!(known, command, "servers disagree at {}", entry.index);
                    }
                }
            }
        }
        let last = Index(server.last_applied);
        raft.applied(last);
        let kept = server.applied.range(raft.storage().snapshot_meta().last.index.0 + 1..);
        if self.makes_snapshots && kept.count() >= SNAPSHOT_EVERY {
            let snapshot = raft.snapshot(encode(&server.applied)).expect("it is applied");
            raft.storage_mut().compact(snapshot, last);
        }
    }

    /// A command that nobody has proposed before.
    fn command(&mut self) -> Bytes {
        self.commands += 1;
        self.commands.to_string().into()
    }

    /// Proposes at a server; the index, where that server believes that it leads.
    fn start(&mut self, at: usize, command: &Bytes) -> Option<u64> {
        let index = self.servers[at].raft.as_mut()?.propose(command.clone()).ok()?;
        self.pump(at);
        Some(index.0)
    }

    /// How many servers have applied what is at `index`.
    fn committed(&self, index: u64) -> usize {
        self.servers.iter().filter(|server| server.applied.contains_key(&index)).count()
    }

    /// How many commands the servers have agreed on.
    fn agreements(&self) -> usize {
        self.agreed.len()
    }

    fn term(&self, at: usize) -> Option<u64> {
        Some(self.servers[at].raft.as_ref()?.hard_state().term.0)
    }

    fn leads(&self, at: usize) -> bool {
        self.servers[at].raft.as_ref().is_some_and(Raft::is_leader)
    }

    /// The one leader among those that are connected, within ten election times.
    fn leader(&mut self) -> usize {
        for _ in 0..20 {
            self.pass(ELECTION / 2);
            let mut leaders = BTreeMap::new();
            for at in 0..self.servers.len() {
                if self.servers[at].is_connected && self.leads(at) {
                    let other = leaders.insert(self.term(at), at);
                    assert_eq!(other, None, "two servers lead {:?}", self.term(at));
                }
            }
            if let Some((_, leader)) = leaders.last_key_value() {
                return *leader;
            }
        }
        panic!("nobody leads");
    }

    fn require_no_leader(&self) {
        let leads = |at: &usize| self.servers[*at].is_connected && self.leads(*at);
        assert_eq!((0..self.servers.len()).find(leads), None, "nobody may lead");
    }

    /// Has a command agreed on by `expected` servers, whoever leads, within ten election times.
    fn one(&mut self, expected: usize) -> u64 {
        let command = self.command();
        let end = self.now + 10 * ELECTION;
        while self.now < end {
            let started = (0..self.servers.len()).find_map(|at| {
                if self.servers[at].is_connected { self.start(at, &command) } else { None }
            });
            let Some(index) = started else {
                self.pass(50);
                continue;
            };
            for _ in 0..100 {
                if self.committed(index) >= expected && self.agreed.get(&index) == Some(&command) {
                    return index;
                }
                self.pass(20);
            }
        }
        panic!("{expected} servers do not agree on command {}", self.commands);
    }

    /// All but the leader.
    fn others(&self, leader: usize) -> Vec<usize> {
        let count = self.servers.len();
        (1..count).map(|step| (leader + step) % count).collect()
    }
}
