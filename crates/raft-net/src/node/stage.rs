//! A cluster on one thread and on virtual time: the threads of nodes, disks, links and clients take
//! turns in an order that a seed decides.
//!
//! ```text
//!   agenda   a packet arrives, a sync ends, an own thread looks, a job is due, a client is polled
//!      |
//!      v
//!   hosts    engine and groups, run by whoever has something for them, as in production; and the
//!            far ends of the channels to the threads that would wait
//! ```
//!
//! What those threads do is called here when its time has come: a sync is begun when it is asked
//! for, and ends when the disk of the script is done; so what a driver does while a disk is slow, a
//! link stalls or a clock jumps is the same for each run of a seed.
//!
//! # What this module does not do
//!
//! It cuts no power and loses no disk: the simulation of `raft` does, and `tests/failures.rs`.

mod client;
mod host;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use env::clock::Timestamp;
use env::random::{Random, SeededRandom};
use parking_lot::Mutex;
use raft::NodeId;

use super::Options;
use crate::{Error, Packet};
use client::{Client, Habits, History};
use host::{Agreed, GROUP, Host, Wire};

/// Whether a node's own thread is to look.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Flag {
    fn take(&self) -> bool {
        // Relaxed, here and below: there is one thread.
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Clients who are to look.
type Rung = Arc<Mutex<BTreeSet<usize>>>;

/// One client's bell.
struct Bell {
    client: usize,
    rung: Rung,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.lock().insert(self.client);
    }
}

/// What happens to whom.
enum Happening {
    Arrival {
        from: NodeId,
        to: NodeId,
        packet: Packet,
    },
    /// The own thread of a host takes its turn.
    Turn(usize),
    Synced(usize),
    Applies(usize),
    Files(usize),
    /// A client is polled.
    Poll(usize),
    /// A client has its next command.
    Next(usize),
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// A packet on its way.
    link: Duration,
    /// A sync, at least, and up to half as much again.
    sync: Duration,
    /// Packets that are lost, in a thousand.
    loss: u64,
}

impl Pace {
    /// A rack and a good disk.
    const GOOD: Self =
        Self { link: Duration::from_micros(20), sync: Duration::from_micros(200), loss: 0 };
}

/// Until a thread that was woken runs, or a job is done, at most.
const SOON: Duration = Duration::from_micros(20);

/// From an answer to the next call, at least.
const REACTION: Duration = Duration::from_micros(1);

/// The cluster, its clients, and what they have seen.
struct Stage {
    now: Timestamp,
    random: SeededRandom,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    /// How many happenings were planned.
    planned: u64,
    hosts: Vec<Host>,
    clients: Vec<Client>,
    rung: Rung,
    agreed: Arc<Mutex<Agreed>>,
    wire: Wire,
    /// Links that carry nothing, by their two ends.
    cut: BTreeSet<(NodeId, NodeId)>,
    paces: Vec<Pace>,
    history: History,
    /// A sum over all that happened.
    trace: u64,
}

impl Stage {
    /// `nodes` nodes of one group, all of them voters.
    fn new(seed: u64, nodes: usize, options: impl Fn(NodeId) -> Options) -> Self {
        let wire: Wire = Arc::default();
        let ids: Vec<_> = (1..=nodes as u64).map(NodeId).collect();
        let agreed = Arc::default();
        let host = |id: &NodeId| Host::new(*id, &ids, seed, options(*id), &wire, &agreed);
        let hosts: Vec<_> = ids.iter().map(host).collect();
        let mut stage = Self {
            now: Timestamp::ZERO,
            random: SeededRandom::new(seed),
            agenda: BTreeMap::new(),
            planned: 0,
            hosts,
            clients: Vec::new(),
            rung: Arc::default(),
            agreed,
            wire,
            cut: BTreeSet::new(),
            paces: vec![Pace::GOOD; nodes],
            history: History::default(),
            trace: 0,
        };
        for at in 0..nodes {
            stage.plan(Duration::ZERO, Happening::Turn(at));
        }
        stage
    }

    /// As many clients, who begin now.
    fn invite(&mut self, count: usize, habits: Habits) {
        for _ in 0..count {
            let (client, rung) = (self.clients.len(), Arc::clone(&self.rung));
            self.clients.push(Client::new(habits, Arc::new(Bell { client, rung }).into()));
            self.plan(Duration::ZERO, Happening::Next(client));
        }
    }

    /// All clients have these habits from now on.
    fn accustom(&mut self, habits: Habits) {
        self.clients.iter_mut().for_each(|client| client.habits = habits);
    }

    /// All clients but the first have no further command.
    fn thin_out(&mut self) {
        self.clients.iter_mut().skip(1).for_each(|client| client.habits = Habits::IDLE);
    }

    /// Clients who wait for an answer.
    fn waiting(&self) -> usize {
        self.clients.iter().filter(|client| client.is_waiting()).count()
    }

    /// Nobody hears a host any more, nor does it hear anybody.
    fn isolate(&mut self, at: usize) {
        let id = self.hosts[at].id;
        for other in self.hosts.iter().map(|it| it.id).filter(|other| *other != id) {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    /// What a host says is lost from now on.
    fn mute(&mut self, at: usize) {
        let id = self.hosts[at].id;
        self.cut.extend(self.hosts.iter().map(|other| (id, other.id)));
    }

    /// Everybody hears everybody again.
    fn heal(&mut self) {
        self.cut.clear();
    }

    /// A number below `bound`, by chance.
    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// Whether the disk of a host is at work on a sync that takes longer than the next ones will.
    fn is_syncing_slowly(&self, at: usize) -> bool {
        let soon = self.now + Duration::from_millis(1);
        let slow = |((end, _), what): (&(Timestamp, u64), &Happening)| {
            matches!(what, Happening::Synced(of) if *of == at) && *end > soon
        };
        self.agenda.iter().any(slow)
    }

    /// Why the group of a host has ended.
    fn reason(&mut self, at: usize) -> String {
        let node = self.hosts[at].node.clone();
        let mut call = pin!(node.status(GROUP));
        for _ in 0..2 {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(Err(Error::Failed { reason, .. })) = polled {
                return reason;
            }
        }
        panic!("it has not ended")
    }

    /// One of the hosts, by chance.
    fn anybody(&mut self) -> usize {
        let at = self.random.below(self.hosts.len() as u64);
        usize::try_from(at).expect("it is small")
    }

    /// Who leads with the latest term.
    fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| self.hosts[*at].leads();
        (0..self.hosts.len()).filter_map(|at| Some((leads(&at)?, at))).max().map(|(_, at)| at)
    }

    fn plan(&mut self, after: Duration, what: Happening) {
        self.planned += 1;
        self.agenda.insert((self.now + after, self.planned), what);
    }

    /// A time of at least a microsecond, and at most `most`.
    fn some(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX).max(1_001);
        Duration::from_nanos(1_000 + self.random.below(most - 1_000))
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.advance(end);
    }

    /// Lets time pass until something is so, but at most so long; panics where it is not then.
    fn run_until(
        &mut self,
        what: &str,
        most: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> Duration {
        let begun = self.now;
        while !is_so(self) {
            let took = self.now.saturating_since(begun);
            assert!(took < most, "after {took:?} still not: {what}");
            assert!(self.next().is_some(), "nothing will ever happen, and still not: {what}");
            self.step();
        }
        self.now.saturating_since(begun)
    }

    fn next(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether what happens next is that a packet arrives.
    fn is_next(&self, from: NodeId, to: NodeId) -> bool {
        let ends = self.agenda.first_key_value().map(|(_, what)| match what {
            Happening::Arrival { from, to, .. } => Some((*from, *to)),
            _ => None,
        });
        ends.flatten() == Some((from, to))
    }

    fn advance(&mut self, to: Timestamp) {
        let passed = to.saturating_since(self.now);
        self.now = self.now.max(to);
        self.hosts.iter().for_each(|host| host.clock.spend(passed));
    }

    fn step(&mut self) {
        let Some(((at, number), what)) = self.agenda.pop_first() else { return };
        self.advance(at);
        let sum = at.as_nanos().wrapping_mul(31) ^ number;
        self.trace = self.trace.rotate_left(5).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ sum;
        match what {
            Happening::Arrival { from, to, packet } => self.hosts[of(to)].hear(from, packet),
            Happening::Turn(at) => {
                if let Some(rest) = self.hosts[at].turn(self.now) {
                    self.plan(rest, Happening::Turn(at));
                }
            }
            Happening::Synced(at) => self.hosts[at].end_sync(),
            Happening::Applies(at) => self.hosts[at].apply(),
            Happening::Files(at) => self.hosts[at].carry_out(),
            Happening::Poll(at) => self.poll(at),
            Happening::Next(at) => self.begin(at),
        }
        self.settle();
    }

    /// Plans what follows from what has happened.
    fn settle(&mut self) {
        for at in 0..self.hosts.len() {
            if self.hosts[at].own.take() {
                let soon = self.some(SOON);
                if self.hosts[at].rouse(self.now + soon) {
                    self.plan(soon, Happening::Turn(at));
                }
            }
            if self.hosts[at].begin_sync() {
                let least = self.paces[at].sync;
                let took = least + self.some(least / 2);
                self.plan(took, Happening::Synced(at));
            }
            if self.hosts[at].jobs.has_news() {
                let soon = self.some(SOON);
                self.plan(soon, Happening::Applies(at));
            }
            if self.hosts[at].orders.has_news() {
                let took = self.paces[at].sync * 4;
                self.plan(took, Happening::Files(at));
            }
        }
        let sent = std::mem::take(&mut *self.wire.lock());
        for (from, to, packet) in sent {
            let pace = self.paces[of(from)];
            if !self.cut.contains(&(from, to)) && self.random.below(1_000) >= pace.loss {
                let way = pace.link + self.some(pace.link / 2);
                self.plan(way, Happening::Arrival { from, to, packet });
            }
        }
        let rung = std::mem::take(&mut *self.rung.lock());
        for at in rung {
            let soon = self.some(SOON);
            self.plan(soon, Happening::Poll(at));
        }
    }

    fn begin(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.begin(self.now, &mut self.random, &self.hosts, &mut self.history) {
            self.poll(at);
        }
    }

    fn poll(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let hosts = self.hosts.len() as u64;
        let next = client.poll(self.now, &mut self.random, hosts, &mut self.history);
        if let Some(thought) = next {
            self.plan(thought.max(REACTION), Happening::Next(at));
        }
    }

    /// Panics where machines disagree, or with what clients were told. Returns how many commands
    /// were applied.
    fn check(&self) -> usize {
        let agreed = self.agreed.lock();
        assert_eq!(agreed.quarrel, None, "nodes have applied different commands there");
        self.history.check(&agreed.list);
        agreed.list.len()
    }
}

fn of(id: NodeId) -> usize {
    usize::try_from(id.0).expect("it is small") - 1
}
