//! A node whose threads are played: its engine, and the far ends of the channels to them.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use env::clock::{Clock, Timestamp};
use harness::sim::{SimClock, SimDisk};
use parking_lot::Mutex;
use raft::{Configuration, DiskLog, GroupId, Incarnation, Index, NodeId, Term};
use tokio::sync::oneshot;

use super::Flag;
use crate::mailbox::Event;
use crate::node::apply::{Appliers, Job, attempt};
use crate::node::engine::{Engine, Turn};
use crate::node::group::Group;
use crate::node::shard::Shard;
use crate::node::threads::{Order, Workers, carry_out};
use crate::{
    Error, Inbox, MachineError, Make, Node, Options, Packet, Row, StateMachine, Transport, mailbox,
};

/// The group of all.
pub(super) const GROUP: GroupId = GroupId(1);

/// What clocks show when a stage begins.
const UPTIME: Duration = Duration::from_hours(24);

const LOG: wal::Options =
    wal::Options { segment_len: 64 << 10, backend: wal::Backend::Written, spares_max: 1 };

/// What transports were given and nobody has taken: from whom, to whom.
pub(super) type Wire = Arc<Mutex<Vec<(NodeId, NodeId, Packet)>>>;

struct Line {
    from: NodeId,
    wire: Wire,
}

impl Transport for Line {
    fn send(&mut self, to: NodeId, packet: Packet) {
        self.wire.lock().push((self.from, to, packet));
    }
}

/// A call of a machine that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trap {
    Rows,
    Apply,
    Commit,
    Query,
    Snapshot,
    Make,
    Restore,
}

/// What the first machine that came so far has applied, and where another one has not.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    pub(super) list: Vec<u64>,
    pub(super) quarrel: Option<usize>,
}

/// A list of numbers: a command appends one, and is answered with the length then.
#[derive(Clone, Default)]
pub(super) struct List {
    agreed: Arc<Mutex<Agreed>>,
    len: Arc<Mutex<usize>>,
    trap: Arc<Mutex<Option<Trap>>>,
    is_instant: bool,
}

impl List {
    /// From now on a call panics.
    pub(super) fn spring(&self, trap: Trap) {
        *self.trap.lock() = Some(trap);
    }

    pub(super) fn disarm(&self) {
        *self.trap.lock() = None;
    }

    fn step_on(&self, trap: Trap) {
        assert_ne!(*self.trap.lock(), Some(trap), "a trap");
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("all of ours have eight bytes"))
}

fn told(len: usize) -> Bytes {
    Bytes::copy_from_slice(&(len as u64).to_le_bytes())
}

impl StateMachine for List {
    fn is_instant(&self) -> bool {
        self.is_instant
    }

    fn applied(&self) -> Index {
        Index::ZERO
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        self.step_on(Trap::Rows);
        Ok(Vec::new())
    }

    fn apply(&mut self, _: Index, command: &[u8]) -> Result<Bytes, MachineError> {
        self.step_on(Trap::Apply);
        let (mut len, mut agreed, number) = (self.len.lock(), self.agreed.lock(), number(command));
        match agreed.list.get(*len) {
            None => agreed.list.push(number),
            Some(other) if *other != number => agreed.quarrel = Some(*len),
            Some(_) => {}
        }
        *len += 1;
        Ok(told(*len))
    }

    fn commit(&mut self, _: Index, _: &[Row]) -> Result<(), MachineError> {
        self.step_on(Trap::Commit);
        Ok(())
    }

    fn query(&self, _: &Bytes) -> Result<Bytes, MachineError> {
        self.step_on(Trap::Query);
        Ok(told(*self.len.lock()))
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        self.step_on(Trap::Snapshot);
        let is_trap = *self.trap.lock() == Some(Trap::Make);
        let len = told(*self.len.lock());
        Ok(Box::new(move |to| {
            assert!(!is_trap, "a trap");
            Ok(to.write_all(&len)?)
        }))
    }

    fn restore(
        &mut self,
        _: Index,
        data: &mut dyn Read,
        _: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        self.step_on(Trap::Restore);
        let mut len = Vec::new();
        data.read_to_end(&mut len)?;
        *self.len.lock() = usize::try_from(number(&len))?;
        Ok(())
    }
}

/// The far end of the channel to a thread that does one thing after another.
pub(super) struct Desk<T> {
    channel: Receiver<T>,
    waiting: VecDeque<T>,
    is_busy: bool,
}

impl<T> Desk<T> {
    fn new(channel: Receiver<T>) -> Self {
        Self { channel, waiting: VecDeque::new(), is_busy: false }
    }

    /// Whether something has come for a thread that rests; it begins with it.
    pub(super) fn has_news(&mut self) -> bool {
        self.waiting.extend(self.channel.try_iter());
        let is_news = !self.is_busy && !self.waiting.is_empty();
        self.is_busy |= is_news;
        is_news
    }

    /// What the thread is done with now.
    fn done(&mut self) -> Option<T> {
        self.is_busy = false;
        self.waiting.pop_front()
    }
}

/// A sync that is under way.
struct Syncing {
    round: u64,
    begun: Timestamp,
    outcome: Result<(), String>,
}

/// A node.
pub(super) struct Host {
    pub(super) id: NodeId,
    pub(super) node: Node,
    pub(super) clock: Arc<SimClock>,
    pub(super) disk: SimDisk,
    pub(super) machine: List,
    inbox: Inbox,
    log: DiskLog,
    pub(super) own: Arc<Flag>,
    /// When the own thread looks, if nobody wakes it before.
    turn_at: Timestamp,
    /// How often the own thread has looked.
    pub(super) turns: u64,
    is_over: bool,
    rounds: Receiver<u64>,
    sync: Option<Syncing>,
    pub(super) jobs: Desk<Job>,
    appliers: Appliers,
    /// From the thread that applies to the one of snapshots.
    to_files: Sender<Order>,
    pub(super) orders: Desk<Order>,
}

impl Host {
    pub(super) fn new(
        id: NodeId,
        all: &[NodeId],
        seed: u64,
        options: Options,
        wire: &Wire,
        agreed: &Arc<Mutex<Agreed>>,
    ) -> Self {
        let disk = SimDisk::new(seed ^ id.0);
        let log = DiskLog::open(disk.mount(), Path::new("/raft"), LOG).expect("it is empty");
        let (mailbox, clock) = (mailbox(1 << 24), Arc::new(SimClock::new()));
        // A clock can be set back by as much.
        clock.spend(UPTIME);
        let inbox = mailbox.inbox();
        let ((syncs, rounds), (jobs, of_apply)) = (channel(), channel());
        let (to_files, orders) = channel();
        let workers = Workers { syncs, jobs, threads: Vec::new() };
        let line = Box::new(Line { from: id, wire: Arc::clone(wire) });
        let clock_of_node: Arc<dyn Clock> = Arc::<SimClock>::clone(&clock);
        let shard = Shard::new(options, log.clone(), line, mailbox, workers, clock_of_node);
        let own = Arc::new(Flag::default());
        inbox.engine.begin(shard, Arc::clone(&own).into());
        let (agreed, is_instant) = (Arc::clone(agreed), id.0.is_multiple_of(2));
        let machine = List { agreed, is_instant, ..List::default() };
        let host = Self {
            id,
            node: Node::of(inbox.clone(), None),
            clock,
            disk,
            machine,
            inbox,
            log,
            own,
            turn_at: Timestamp::ZERO,
            turns: 0,
            is_over: false,
            rounds,
            sync: None,
            jobs: Desk::new(of_apply),
            appliers: Appliers::new(),
            to_files,
            orders: Desk::new(orders),
        };
        let opened = host.open(GROUP, all, host.machine.clone());
        assert_eq!(opened, Ok(()), "node {id}");
        host
    }

    /// Opens a new group.
    pub(super) fn open(&self, group: GroupId, all: &[NodeId], machine: List) -> Result<(), Error> {
        let founders = Configuration::founding(all.iter().copied());
        let storage = self.log.create(group, Incarnation(0), founders).expect("it is new");
        let (reply, mut answer) = oneshot::channel();
        let (storage, machine) = (Box::new(storage), Box::new(machine));
        self.inbox.tell(Event::Open { storage, machine, reply })?;
        answer.try_recv().expect("it is done at once")
    }

    fn engine(&self) -> &Engine {
        &self.inbox.engine
    }

    /// The term in which it leads.
    pub(super) fn leads(&self) -> Option<Term> {
        let of = |shard: &Shard| {
            let raft = &shard.groups.get(&GROUP)?.raft;
            raft.is_leader().then(|| raft.hard_state().term)
        };
        self.engine().look(of).flatten()
    }

    /// Whether its group has not ended.
    pub(super) fn is_up(&self) -> bool {
        self.engine().look(|shard| shard.groups.contains_key(&GROUP)).unwrap_or(false)
    }

    /// Entries that wait to be freed.
    pub(super) fn freeing(&self) -> usize {
        let of = |shard: &Shard| shard.groups.get(&GROUP).map_or(0, Group::to_be_freed);
        self.engine().look(of).unwrap_or(0)
    }

    /// Other nodes that something is known of.
    pub(super) fn known(&self) -> usize {
        self.engine().look(|shard| shard.peers.count()).unwrap_or(0)
    }

    pub(super) fn hear(&self, from: NodeId, packet: Packet) {
        // Who has ended hears nothing.
        self.inbox.deliver(from, packet);
    }

    /// The own thread looks, where that is its time; gives when it is to look again.
    pub(super) fn turn(&mut self, now: Timestamp) -> Option<Duration> {
        if self.is_over || now < self.turn_at {
            return None;
        }
        self.turns += 1;
        let rest = match self.engine().turn() {
            Turn::Again => Duration::from_micros(1),
            Turn::Rest(rest) => rest,
            Turn::Over(shard) => {
                self.is_over = true;
                shard.end();
                return None;
            }
        };
        self.turn_at = now + rest;
        Some(rest)
    }

    /// The own thread was woken, and looks at this time; false where it does before.
    pub(super) fn rouse(&mut self, at: Timestamp) -> bool {
        let is_earlier = at < self.turn_at;
        self.turn_at = self.turn_at.min(at);
        is_earlier
    }

    /// Begins a sync, where one is asked for and none is under way.
    pub(super) fn begin_sync(&mut self) -> bool {
        let round = if self.sync.is_some() { None } else { self.rounds.try_iter().last() };
        if let Some(round) = round {
            let outcome = self.log.sync().map_err(|cause| cause.to_string());
            self.sync = Some(Syncing { round, begun: self.clock.now(), outcome });
        }
        round.is_some()
    }

    pub(super) fn end_sync(&mut self) {
        let Some(Syncing { round, begun, outcome }) = self.sync.take() else { return };
        let took = self.clock.now().saturating_since(begun);
        let event = match outcome {
            Ok(()) => Event::Synced(round, took),
            Err(reason) => Event::LogFailed(reason),
        };
        self.tell(event);
    }

    /// The node may have ended.
    fn tell(&self, event: Event) {
        self.inbox.tell(event).ok();
    }

    pub(super) fn apply(&mut self) {
        if let Some(job) = self.jobs.done() {
            attempt(job, &mut self.appliers, &self.to_files, &self.inbox);
        }
    }

    pub(super) fn carry_out(&mut self) {
        if let Some(order) = self.orders.done()
            && let Some(event) = carry_out(&self.log, order)
        {
            self.tell(event);
        }
    }
}
