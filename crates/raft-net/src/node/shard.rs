//! All groups of a node: events are turned into rounds, by whoever runs them; see `engine`.
//!
//! A group that cannot go on ends, and the others go on: its disk failed, its machine failed, or
//! its core found a contradiction, which it shows by a panic. What it held back stays unsaid. Where
//! the log failed, which they share, all of them end.
//!
//! # What this module does not do
//!
//! It never waits; see `threads` for who does.

mod ending;
mod time;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use env::clock::{Clock, Timestamp};
use env::random::{Random, SeededRandom};
use raft::{Config, DiskLog, DiskStorage, GroupId, NodeId, Raft, Storage};

use super::Options;
use super::apply::{Applier, Job, asked, said};
use super::group::{Group, GroupError, Round};
use super::quiet::Peers;
use super::threads::Workers;
use crate::mailbox::{Call, Event, Reply};
use crate::session::Sessions;
use crate::{Envelope, Error, Mailbox, Packet, StateMachine, Transport};

/// Events in one round, so that ticks come in time.
const EVENTS_MAX: usize = 4_096;

pub(super) struct Shard {
    options: Options,
    transport: Box<dyn Transport>,
    mailbox: Mailbox,
    /// What was taken out of the mailbox and is not done with.
    events: VecDeque<Event>,
    /// What the mailbox is to be told once all of them are.
    weight: u64,
    clock: Arc<dyn Clock>,
    random: SeededRandom,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// Why groups have ended.
    ended: BTreeMap<GroupId, String>,
    /// Groups that were touched in this round.
    touched: BTreeSet<GroupId>,
    /// Groups whose time is counted tick by tick; see `quiet`.
    awake: BTreeSet<GroupId>,
    pub(super) peers: Peers,
    /// Groups that wait for the sync of a round, in the order of rounds.
    unsynced: VecDeque<(u64, GroupId)>,
    /// Groups that hold commands back, and until when; see `gather`.
    gathering: BTreeMap<GroupId, Timestamp>,
    round: Round,
    /// The number of this round; syncs are asked for by it.
    number: u64,
    next_tick: Timestamp,
    /// Until when the node's own thread rests.
    rests_until: Timestamp,
    pub(super) ticks: u64,
    log: DiskLog,
    workers: Workers,
    /// Who waits for the end, and the tick at which it comes.
    stopping: Option<(Reply<()>, u64)>,
}

impl Shard {
    pub(super) fn new(
        options: Options,
        log: DiskLog,
        transport: Box<dyn Transport>,
        mailbox: Mailbox,
        workers: Workers,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let round = Round::new(Arc::clone(&clock));
        let mut random = SeededRandom::new(options.config.seed);
        Self {
            peers: Peers::new(&options.config, random.next_u64()),
            random,
            next_tick: clock.now() + options.tick,
            rests_until: clock.now(),
            options,
            transport,
            mailbox,
            events: VecDeque::new(),
            weight: 0,
            clock,
            groups: BTreeMap::new(),
            ended: BTreeMap::new(),
            touched: BTreeSet::new(),
            awake: BTreeSet::new(),
            unsynced: VecDeque::new(),
            gathering: BTreeMap::new(),
            round,
            number: 1,
            ticks: 0,
            log,
            workers,
            stopping: None,
        }
    }

    /// Takes what is in the mailbox, and has all of it done. True where the node's own thread rests
    /// for longer than it may now.
    pub(super) fn round(&mut self) -> bool {
        let mut events = std::mem::take(&mut self.events);
        if events.is_empty() {
            self.weight = self.mailbox.take_into(&mut events);
        }
        self.catch_up();
        let (before, left) = (events.len(), events.len().saturating_sub(EVENTS_MAX));
        while events.len() > left
            && let Some(event) = events.pop_front()
        {
            self.take(event, &mut events);
        }
        self.mailbox.inbox.engine.note_taken((before - events.len()) as u64);
        if events.is_empty() {
            self.mailbox.note_done(self.weight);
        }
        self.events = events;
        self.tick();
        self.end_gathering();
        self.finish_round();
        let is_missed = self.next_look() < self.rests_until || self.is_over();
        if is_missed {
            self.rests_until = self.clock.now();
        }
        is_missed
    }

    /// Takes an event, and what follows it in `next` where that is better done together.
    fn take(&mut self, event: Event, next: &mut VecDeque<Event>) {
        match event {
            Event::Call(group, call) => self.call(group, call, next),
            Event::Packet(from, packet) => {
                self.hear(from, packet.pulse);
                self.mailbox.inbox.counters.received.add(packet.envelopes.len() as u64);
                for Envelope { group, message } in packet.envelopes {
                    self.with(group, |group, _, _| {
                        group.raft.step(message);
                        Ok(())
                    });
                }
            }
            Event::Open { storage, machine, reply } => {
                reply.send(self.open(*storage, machine)).ok();
            }
            Event::Groups(reply) => drop(reply.send(Ok(self.groups.keys().copied().collect()))),
            Event::Stop(reply) => self.stop(reply),
            Event::Synced(number, took) => {
                // A mean over the last few, so that one slow sync is not taken for the rule.
                self.round.sync_time = (self.round.sync_time * 7 + took) / 8;
                while let Some((_, id)) = self.unsynced.pop_front_if(|(at, _)| *at <= number) {
                    self.with(id, |group, _, round| {
                        group.synced(number, round);
                        Ok(())
                    });
                }
            }
            Event::Applied(group, index, answered) => self.with(group, |group, options, round| {
                group.applied(index, answered, options, round)
            }),
            Event::SnapshotRead(group, meta, bytes) => {
                let inbox = self.mailbox.inbox();
                self.with(group, |group, _, _| group.restore(&meta, &bytes, &inbox.counters));
            }
            Event::SnapshotMade(group, meta, file) => {
                self.mailbox.inbox.counters.snapshots.add(1);
                self.with(group, |group, options, round| {
                    group.snapshot_made(meta, &file, options, round)
                });
            }
            Event::Compacted(group, last) => self.with(group, |group, _, _| {
                group.compacted(last);
                Ok(())
            }),
            Event::SnapshotStored(group, file) => {
                let number = self.number;
                self.with(group, |group, _, round| group.stored(&file, number, round));
            }
            Event::SnapshotFailed(group, reason) => self.with(group, |group, _, _| {
                group.snapshot_failed(reason);
                Ok(())
            }),
            Event::Failed(group, reason) => self.fail(group, reason),
            Event::LogFailed(reason) => self.fail_all(&reason),
        }
    }

    fn ids(&self) -> Vec<GroupId> {
        self.groups.keys().copied().collect()
    }

    /// Does something with a group, and notes that it was touched. Nothing happens where there is
    /// no such group: a peer may believe in one that has ended.
    pub(super) fn with(
        &mut self,
        id: GroupId,
        act: impl FnOnce(&mut Group, &Options, &mut Round) -> Result<(), GroupError>,
    ) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        self.touched.insert(id);
        if group.as_of < self.ticks {
            group.pass_time(self.ticks, &self.peers);
        }
        let act = AssertUnwindSafe(|| act(group, &self.options, &mut self.round));
        match catch_unwind(act) {
            Ok(Ok(())) => {}
            // A failed write has failed for all who share the log.
            Ok(Err(GroupError::Disk(cause))) => self.fail_all(&cause.to_string()),
            Ok(Err(cause)) => self.fail(id, cause.to_string()),
            Err(panic) => {
                let reason = format!("its state contradicts itself: {}", said(&*panic));
                self.fail(id, reason);
            }
        }
    }

    fn call(&mut self, id: GroupId, call: Call, next: &mut VecDeque<Event>) {
        if self.stopping.is_some() {
            return;
        }
        // A lease is over for who slept through its end: see `raft::ReadMode::Lease`.
        if matches!(call, Call::Read { .. }) {
            self.tick();
        }
        if self.groups.contains_key(&id) {
            let before = next.len();
            let is_proposal = matches!(call, Call::Propose { .. });
            self.with(id, |group, options, round| {
                group.call(call, options, round)?;
                // A thousand clients that were answered at once come back at once.
                let is_same = |it: &mut Event| {
                    matches!(it, Event::Call(of, Call::Propose { .. }) if is_proposal && *of == id)
                };
                while let Some(Event::Call(_, call)) = next.pop_front_if(is_same) {
                    group.call(call, options, round)?;
                }
                Ok(())
            });
            let proposals = u64::from(is_proposal) + (before - next.len()) as u64;
            self.mailbox.inbox.counters.proposals.add(proposals);
        } else {
            call.refuse(match self.ended.get(&id) {
                Some(reason) => Error::Failed { group: id, reason: reason.clone() },
                None => Error::NoGroup { group: id },
            });
        }
    }

    fn open(&mut self, storage: DiskStorage, machine: Box<dyn StateMachine>) -> Result<(), Error> {
        let id = storage.id();
        if self.groups.contains_key(&id) {
            return Err(Error::Exists { group: id });
        }
        let failed = |reason: String| Error::Failed { group: id, reason };
        let known = asked(|| Ok((machine.applied(), machine.rows()?, machine.is_instant())));
        let (applied, rows, is_instant) = known.map_err(|cause| failed(cause.to_string()))?;
        let last = storage.last_index();
        if applied > last {
            return Err(Error::Ahead { applied: applied.0, last: last.0 });
        }
        let sessions = Sessions::from_rows(&rows);
        let sessions = sessions.ok_or_else(|| failed("its sessions are damaged".to_owned()))?;
        let config = Config {
            incarnation: storage.incarnation(),
            seed: self.random.next_u64(),
            entry_bytes_max: self.options.config.entry_bytes_max.min(storage.entry_bytes_max()),
            ..self.options.config.clone()
        };
        let raft = Raft::new(config, storage, applied)?;
        let is_volatile = self.log.is_volatile();
        let mut group = Group::new(id, raft, self.ticks, is_volatile);
        if is_instant {
            group.applier = Some(Applier::new(machine, sessions));
        } else {
            self.workers.jobs.send(Job::Open(id, machine, sessions)).map_err(|_| Error::Stopped)?;
        }
        self.ended.remove(&id);
        self.groups.insert(id, group);
        self.touched.insert(id);
        Ok(())
    }

    /// Asks each touched group what is to be done, and has all of it done.
    fn finish_round(&mut self) {
        let (number, inbox) = (self.number, self.mailbox.inbox());
        while let Some(id) = self.touched.pop_first() {
            inbox.counters.touched.add(1);
            self.with(id, |group, options, round| {
                group.pump(number, round, &inbox.counters)?;
                group.compact_if_due(options, round)
            });
            self.touched.remove(&id);
            let Some(group) = self.groups.get_mut(&id) else { continue };
            match group.look_at() {
                Some(until) => drop(self.gathering.insert(id, until)),
                None => drop(self.gathering.remove(&id)),
            }
            if group.settle(self.ticks, &mut self.peers) && !group.is_freeing() {
                self.awake.remove(&id);
            } else {
                self.awake.insert(id);
            }
        }
        for job in self.round.jobs.drain(..) {
            // It ends only after this thread.
            self.workers.jobs.send(job).ok();
        }
        // The disk is asked before the others are told: with a hub, what they do is done in `send`.
        if !self.round.written.is_empty() {
            // The thread that syncs takes as long to wake up as the disk does to write a block.
            if self.unsynced.is_empty() {
                self.log.write_out();
            }
            self.unsynced.extend(self.round.written.drain(..).map(|id| (number, id)));
            self.workers.syncs.send(number).ok();
            self.number += 1;
        }
        self.send();
    }

    /// One packet a peer.
    fn send(&mut self) {
        let mut packets: BTreeMap<NodeId, Packet> = BTreeMap::new();
        let pulses = self.peers.take_pulses(self.ticks);
        let counters = &self.mailbox.inbox.counters;
        counters.sent.add(self.round.envelopes.len() as u64);
        counters.pulses.add(pulses.len() as u64);
        for (to, pulse) in pulses {
            packets.entry(to).or_default().pulse = Some(pulse);
        }
        for envelope in self.round.envelopes.drain(..) {
            packets.entry(envelope.message.to).or_default().envelopes.push(envelope);
        }
        counters.batches.add(packets.len() as u64);
        for (to, packet) in packets {
            self.transport.send(to, packet);
        }
    }
}
