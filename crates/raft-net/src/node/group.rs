//! One group in a round: its core, what it has handed out, and who waits for it.
//!
//! # What this module does not do
//!
//! It sends nothing, applies nothing and waits for nothing: it fills a [`Round`].

mod gather;
mod snapshots;
mod writes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Clock;
use raft::{
    Apply, DiskError, DiskStorage, Entries, GroupId, Index, Message, NodeId, Raft, Read, ReadError,
    ReadId, Ready, RoleName, Storage, StorageError, Term,
};
use thiserror::Error as ThisError;

use super::apply::{Applier, Job, Waiting};
use super::{GroupStatus, Options};
use crate::mailbox::{Applied, Call, Reply};
use crate::stats::Counters;
use crate::{Envelope, Error, MachineError};
use gather::Gather;
use snapshots::Making;
use writes::Writes;

/// Turns of effects in one round, far more than any event has.
const TURNS_MAX: u32 = 10_000;

/// What one round of all groups is to send, write and apply.
pub(super) struct Round {
    pub(super) envelopes: Vec<Envelope>,
    pub(super) jobs: Vec<Job>,
    /// Groups that wait for a sync, each as often as it has written.
    pub(super) written: Vec<GroupId>,
    /// What cores write into, one after the other. Nothing is in it between two groups.
    ready: Ready,
    pub(super) clock: Arc<dyn Clock>,
    /// How long a sync takes, of late.
    pub(super) sync_time: Duration,
}

impl Round {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let (envelopes, jobs, written) = (Vec::new(), Vec::new(), Vec::new());
        let (ready, sync_time) = (Ready::default(), Duration::ZERO);
        Self { envelopes, jobs, written, ready, clock, sync_time }
    }
}

/// Why a group cannot go on.
#[derive(Debug, ThisError)]
pub(super) enum GroupError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error("it finds no end of work to do")]
    Endless,
}

/// A linearizable read that waits for a leader.
struct WaitingRead {
    query: Option<Bytes>,
    reply: Reply<Bytes>,
}

pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) raft: Raft<DiskStorage>,
    writes: Writes,
    gather: Gather,
    /// Its machine, where that is instant; else the apply thread has it.
    pub(super) applier: Option<Applier>,
    /// In the order of the log.
    waiting: VecDeque<Waiting>,
    reads: BTreeMap<ReadId, WaitingRead>,
    /// The last entry that was handed to the apply thread.
    handed: Index,
    /// The end of a snapshot that is being restored.
    restoring: Option<Index>,
    /// What is to be applied behind it, where the machine is here.
    held: Vec<(Entries, VecDeque<Waiting>)>,
    /// Bytes of entries that were applied since the last snapshot.
    applied_bytes: u64,
    making: Making,
    /// Entries that a compaction has let go of; see `free`.
    freed: VecDeque<Entries>,
    /// A witness shortens its log once so much is committed.
    shorten_at: Index,
    /// The last term in which it was seen to lead.
    led: Term,
    /// Up to which tick of the node its core has counted; see `quiet`.
    pub(super) as_of: u64,
    /// The node whose words stand for heartbeats, and in which term.
    pub(super) carried: Option<(NodeId, Term)>,
    /// The term in which this node has vouched for it.
    pub(super) vouched: Option<Term>,
}

impl Group {
    pub(super) fn new(id: GroupId, raft: Raft<DiskStorage>, as_of: u64, is_volatile: bool) -> Self {
        let handed = raft.status().applied;
        Self {
            id,
            raft,
            writes: Writes::new(is_volatile),
            gather: Gather::default(),
            applier: None,
            waiting: VecDeque::new(),
            reads: BTreeMap::new(),
            handed,
            restoring: None,
            held: Vec::new(),
            applied_bytes: 0,
            making: Making::default(),
            freed: VecDeque::new(),
            shorten_at: Index::ZERO,
            led: Term(0),
            as_of,
            carried: None,
            vouched: None,
        }
    }

    /// Does what a client asks. Answers that cannot come are given at once.
    pub(super) fn call(
        &mut self,
        call: Call,
        options: &Options,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        match call {
            Call::Propose { command, reply } => self.propose(command, reply, options),
            Call::Change { changes, way, reply } => {
                let proposed = self.raft.change(&changes, way).map_err(Error::from);
                self.wait(proposed, reply);
            }
            Call::LeaveJoint { reply } => {
                let proposed = self.raft.leave_joint().map_err(Error::from);
                self.wait(proposed, reply);
            }
            Call::Read { query, mode, reply } => match self.raft.read(mode) {
                Ok(id) => drop(self.reads.insert(id, WaitingRead { query, reply })),
                Err(ReadError::Witness) => drop(reply.send(Err(Error::Witness))),
                Err(ReadError::Full { .. }) => drop(reply.send(Err(Error::Busy))),
                Err(ReadError::NoLeader) => drop(reply.send(Err(Error::ReadLost))),
            },
            Call::ReadStale { reply, .. } if self.is_witness() => {
                reply.send(Err(Error::Witness)).ok();
            }
            Call::ReadStale { query, reply } => self.query(query, reply, round)?,
            Call::Transfer { to, reply } => {
                reply.send(self.raft.transfer(to).map_err(Error::from)).ok();
            }
            Call::Campaign => self.raft.campaign(),
            Call::Snapshot { reply } => {
                self.making.waiting.push(reply);
                self.shorten_at = Index::ZERO;
                self.make_snapshot(round)?;
            }
            Call::Status { reply } => drop(reply.send(Ok(self.status()))),
        }
        Ok(())
    }

    fn query(
        &self,
        query: Bytes,
        reply: Reply<Bytes>,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        match &self.applier {
            Some(applier) => applier.answer(&query, reply)?,
            None => round.jobs.push(Job::Query(self.id, query, reply)),
        }
        Ok(())
    }

    fn wait(&mut self, proposed: Result<Index, Error>, reply: Reply<Applied>) {
        match proposed {
            Ok(index) => {
                let term = self.raft.hard_state().term;
                self.waiting.push_back(Waiting { index, term, reply });
            }
            Err(refused) => drop(reply.send(Err(refused))),
        }
    }

    /// Does what the core wants done, until it wants nothing.
    pub(super) fn pump(
        &mut self,
        number: u64,
        round: &mut Round,
        counters: &Counters,
    ) -> Result<(), GroupError> {
        self.propose_held(round);
        // Where this fails, what is left in it goes with the group.
        let mut ready = std::mem::take(&mut round.ready);
        for _ in 0..TURNS_MAX {
            if !self.raft.has_ready() {
                self.look_at_role(counters);
                round.ready = ready;
                return Ok(());
            }
            self.raft.ready_into(&mut ready)?;
            self.send(&mut ready.messages, round);
            if let Some(write) = ready.write.take() {
                self.write(write, number, round, counters)?;
            }
            if let Some(apply) = ready.apply.take() {
                self.hand_out(apply, round, counters)?;
            }
            for read in ready.reads.drain(..) {
                self.serve(read, round, counters)?;
            }
        }
        Err(GroupError::Endless)
    }

    fn send(&self, messages: &mut Vec<Message>, round: &mut Round) {
        let group = self.id;
        round.envelopes.extend(messages.drain(..).map(|message| Envelope { group, message }));
    }

    fn hand_out(
        &mut self,
        apply: Apply,
        round: &mut Round,
        counters: &Counters,
    ) -> Result<(), GroupError> {
        match apply {
            Apply::Snapshot => {
                let meta = self.raft.storage().snapshot_meta().clone();
                self.handed = meta.last.index;
                self.restoring = Some(self.handed);
                // A later snapshot has all of it.
                for lost in self.held.drain(..).flat_map(|(_, waiting)| waiting) {
                    lost.reply.send(Err(Error::Uncertain)).ok();
                }
                // Whoever waits for an entry in it will not be told what became of it.
                let handed = self.handed;
                while let Some(lost) = self.waiting.pop_front_if(|it| it.index <= handed) {
                    lost.reply.send(Err(Error::Uncertain)).ok();
                }
                let file = self.raft.storage().snapshot_file();
                round.jobs.push(match &self.applier {
                    Some(_) => Job::Read(self.id, meta, file),
                    None => Job::Restore(self.id, meta, file),
                });
            }
            Apply::Entries(entries) => {
                let last = entries.last().map_or(self.handed, |entry| entry.index);
                let of = self.waiting.partition_point(|it| it.index <= last);
                let waiting: VecDeque<_> = self.waiting.drain(..of).collect();
                self.handed = last;
                self.applied_bytes += entries.bytes();
                let answered = waiting.len();
                if self.applier.is_none() {
                    round.jobs.push(Job::Apply(self.id, entries, waiting));
                } else if self.restoring.is_some() {
                    self.held.push((entries, waiting));
                } else {
                    self.apply(&entries, waiting, counters)?;
                    self.gather.answered(answered, round.clock.now(), round.sync_time);
                }
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        entries: &Entries,
        waiting: VecDeque<Waiting>,
        counters: &Counters,
    ) -> Result<(), GroupError> {
        if let Some(applier) = &mut self.applier {
            let applied = applier.apply(entries, waiting)?;
            counters.applied.add(entries.len() as u64);
            self.raft.applied(applied);
        }
        Ok(())
    }

    fn serve(
        &mut self,
        read: Read,
        round: &mut Round,
        counters: &Counters,
    ) -> Result<(), GroupError> {
        let (Read::Serve(id) | Read::Lost(id)) = read;
        let Some(WaitingRead { query, reply }) = self.reads.remove(&id) else { return Ok(()) };
        match (read, query) {
            (Read::Lost(_), _) => drop(reply.send(Err(Error::ReadLost))),
            (Read::Serve(_), Some(query)) => {
                counters.reads.add(1);
                self.query(query, reply, round)?;
            }
            (Read::Serve(_), None) => {
                counters.reads.add(1);
                reply.send(Ok(Bytes::new())).ok();
            }
        }
        Ok(())
    }

    /// The apply thread has applied everything up to `index`, and answered so many clients.
    pub(super) fn applied(
        &mut self,
        index: Index,
        answered: usize,
        options: &Options,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        self.raft.applied(index);
        self.gather.answered(answered, round.clock.now(), round.sync_time);
        if self.restoring.is_some_and(|end| end <= index) {
            self.restoring = None;
        }
        self.compact_if_due(options, round)
    }

    /// Counts elections; and who leads no more cannot say what becomes of its proposals, but for
    /// those that are committed: they will be applied here.
    fn look_at_role(&mut self, counters: &Counters) {
        let status = self.raft.status();
        if status.role == RoleName::Leader {
            counters.elections.add(u64::from(status.term > self.led));
            self.led = status.term;
        }
        let is_over = |it: &Waiting| status.role != RoleName::Leader || it.term != status.term;
        let committed = self.waiting.partition_point(|it| it.index <= status.commit);
        // Those of an earlier term stand before those of the present one.
        let lost = self.waiting.iter().skip(committed).take_while(|it| is_over(it)).count();
        if lost > 0 || status.role != RoleName::Leader {
            self.gather.give_up();
        }
        for lost in self.waiting.drain(committed..committed + lost) {
            lost.reply.send(Err(Error::Uncertain)).ok();
        }
    }

    fn status(&self) -> GroupStatus {
        let (storage, status) = (self.raft.storage(), self.raft.status());
        let too_large = status.refused_snapshot.map(|len| {
            format!("the leader's snapshot has {len} bytes: raise snapshot_bytes_max to take it")
        });
        GroupStatus {
            status,
            incarnation: storage.incarnation(),
            configuration: self.raft.configuration().clone(),
            progress: self.raft.progress().to_vec(),
            first: storage.first_index(),
            snapshot: storage.snapshot_meta().last.index,
            is_making_snapshot: self.making.is_under_way,
            snapshot_error: too_large.or_else(|| self.making.error.clone()),
            log_error: self.raft.read_error().map(ToString::to_string),
        }
    }

    /// The voter to which leadership could go: the one that has most of the log.
    pub(super) fn heir(&self) -> Option<NodeId> {
        let voters = &self.raft.configuration().voters;
        let may_lead = |id| voters.contains(&id) && !self.raft.configuration().is_witness(id);
        let others = self.raft.progress().iter().filter(|it| may_lead(it.id));
        others.max_by_key(|it| it.match_index).map(|it| it.id)
    }

    /// The group ends: everybody who waits is told.
    pub(super) fn end(mut self, failed: &Error) {
        for (_, reply) in self.gather.take() {
            reply.send(Err(failed.clone())).ok();
        }
        for waiting in self.waiting {
            waiting.reply.send(Err(failed.clone())).ok();
        }
        for waiting in self.held.into_iter().flat_map(|(_, waiting)| waiting) {
            waiting.reply.send(Err(failed.clone())).ok();
        }
        for (_, read) in self.reads {
            read.reply.send(Err(failed.clone())).ok();
        }
        for reply in self.making.waiting {
            reply.send(Err(failed.clone())).ok();
        }
    }
}
