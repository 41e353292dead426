//! What the node thread is told, by whom.
//!
//! Calls of clients and messages of peers are weighed, and refused beyond a limit: a peer's message
//! may be lost, a client may come again. What the node's own threads say is neither weighed nor
//! refused; there is little of it, and all of it matters.

mod queue;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use raft::{
    Body, Change, DiskStorage, GroupId, Index, NodeId, ReadMode, SnapshotFile, SnapshotMeta, Way,
};
use tokio::sync::oneshot;

use crate::node::engine::Engine;
use crate::stats::Counters;
use crate::{Envelope, Error, GroupStatus, Packet, Pulse, StateMachine};
pub(crate) use queue::Queue;
use queue::Refused;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) index: Index,
    pub(crate) answer: Bytes,
}

/// What a client wants of a group.
pub(crate) enum Call {
    Propose {
        command: Bytes,
        reply: Reply<Applied>,
    },
    /// A linearizable read: the answer to a query, or only that the state is new enough.
    Read {
        query: Option<Bytes>,
        mode: ReadMode,
        reply: Reply<Bytes>,
    },
    /// The answer of this server's state as it is.
    ReadStale {
        query: Bytes,
        reply: Reply<Bytes>,
    },
    Change {
        changes: Vec<Change>,
        way: Way,
        reply: Reply<Applied>,
    },
    LeaveJoint {
        reply: Reply<Applied>,
    },
    Transfer {
        to: NodeId,
        reply: Reply<()>,
    },
    Campaign,
    Snapshot {
        reply: Reply<Index>,
    },
    Status {
        reply: Reply<GroupStatus>,
    },
}

impl Call {
    /// Tells who waits that nothing comes of it.
    pub(crate) fn refuse(self, error: Error) {
        // Who does not wait any more is not told.
        match self {
            Self::Propose { reply, .. }
            | Self::Change { reply, .. }
            | Self::LeaveJoint { reply } => {
                reply.send(Err(error)).ok();
            }
            Self::Read { reply, .. } | Self::ReadStale { reply, .. } => {
                reply.send(Err(error)).ok();
            }
            Self::Transfer { reply, .. } => drop(reply.send(Err(error))),
            Self::Snapshot { reply } => drop(reply.send(Err(error))),
            Self::Status { reply } => drop(reply.send(Err(error))),
            Self::Campaign => {}
        }
    }
}

/// What the node thread is told.
pub(crate) enum Event {
    Call(GroupId, Call),
    Packet(NodeId, Packet),
    Open {
        storage: Box<DiskStorage>,
        machine: Box<dyn StateMachine>,
        reply: Reply<()>,
    },
    Groups(Reply<Vec<GroupId>>),
    Stop(Reply<()>),
    /// The log is durable up to this round, by a sync that took so long.
    Synced(u64, Duration),
    /// A machine has applied everything up to an entry, and so many clients were answered.
    Applied(GroupId, Index, usize),
    /// The bytes of a snapshot that a machine on the node thread is to take over.
    SnapshotRead(GroupId, SnapshotMeta, Bytes),
    SnapshotMade(GroupId, SnapshotMeta, SnapshotFile),
    /// A compaction to a snapshot that ends here is durable.
    Compacted(GroupId, Index),
    /// A snapshot of the leader's is in its file.
    SnapshotStored(GroupId, SnapshotFile),
    /// A snapshot was not made, and nothing is lost by it.
    SnapshotFailed(GroupId, String),
    /// A group cannot go on.
    Failed(GroupId, String),
    /// No group can go on.
    LogFailed(String),
}

impl Event {
    /// About how many bytes it holds; nothing where it is from the node itself.
    fn weight(&self) -> usize {
        let of_message = |envelope: &Envelope| {
            EVENT_WEIGHT
                + match &envelope.message.body {
                    Body::AppendEntries { entries, .. } => {
                        usize::try_from(entries.bytes()).unwrap_or(usize::MAX)
                    }
                    Body::InstallSnapshot { data, .. } => data.len(),
                    _ => 0,
                }
        };
        match self {
            Self::Call(_, Call::Propose { command, .. }) => EVENT_WEIGHT + command.len(),
            Self::Call(..) => EVENT_WEIGHT,
            Self::Packet(_, Packet { pulse, envelopes }) => {
                let of_pulse = pulse.as_ref().map_or(0, Pulse::weight);
                EVENT_WEIGHT + of_pulse + envelopes.iter().map(of_message).sum::<usize>()
            }
            _ => 0,
        }
    }
}

/// The way into a node. Copies lead to the same node.
#[derive(Clone, Debug)]
pub struct Inbox {
    limit: usize,
    pub(crate) counters: Arc<Counters>,
    pub(crate) engine: Arc<Engine>,
}

/// An event that was put in, and that somebody must see to. Dropped, it is seen to.
#[derive(Debug)]
pub(crate) struct Put<'a> {
    inbox: &'a Inbox,
    /// How many events were put in, with this one.
    count: u64,
    /// How many rounds are run for it; none where the node's own thread sees to it.
    rounds: u32,
}

impl Put<'_> {
    /// Leaves it to the node's own thread.
    pub(crate) fn leave(mut self) {
        self.rounds = 0;
        self.inbox.engine.wake();
    }
}

impl Drop for Put<'_> {
    fn drop(&mut self) {
        // Somebody else may have seen to it, and be better left to gather a batch.
        if self.rounds > 0 && !self.inbox.engine.has_taken(self.count) {
            self.inbox.engine.help(self.rounds);
        }
    }
}

/// What has come in: made together with its [`Inbox`], and given to [`Node::start`].
///
/// [`Node::start`]: crate::Node::start
#[derive(Debug)]
pub struct Mailbox {
    pub(crate) inbox: Inbox,
}

/// Rounds that a thread runs which came for one of its own.
const ROUNDS_MAX: u32 = 16;

/// How often somebody else may come to take an event that is in no hurry.
const LOOKS: u32 = 8;

/// The time between two such looks.
const LOOK_PAUSE: Duration = Duration::from_micros(100);

/// What an event weighs beside its bytes.
const EVENT_WEIGHT: usize = 128;

/// A mailbox that takes about so many bytes of calls and messages before it refuses more. What has
/// been taken out counts until all that was taken with it is dealt with.
pub fn mailbox(limit: usize) -> Mailbox {
    let (counters, engine) = (Arc::new(Counters::default()), Arc::default());
    Mailbox { inbox: Inbox { limit, counters, engine } }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.inbox.engine.queue.close();
    }
}

impl Mailbox {
    /// The way in, for a transport.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Takes all that wait into `events`, which is empty. Returns what is to be said to
    /// [`Mailbox::note_done`] once they are dealt with.
    pub(crate) fn take_into(&self, events: &mut VecDeque<Event>) -> u64 {
        self.inbox.engine.queue.take_into(events)
    }

    /// What was taken then weighs no more.
    pub(crate) fn note_done(&self, weight: u64) {
        self.inbox.engine.queue.note_done(weight);
    }
}

impl Inbox {
    /// Delivers what a peer said. False where it is lost: too much is waiting, or the node is gone.
    pub fn deliver(&self, from: NodeId, packet: Packet) -> bool {
        self.offer(Event::Packet(from, packet)).is_ok()
    }

    /// Passes on what may be refused.
    pub(crate) fn offer(&self, event: Event) -> Result<(), Error> {
        self.put(event).map(drop)
    }

    /// The same, and leaves to the caller when it is seen to.
    pub(crate) fn put(&self, event: Event) -> Result<Put<'_>, Error> {
        let weight = event.weight();
        self.insert(event, weight)
    }

    fn insert(&self, event: Event, weight: usize) -> Result<Put<'_>, Error> {
        match self.engine.queue.put(event, weight, self.limit) {
            Ok(count) => Ok(Put { inbox: self, count, rounds: ROUNDS_MAX }),
            Err(Refused::Closed) => Err(Error::Stopped),
            Err(Refused::Full) => {
                self.counters.refused.add(1);
                Err(Error::Busy)
            }
        }
    }

    /// Passes on what may not: what a thread of the node's own has done. It has other things to do
    /// than to run the groups for long.
    pub(crate) fn tell(&self, event: Event) -> Result<(), Error> {
        let mut put = self.enqueue(event)?;
        put.rounds = 1;
        Ok(())
    }

    /// The same, where nobody waits for it: whoever runs the groups for a client takes it along. A
    /// client that another thread answers is woken from afar, and stands behind all that are not.
    pub(crate) fn mention(&self, event: Event) -> Result<(), Error> {
        let mut put = self.enqueue(event)?;
        put.rounds = 1;
        for _ in 0..LOOKS {
            if self.engine.has_taken(put.count) {
                break;
            }
            thread::park_timeout(LOOK_PAUSE);
        }
        Ok(())
    }

    /// What may not be refused either, and somebody waits for: the caller runs the groups as long
    /// as it takes, or leaves it.
    pub(crate) fn enqueue(&self, event: Event) -> Result<Put<'_>, Error> {
        self.insert(event, 0)
    }
}
