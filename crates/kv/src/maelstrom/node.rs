//! One node: lines in, lines out, and the core in between, on one thread.
//!
//! ```text
//!   wait for a line or a tick --> step, propose, read --> ready ... --> one sync --> promises
//!            ^                                                                          |
//!            '--------------------------- answers and messages are written <------------'
//! ```
//!
//! # What this module does not do
//!
//! It never waits for a peer: what it cannot answer yet it remembers, and gives up in time.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock, Timestamp};
use env::random::{OsRandom, Random};
use raft::{
    Apply, Config, Configuration, Index, NodeId, Payload, Raft, Read, ReadId, ReadMode, Storage,
    codec,
};
use serde_json::Value;

use super::protocol::{self, Asked, Code, Init, Line, Request};
use super::state::{CommandId, Outcome, State, command};
use super::store::Store;
use super::{NodeError, Options};

/// Lines that share one sync.
const BATCH_MAX: usize = 256;

/// After so many ticks nobody is told any more what became of a command.
const PATIENCE_TICKS: u64 = 100;

/// Applied entries after which a snapshot is made, and entries that stay then.
const COMPACT: u64 = 2_000;
const KEEP: u64 = 200;

pub(super) struct Node {
    names: Vec<String>,
    raft: Raft<Store>,
    state: State,
    options: Options,
    clock: MonotonicClock,
    next_tick: Timestamp,
    ticks: u64,
    boot: u64,
    sequence: u64,
    /// Commands that are on their way, and until which tick they are waited for.
    waiting: BTreeMap<CommandId, (Asked, u64)>,
    reads: BTreeMap<ReadId, (Asked, Value)>,
    outgoing: Vec<u8>,
}

impl Node {
    pub(super) fn new(init: &Init, options: Options) -> Result<Self, NodeError> {
        let founders = Configuration::founding((1..=init.names.len() as u64).map(NodeId));
        let own = init.names.iter().position(|name| *name == init.name).unwrap_or_default();
        let id = NodeId(own as u64 + 1);
        let storage = Store::open(options.dir.as_deref(), founders)?;
        let snapshot = storage.snapshot()?;
        let state = State::decode(&snapshot.data).ok_or(NodeError::Command)?;
        let config = Config::new(id, OsRandom.next_u64());
        let clock = MonotonicClock::new();
        Ok(Self {
            names: init.names.clone(),
            raft: Raft::new(config, storage, snapshot.meta.last.index)?,
            state,
            next_tick: clock.now() + options.tick,
            clock,
            options,
            ticks: 0,
            boot: OsRandom.next_u64(),
            sequence: 0,
            waiting: BTreeMap::new(),
            reads: BTreeMap::new(),
            outgoing: Vec::new(),
        })
    }

    /// Serves until there are no more lines.
    pub(super) fn serve(
        &mut self,
        lines: &Receiver<Line>,
        output: &mut impl Write,
    ) -> Result<(), NodeError> {
        loop {
            let patience = self.next_tick.saturating_since(self.clock.now());
            match lines.recv_timeout(patience) {
                Ok(line) => {
                    self.take(&line);
                    lines.try_iter().take(BATCH_MAX).for_each(|line| self.take(&line));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.tick();
            self.pump()?;
            output.write_all(&self.outgoing)?;
            output.flush()?;
            self.outgoing.clear();
        }
    }

    fn id(&self) -> u64 {
        self.raft.status().id.0
    }

    fn name(&self, id: NodeId) -> Option<&String> {
        self.names.get(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }

    /// Delivers the ticks that are due, also those that a pause held up.
    fn tick(&mut self) {
        let now = self.clock.now();
        for _ in 0..40 {
            if self.next_tick > now {
                return;
            }
            self.next_tick = self.next_tick + self.options.tick;
            self.ticks += 1;
            self.raft.tick();
            let ticks = self.ticks;
            for (_, (asked, _)) in self.waiting.extract_if(.., |_, (_, until)| *until <= ticks) {
                let late = asked.error(Code::Timeout, "nobody knows what became of it");
                self.outgoing.extend(late);
            }
        }
        self.next_tick = now + self.options.tick;
    }

    fn take(&mut self, line: &Line) {
        match line.kind() {
            "raft" => {
                let message = line.data().and_then(|data| codec::decode(data.into()).ok());
                let is_known = |it: &raft::Message| {
                    it.to.0 == self.id() && self.name(it.from) == Some(&line.src)
                };
                if let Some(message) = message.filter(is_known) {
                    self.raft.step(message);
                }
            }
            "propose" => {
                let data = line.data().filter(|_| self.names.contains(&line.src));
                // Who leads no more lets it be; who was asked gives up in time.
                if let Some(data) = data {
                    self.raft.propose(data.into()).ok();
                }
            }
            _ => self.ask(line),
        }
    }

    fn ask(&mut self, line: &Line) {
        match line.request() {
            Err(code) => self.outgoing.extend(line.refusal(code, "it is not understood")),
            Ok(Request::Read { key }) if self.options.stale_reads => {
                let outcome = self.state.read(&key);
                self.answer(&line.asked(), outcome);
            }
            Ok(Request::Read { key }) => match self.raft.read(ReadMode::Quorum) {
                Ok(id) => drop(self.reads.insert(id, (line.asked(), key))),
                Err(_) => self.unavailable(line),
            },
            Ok(request) => self.write(line, request),
        }
    }

    fn write(&mut self, line: &Line, request: Request) {
        self.sequence += 1;
        let (server, boot, sequence) = (self.id(), self.boot, self.sequence);
        let id = CommandId { server, boot, sequence };
        let Some(command) = command(id, request) else { return };
        let leader = self.raft.status().leader;
        let is_sent = match leader {
            Some(leader) if leader.0 != server => self.send_on(leader, &command),
            _ => self.raft.propose(command).is_ok(),
        };
        if is_sent {
            self.waiting.insert(id, (line.asked(), self.ticks + PATIENCE_TICKS));
        } else {
            self.unavailable(line);
        }
    }

    fn send_on(&mut self, leader: NodeId, command: &Bytes) -> bool {
        let own = self.raft.status().id;
        let (Some(from), Some(to)) = (self.name(own), self.name(leader)) else { return false };
        let line = protocol::carry(from, to, "propose", command);
        self.outgoing.extend(line);
        true
    }

    fn unavailable(&mut self, line: &Line) {
        self.outgoing.extend(line.refusal(Code::TemporarilyUnavailable, "no leader is known"));
    }

    fn answer(&mut self, asked: &Asked, outcome: Outcome) {
        let line = match outcome {
            Ok(body) => asked.answer(body),
            Err((code, text)) => asked.error(code, &text),
        };
        self.outgoing.extend(line);
    }

    fn send(&mut self, messages: Vec<raft::Message>) {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.clear();
            codec::encode(&message, &mut bytes);
            let (Some(from), Some(to)) = (self.name(message.from), self.name(message.to)) else {
                continue;
            };
            let line = protocol::carry(from, to, "raft", &bytes);
            self.outgoing.extend(line);
        }
    }

    /// Does what the core wants done; one sync for all that it wants written.
    fn pump(&mut self) -> Result<(), NodeError> {
        loop {
            let mut writes = Vec::new();
            loop {
                let ready = self.raft.ready()?;
                if ready.is_empty() {
                    break;
                }
                self.send(ready.messages);
                if let Some(write) = ready.write {
                    self.raft.storage_mut().write(&write)?;
                    writes.push(write);
                }
                if let Some(apply) = ready.apply {
                    self.apply(&apply)?;
                }
                ready.reads.into_iter().for_each(|read| self.read(read));
            }
            if writes.is_empty() {
                return self.compact();
            }
            self.raft.storage().sync()?;
            for write in writes {
                let promises = self.raft.persisted(write);
                self.send(promises);
            }
        }
    }

    fn apply(&mut self, apply: &Apply) -> Result<(), NodeError> {
        let index = match apply {
            Apply::Snapshot => {
                let snapshot = self.raft.storage().snapshot()?;
                self.state = State::decode(&snapshot.data).ok_or(NodeError::Command)?;
                snapshot.meta.last.index
            }
            Apply::Entries(entries) => {
                for entry in entries {
                    let Payload::Command(command) = &entry.payload else { continue };
                    let (id, outcome) = self.state.apply(command).ok_or(NodeError::Command)?;
                    if let Some((asked, _)) = self.waiting.remove(&id) {
                        self.answer(&asked, outcome);
                    }
                }
                entries.last().map_or(Index::ZERO, |entry| entry.index)
            }
        };
        self.raft.applied(index);
        Ok(())
    }

    fn read(&mut self, read: Read) {
        let (Read::Serve(id) | Read::Lost(id)) = read;
        let Some((asked, key)) = self.reads.remove(&id) else { return };
        let lost = || Err((Code::TemporarilyUnavailable, "no leader has confirmed it".to_owned()));
        let is_served = matches!(read, Read::Serve(_));
        let outcome = if is_served { self.state.read(&key) } else { lost() };
        self.answer(&asked, outcome);
    }

    fn compact(&mut self) -> Result<(), NodeError> {
        let applied = self.raft.status().applied;
        let last = self.raft.storage().snapshot_meta().last.index;
        if applied.since(last) < COMPACT {
            return Ok(());
        }
        let snapshot = self.raft.snapshot(self.state.encode())?;
        let keep = Index(applied.0.saturating_sub(KEEP));
        Ok(self.raft.storage_mut().compact(snapshot, keep)?)
    }
}
