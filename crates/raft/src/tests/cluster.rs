//! A cluster that does nothing unless it is told, and writes down all that it does.
//!
//! Each server has a disk that a crash leaves alone, and a queue of writes that are not on it yet.
//! Messages wait in one queue until they are delivered, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::trace;
use crate::{
    Apply, Config, Incarnation, Index, MemoryStorage, Message, NodeId, Payload, Raft, Read,
    Recovery, RoleName, Survivor, Term, Write,
};

/// Turns of effects after one event, far more than any event has.
const TURNS_MAX: u32 = 1_000;

/// One server.
pub(super) struct Server {
    /// `None` while it is down.
    pub(super) raft: Option<Raft<MemoryStorage>>,
    config: Config,
    /// What survives.
    disk: MemoryStorage,
    writes: VecDeque<Write>,
    /// Writes wait until they are asked for.
    pub(super) is_slow: bool,
    /// Commands in the order in which they were applied.
    pub(super) state: Vec<String>,
    seen: (RoleName, Term),
}

#[derive(Default)]
pub(super) struct Cluster {
    pub(super) servers: BTreeMap<NodeId, Server>,
    pub(super) network: VecDeque<Message>,
    pub(super) cuts: BTreeSet<(NodeId, NodeId)>,
    lines: Vec<String>,
    starts: u64,
}

impl Cluster {
    pub(super) fn add(&mut self, config: Config, disk: MemoryStorage) {
        let id = config.id;
        let server = Server {
            raft: None,
            config,
            disk,
            writes: VecDeque::new(),
            is_slow: false,
            state: Vec::new(),
            seen: (RoleName::Follower, Term(0)),
        };
        self.servers.insert(id, server);
        self.start(id);
    }

    pub(super) fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn server(&mut self, id: NodeId) -> &mut Server {
        self.servers.get_mut(&id).unwrap_or_else(|| panic!("there is no server {id}"))
    }

    pub(super) fn raft(&mut self, id: NodeId) -> &mut Raft<MemoryStorage> {
        self.server(id).raft.as_mut().unwrap_or_else(|| panic!("server {id} is down"))
    }

    pub(super) fn start(&mut self, id: NodeId) {
        self.starts += 1;
        let seed = self.starts;
        let server = self.server(id);
        server.config.seed = seed;
        let disk = server.disk.clone();
        server.state = String::from_utf8_lossy(&disk.snapshot().data)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let applied = disk.snapshot().meta.last.index;
        let raft = Raft::new(server.config.clone(), disk, applied).expect("the disk is whole");
        server.seen = (RoleName::Follower, raft.status().term);
        server.raft = Some(raft);
    }

    pub(super) fn crash(&mut self, id: NodeId) {
        let server = self.server(id);
        let lost = server.writes.len();
        (server.raft, server.is_slow) = (None, false);
        server.writes.clear();
        if lost > 0 {
            self.say(format!("{id} loses {lost} writes"));
        }
    }

    /// Its disk is lost; the server comes back with another one, which is of the same kind unless
    /// it is named.
    pub(super) fn wipe(&mut self, id: NodeId, other: Option<Incarnation>) {
        let server = self.server(id);
        server.disk = MemoryStorage::new();
        server.config.incarnation = other.unwrap_or(server.config.incarnation + 1);
    }

    /// A server that is down goes on alone, with a disk of another name.
    pub(super) fn recover(&mut self, id: NodeId, given_up: &[NodeId], reachable: &[NodeId]) {
        let server = self.server(id);
        assert!(server.raft.is_none(), "it must be down");
        let (disk, new_disk) = (server.config.incarnation, server.config.incarnation + 100);
        let survivor = Survivor { id, disk, new_disk, given_up, reachable };
        match Recovery::plan(&server.disk, &survivor) {
            Err(refusal) => self.say(format!("{id} refuses: {refusal}")),
            Ok(recovery) => {
                server.disk.write(recovery.write());
                server.config.incarnation = recovery.incarnation();
                recovery.to_string().lines().for_each(|line| self.say(line.to_owned()));
            }
        }
    }

    /// Lets a server do what there is to do.
    ///
    /// Panics where that never ends.
    pub(super) fn pump(&mut self, id: NodeId) {
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "a server never runs out of effects");
            self.note_role(id);
            let raft = self.raft(id);
            raft.check_invariants();
            let ready = raft.ready().expect("memory can be read");
            if ready.is_empty() {
                return self.note_role(id);
            }
            ready.messages.into_iter().for_each(|message| self.post(message));
            if let Some(write) = ready.write {
                self.note_write(id, &write);
                self.server(id).writes.push_back(write);
                if !self.server(id).is_slow {
                    self.finish_write(id);
                }
            }
            if let Some(apply) = ready.apply {
                self.apply(id, apply);
            }
            for read in ready.reads {
                let text = match read {
                    Read::Serve(read) => format!("{id} serves read #{}", read.sequence),
                    Read::Lost(read) => format!("{id} lost read #{}", read.sequence),
                };
                let state = self.server(id).state.join(" ");
                self.say(format!("{text}, state [{state}]"));
            }
        }
    }

    fn note_role(&mut self, id: NodeId) {
        let status = self.raft(id).status();
        let now = (status.role, status.term);
        if self.server(id).seen != now {
            self.server(id).seen = now;
            self.say(format!("{id} is {:?} in term {}", now.0, now.1));
        }
    }

    fn note_write(&mut self, id: NodeId, write: &Write) {
        let state = write.hard_state();
        let vote = state.vote.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mut line = format!("{id} writes term {} vote {vote}", state.term);
        if let Some(snapshot) = write.snapshot() {
            line.push_str(" snapshot ");
            line.push_str(&trace::position(snapshot.meta.last));
        }
        if !write.entries().is_empty() {
            line.push(' ');
            line.push_str(&trace::entries(write.entries()));
        }
        if self.server(id).is_slow {
            line += " (not durable yet)";
        }
        self.say(line);
    }

    /// The oldest write becomes durable.
    pub(super) fn finish_write(&mut self, id: NodeId) {
        let server = self.server(id);
        let Some(write) = server.writes.pop_front() else { return };
        let raft = server.raft.as_mut().expect("a server that writes is up");
        raft.storage_mut().write(&write);
        server.disk = raft.storage().clone();
        let messages = raft.persisted(write);
        for message in messages {
            self.post(message);
        }
    }

    fn apply(&mut self, id: NodeId, apply: Apply) {
        let (line, index) = match apply {
            Apply::Snapshot => {
                let snapshot = self.raft(id).storage().snapshot().clone();
                let text = String::from_utf8_lossy(&snapshot.data).into_owned();
                self.server(id).state = text.split_whitespace().map(str::to_owned).collect();
                let last = snapshot.meta.last;
                (format!("{id} applies snapshot {}", trace::position(last)), last.index)
            }
            Apply::Entries(entries) => {
                for entry in &entries {
                    if let Payload::Command(command) = &entry.payload {
                        let command = String::from_utf8_lossy(command).into_owned();
                        self.server(id).state.push(command);
                    }
                }
                let last = entries.last().expect("something to apply").index;
                (format!("{id} applies {}", trace::entries(&entries)), last)
            }
        };
        self.say(line);
        self.raft(id).applied(index);
    }

    fn post(&mut self, message: Message) {
        let is_cut = self.cuts.contains(&(message.from, message.to));
        let mark = if is_cut { "  (lost)" } else { "" };
        self.say(format!("  {}{mark}", trace::message(&message)));
        if !is_cut {
            self.network.push_back(message);
        }
    }

    /// Delivers what is on its way now and matches; what that causes stays on its way.
    pub(super) fn deliver(&mut self, matches: impl Fn(&Message) -> bool) -> usize {
        let all = std::mem::take(&mut self.network);
        let (now, later): (VecDeque<_>, _) = all.into_iter().partition(|it| matches(it));
        self.network = later;
        let count = now.len();
        for message in now {
            let to = message.to;
            if self.servers.get(&to).is_some_and(|server| server.raft.is_some()) {
                self.raft(to).step(message);
                self.pump(to);
            }
        }
        count
    }

    pub(super) fn stabilise(&mut self) {
        for _ in 0..1_000 {
            if self.deliver(|_| true) == 0 {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Keeps a snapshot of what is applied.
    pub(super) fn snapshot(&mut self, id: NodeId, keep: u64) {
        let data = self.server(id).state.join(" ");
        let raft = self.raft(id);
        let snapshot = raft.snapshot(Bytes::from(data)).expect("what is applied has a term");
        let last = snapshot.meta.last;
        raft.storage_mut().compact(snapshot, Index(last.index.0.saturating_sub(keep)));
        let disk = raft.storage().clone();
        self.server(id).disk = disk;
        self.say(format!("{id} has snapshot {}", trace::position(last)));
    }
}
