//! The apply thread: state machines, their sessions, and the answers to clients.
//!
//! # What this module does not do
//!
//! It knows no terms but those of entries, which tell whether a command is the one that a client
//! waits for, or another leader's in its place.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};

use bytes::Bytes;
use raft::{Entries, Entry, GroupId, Index, Payload, Rewrite, SnapshotFile, SnapshotMeta, Term};

use super::threads::{Order, Snapshot};
use crate::mailbox::{Applied, Event, Reply};
use crate::session::{Command, Sessions, Verdict};
use crate::{Error, Inbox, MachineError, StateMachine};

/// A client that waits for an entry.
pub(super) struct Waiting {
    pub(super) index: Index,
    pub(super) term: Term,
    pub(super) reply: Reply<Applied>,
}

/// What the apply thread is to do.
pub(super) enum Job {
    Open(GroupId, Box<dyn StateMachine>, Sessions),
    Apply(GroupId, Entries, VecDeque<Waiting>),
    Restore(GroupId, SnapshotMeta, SnapshotFile),
    Query(GroupId, Bytes, Reply<Bytes>),
    Snapshot(GroupId, SnapshotMeta),
    Close(GroupId),
    /// Bytes of a snapshot are to be made, of a machine that is not here.
    Make(Snapshot),
    /// A snapshot of the leader's is to be written into a file.
    Store(GroupId, Bytes),
    /// A group that was written anew is to be made durable, and the snapshot that it was compacted
    /// to, by its end.
    Finish(GroupId, Rewrite, Option<Index>),
    /// The file of a snapshot is to be read, for a machine that is not here.
    Read(GroupId, SnapshotMeta, SnapshotFile),
}

/// One group's machine.
pub(super) struct Applier {
    machine: Box<dyn StateMachine>,
    sessions: Sessions,
}

/// Does jobs until there are none.
pub(super) fn run(jobs: &Receiver<Job>, snapshots: &Sender<Order>, inbox: &Inbox) {
    let mut appliers = Appliers::new();
    while let Ok(job) = jobs.recv() {
        attempt(job, &mut appliers, snapshots, inbox);
    }
}

/// The machines that are applied on the apply thread.
pub(super) type Appliers = BTreeMap<GroupId, Applier>;

/// Does a job. A machine that fails ends its group, and no other.
pub(super) fn attempt(job: Job, appliers: &mut Appliers, snapshots: &Sender<Order>, inbox: &Inbox) {
    let group = job.group();
    if let Err(cause) = perform(job, appliers, snapshots, inbox) {
        appliers.remove(&group);
        inbox.tell(Event::Failed(group, cause.to_string())).ok();
    }
}

/// Asks something of a machine; that it panics is an error as any other.
pub(super) fn asked<T>(
    question: impl FnOnce() -> Result<T, MachineError>,
) -> Result<T, MachineError> {
    catch_unwind(AssertUnwindSafe(question))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", said(&*panic)).into()))
}

/// What a panic says.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason was given")
}

impl Job {
    const fn group(&self) -> GroupId {
        match self {
            Self::Open(group, ..)
            | Self::Apply(group, ..)
            | Self::Restore(group, ..)
            | Self::Query(group, ..)
            | Self::Snapshot(group, ..)
            | Self::Read(group, ..)
            | Self::Store(group, ..)
            | Self::Finish(group, ..)
            | Self::Make(Snapshot { group, .. })
            | Self::Close(group) => *group,
        }
    }
}

fn perform(
    job: Job,
    appliers: &mut Appliers,
    snapshots: &Sender<Order>,
    inbox: &Inbox,
) -> Result<(), MachineError> {
    let group = job.group();
    let job = match job {
        Job::Open(_, machine, sessions) => {
            appliers.insert(group, Applier::new(machine, sessions));
            return Ok(());
        }
        Job::Make(snapshot) => {
            snapshots.send(Order::Make(snapshot)).ok();
            return Ok(());
        }
        Job::Store(_, data) => {
            snapshots.send(Order::Store(group, data)).ok();
            return Ok(());
        }
        Job::Finish(_, rewrite, last) => {
            snapshots.send(Order::Finish(group, rewrite, last)).ok();
            return Ok(());
        }
        Job::Read(_, meta, file) => {
            inbox.tell(Event::SnapshotRead(group, meta, file.read()?)).ok();
            return Ok(());
        }
        job => job,
    };
    // A job for a group that has ended; who waits for it is told by the node thread.
    let Some(applier) = appliers.get_mut(&group) else { return Ok(()) };
    match job {
        Job::Apply(_, entries, waiting) => {
            let answered = waiting.len();
            let last = applier.apply(&entries, waiting)?;
            inbox.counters.applied.add(entries.len() as u64);
            inbox.tell(Event::Applied(group, last, answered)).ok();
        }
        Job::Restore(_, meta, file) => {
            applier.restore(&meta, &mut file.reader())?;
            inbox.counters.restores.add(1);
            inbox.tell(Event::Applied(group, meta.last.index, 0)).ok();
        }
        Job::Query(_, query, reply) => applier.answer(&query, reply)?,
        Job::Snapshot(_, meta) => {
            snapshots.send(Order::Make(applier.snapshot(group, meta)?)).ok();
        }
        Job::Close(_) => drop(appliers.remove(&group)),
        Job::Open(..) | Job::Make(_) | Job::Store(..) | Job::Finish(..) | Job::Read(..) => {}
    }
    Ok(())
}

impl Applier {
    pub(super) fn new(machine: Box<dyn StateMachine>, sessions: Sessions) -> Self {
        Self { machine, sessions }
    }

    /// Replaces the state by that of a snapshot.
    pub(super) fn restore(
        &mut self,
        meta: &SnapshotMeta,
        data: &mut dyn Read,
    ) -> Result<(), MachineError> {
        let rows = take_rows(data)?;
        asked(|| self.machine.restore(meta.last.index, data, &rows))?;
        self.sessions = Sessions::from_rows(&rows).ok_or("a session's row is damaged")?;
        Ok(())
    }

    pub(super) fn answer(&self, query: &Bytes, reply: Reply<Bytes>) -> Result<(), MachineError> {
        let answer = asked(|| self.machine.query(query))?;
        // A client that has gone needs no answer.
        reply.send(Ok(answer)).ok();
        Ok(())
    }

    /// Fixes the state, whose bytes are to be made.
    pub(super) fn snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> Result<Snapshot, MachineError> {
        let head = join(&self.sessions.rows());
        Ok(Snapshot { group, meta, head, make: asked(|| self.machine.snapshot())? })
    }

    /// Applies entries as one step, then answers those who wait for them.
    pub(super) fn apply(
        &mut self,
        entries: &Entries,
        waiting: VecDeque<Waiting>,
    ) -> Result<Index, MachineError> {
        let mut answers = Vec::with_capacity(waiting.len());
        let last = asked(|| self.step(entries, waiting, &mut answers))?;
        for (reply, answer) in answers {
            // A client that has gone needs no answer.
            reply.send(answer).ok();
        }
        Ok(last)
    }

    fn step(
        &mut self,
        entries: &Entries,
        mut waiting: VecDeque<Waiting>,
        answers: &mut Vec<(Reply<Applied>, Result<Applied, Error>)>,
    ) -> Result<Index, MachineError> {
        let mut last = Index::ZERO;
        for entry in entries {
            last = entry.index;
            let answer = self.apply_entry(entry)?;
            if let Some(first) = waiting.pop_front_if(|first| first.index == entry.index) {
                let is_own = first.term == entry.term;
                answers.push((first.reply, if is_own { answer } else { Err(Error::Replaced) }));
            }
        }
        self.machine.commit(last, &self.sessions.take_changes())?;
        Ok(last)
    }

    fn apply_entry(&mut self, entry: &Entry) -> Result<Result<Applied, Error>, MachineError> {
        let index = entry.index;
        let Payload::Command(command) = &entry.payload else {
            return Ok(Ok(Applied { index, answer: Bytes::new() }));
        };
        let command = Command::decode(command).ok_or("a command is not of this version")?;
        let answer = match command {
            Command::Plain(body) => self.machine.apply(index, body)?,
            Command::Open => {
                self.sessions.open(index);
                Bytes::new()
            }
            Command::InSession { session, sequence, body } => {
                match self.sessions.judge(session, sequence) {
                    Ok(Verdict::Known(answer)) => answer,
                    Ok(Verdict::Fresh) => {
                        let answer = self.machine.apply(index, body)?;
                        self.sessions.applied(session, sequence, index, &answer);
                        answer
                    }
                    Err(refused) => return Ok(Err(refused)),
                }
            }
        };
        Ok(Ok(Applied { index, answer }))
    }
}

/// Rows as the head of a snapshot: their count, then number, length and bytes of each.
fn join(rows: &[(u64, Bytes)]) -> Vec<u8> {
    let mut bytes = (rows.len() as u64).to_le_bytes().to_vec();
    for (number, row) in rows {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&(row.len() as u64).to_le_bytes());
        bytes.extend_from_slice(row);
    }
    bytes
}

/// The rows at the front of a snapshot; what is left is the machine's part.
fn take_rows(from: &mut dyn Read) -> Result<Vec<(u64, Bytes)>, MachineError> {
    let number = |from: &mut dyn Read| {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    };
    let mut rows = Vec::new();
    for _ in 0..number(from)? {
        let (session, len) = (number(from)?, number(from)?);
        let mut row = Vec::new();
        from.take(len).read_to_end(&mut row)?;
        if row.len() as u64 != len {
            return Err("a snapshot ends within its sessions".into());
        }
        rows.push((session, row.into()));
    }
    Ok(rows)
}
