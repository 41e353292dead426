//! The handle of a node: what a program calls.
//!
//! # What this module does not do
//!
//! It decides nothing: a call becomes an event for the node thread, and its answer comes back.

mod apply;
pub(crate) mod engine;
mod group;
mod peer;
mod quiet;
mod shard;
#[cfg(test)]
mod stage;
mod threads;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Clock;
use parking_lot::Mutex;
use raft::{
    Change, Config, Configuration, DiskLog, DiskStorage, GroupId, Incarnation, Index, NodeId,
    Progress, ReadMode, Status, Way,
};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::mailbox::{Applied, Call, Event, Reply};
use crate::session::Command;
use crate::{Error, Inbox, Mailbox, StateMachine, Stats, Transport};
use shard::Shard;
use threads::Workers;

/// How a node runs its groups.
#[derive(Clone, Debug)]
pub struct Options {
    /// The knobs of each group; `incarnation` and `seed` are the node's to fill in, the seed from
    /// this one, which must differ between nodes and between starts of a node.
    pub config: Config,
    /// The length of a tick.
    pub tick: Duration,
    /// A group makes a snapshot and compacts its log after so many bytes of applied entries.
    pub compact_bytes: u64,
    /// So many entries before the snapshot stay, for followers that are a little behind.
    pub keep_entries: u64,
    /// A group that holds back more segments of the log is written anew.
    pub segments_held_max: u64,
    /// A leader takes no command while so many committed entries wait for its state machine.
    pub apply_waiting_max: u64,
}

impl Options {
    /// Sensible values for a node of this name.
    pub const fn new(id: NodeId, seed: u64) -> Self {
        Self {
            config: Config::new(id, seed),
            tick: Duration::from_millis(30),
            compact_bytes: 64 << 20,
            keep_entries: 1_000,
            segments_held_max: 8,
            apply_waiting_max: 100_000,
        }
    }
}

/// A look at a group.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// Role, term, positions.
    pub status: Status,
    /// The disk that the group's members know this server by.
    pub incarnation: Incarnation,
    /// The configuration in force, committed or not.
    pub configuration: Configuration,
    /// What a leader knows of the others.
    pub progress: Vec<Progress>,
    /// The first entry that the log has.
    pub first: Index,
    /// The last entry in the snapshot.
    pub snapshot: Index,
    /// Whether a snapshot is being made.
    pub is_making_snapshot: bool,
    /// Why the last snapshot was not made, or the leader's not taken, where that is so.
    pub snapshot_error: Option<String>,
    /// Why the log could not be read for a follower that is behind, the last time that it could
    /// not: `status.read_errors` counts how often.
    pub log_error: Option<String>,
}

/// A running node. Copies are the same node; when the last one is dropped it stops.
#[derive(Clone)]
pub struct Node {
    inbox: Inbox,
    running: Arc<Running>,
}

/// What the last handle ends.
struct Running {
    inbox: Inbox,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has stopped already nobody listens.
        self.inbox.tell(Event::Stop(oneshot::channel().0)).ok();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts the threads of a node that has no group yet.
    pub fn start(
        options: Options,
        log: DiskLog,
        transport: impl Transport,
        mailbox: Mailbox,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let inbox = mailbox.inbox();
        let engine = Arc::clone(&inbox.engine);
        let workers = Workers::start(&log, &inbox, &clock);
        let shard = Shard::new(options, log, Box::new(transport), mailbox, workers, clock);
        let thread = threads::spawn("raft-node", move || engine.run(shard));
        Self::of(inbox, Some(thread))
    }

    /// The handle of a node whose groups are run by this thread, or by nobody.
    fn of(inbox: Inbox, thread: Option<JoinHandle<()>>) -> Self {
        let running = Running { inbox: inbox.clone(), thread: Mutex::new(thread) };
        Self { inbox, running: Arc::new(running) }
    }

    /// Runs a group from its log and the state machine that belongs to it.
    pub async fn open(
        &self,
        storage: DiskStorage,
        machine: impl StateMachine,
    ) -> Result<(), Error> {
        let (storage, machine) = (Box::new(storage), Box::new(machine));
        self.tell(|reply| Event::Open { storage, machine, reply }).await
    }

    /// Proposes a command, and answers with what the state machine made of it once it is committed
    /// and applied here. Where the answer is lost the command may be applied all the same.
    pub async fn propose(&self, group: GroupId, command: Bytes) -> Result<Bytes, Error> {
        Ok(self.command(group, &Command::Plain(command)).await?.answer)
    }

    /// Begins a session; see [`crate::session`].
    pub async fn open_session(&self, group: GroupId) -> Result<u64, Error> {
        Ok(self.command(group, &Command::<Bytes>::Open).await?.index.0)
    }

    /// As [`Node::propose`], once: the same command may be tried again, here or on any server,
    /// until there is an answer. `sequence` counts the session's commands upwards from 1.
    pub async fn propose_in(
        &self,
        group: GroupId,
        session: u64,
        sequence: u64,
        command: Bytes,
    ) -> Result<Bytes, Error> {
        let command = Command::InSession { session, sequence, body: command };
        Ok(self.command(group, &command).await?.answer)
    }

    async fn command(&self, group: GroupId, command: &Command<Bytes>) -> Result<Applied, Error> {
        let command = command.encode();
        self.call(group, |reply| Call::Propose { command, reply }).await
    }

    /// A linearizable answer of the state machine, on any server that reaches a leader. By a lease
    /// it is as much as the clocks are what [`ReadMode::Lease`] assumes.
    pub async fn read(&self, group: GroupId, query: Bytes, mode: ReadMode) -> Result<Bytes, Error> {
        self.call(group, |reply| Call::Read { query: Some(query), mode, reply }).await
    }

    /// Returns once the state machine here has all that was committed when this was called. For
    /// who reads the machine's state without the machine.
    pub async fn barrier(&self, group: GroupId, mode: ReadMode) -> Result<(), Error> {
        self.call(group, |reply| Call::Read { query: None, mode, reply }).await.map(drop)
    }

    /// The answer of this server's state machine as it is; it may be behind.
    pub async fn read_stale(&self, group: GroupId, query: Bytes) -> Result<Bytes, Error> {
        self.call(group, |reply| Call::ReadStale { query, reply }).await
    }

    /// Changes the members, and returns once that is committed. With [`Way::Joint`] the way out of
    /// the joint configuration is then under way; with [`Way::JointUntilLeft`] it is stayed in
    /// until [`Node::leave_joint`].
    pub async fn change(
        &self,
        group: GroupId,
        changes: Vec<Change>,
        way: Way,
    ) -> Result<Index, Error> {
        Ok(self.call(group, |reply| Call::Change { changes, way, reply }).await?.index)
    }

    /// Leaves a joint configuration that was entered [`Way::JointUntilLeft`], by whatever leader,
    /// and returns once that is committed.
    ///
    /// Where the configuration is not joint that is an [`Error::Change`].
    pub async fn leave_joint(&self, group: GroupId) -> Result<Index, Error> {
        Ok(self.call(group, |reply| Call::LeaveJoint { reply }).await?.index)
    }

    /// Begins to give leadership to another voter.
    pub async fn transfer(&self, group: GroupId, to: NodeId) -> Result<(), Error> {
        self.call(group, |reply| Call::Transfer { to, reply }).await
    }

    /// Campaigns now.
    pub fn campaign(&self, group: GroupId) -> Result<(), Error> {
        self.inbox.offer(Event::Call(group, Call::Campaign))
    }

    /// Makes a snapshot and compacts the log; returns the last entry that it contains.
    pub async fn snapshot(&self, group: GroupId) -> Result<Index, Error> {
        self.call(group, |reply| Call::Snapshot { reply }).await
    }

    /// A look at a group.
    pub async fn status(&self, group: GroupId) -> Result<GroupStatus, Error> {
        self.call(group, |reply| Call::Status { reply }).await
    }

    /// The groups that run here.
    pub async fn groups(&self) -> Result<Vec<GroupId>, Error> {
        self.tell(Event::Groups).await
    }

    /// What the node has done.
    pub fn stats(&self) -> Stats {
        self.inbox.counters.get()
    }

    /// Gives away what this node leads, where others can take it within an election timeout, then
    /// ends its threads. All that was acknowledged is durable. Other calls fail from now on.
    pub async fn stop(&self) -> Result<(), Error> {
        let stopped = self.tell(Event::Stop).await;
        let thread = self.running.thread.lock().take();
        if let Some(thread) = thread {
            // It has said that it is about to end.
            thread.join().map_err(|_| Error::Stopped)?;
        }
        stopped
    }

    async fn call<T>(
        &self,
        group: GroupId,
        call: impl FnOnce(Reply<T>) -> Call,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let put = self.inbox.put(Event::Call(group, call(reply)))?;
        // Whoever else is about to ask goes first: all that is asked by then is one batch.
        yield_now().await;
        drop(put);
        answer.await.map_err(|_| Error::Stopped)?
    }

    async fn tell<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.inbox.tell(event(reply))?;
        answer.await.map_err(|_| Error::Stopped)?
    }
}
