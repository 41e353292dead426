//! The world: nodes, each with a disk and a clock, on one network, in one sequence of events.
//!
//! ```text
//!            script                     queue (time, tie by seed)
//!              |                       /      |        \
//!              v                      v       v         v
//!           faults ---------->   deliver    timer     wake
//!                                     \       |        /
//!   +-- node 2 ---------------------------------------------+
//!   |  actor: on_start, on_message, on_timer                |
//!   |    reads and writes its own fs, clock, random         |   crash: the actor is dropped,
//!   |    Context: send, set_timer, cancel_timer  ---------------> the disk gambles, the factory
//!   +-------------------------------------------------------+   makes a new actor at restart
//! ```
//!
//! An actor runs to its end at each event and cannot wait; what it asks for happens after it. Time
//! that it spends meanwhile, on a slow disk or asleep, is its own: what it sends leaves at that
//! later time, and its next event waits until then.
//!
//! When the power fails in the midst of a handler, that handler gets
//! [`Crashed`](env::fs::FsErrorKind::Crashed) from its disk from there on, and what it sends after
//! that moment is not sent.
//!
//! # What this module does not do
//!
//! It runs no threads and no futures: a system with background work must be able to do it in a
//! timer. It has no opinion about what is correct: the test looks at the actors between events.

mod actor;
mod faults;
mod node;

use std::fmt;
use std::time::Duration;

use env::clock::Timestamp;
use env::random::SeededRandom;

pub use actor::{Actor, Context, Host};

use super::coverage::Fault;
use super::disk::SimDisk;
use super::network::{Flight, Network, NodeId};
use super::queue::EventQueue;
use super::script::{Command, Script};
use super::time::{SimClock, TrueTime};
use super::trace::Trace;
use actor::{Effect, Request};
use node::Node;

/// Makes the actor of a node, at the beginning and after each crash, from what its disk has.
type Factory<A> = Box<dyn FnMut(Host) -> Result<A, String>>;

/// Nodes of one kind of actor, and all that surrounds them.
///
/// A system of servers and clients has an enum for its actor.
pub struct World<A: Actor> {
    time: TrueTime,
    trace: Trace,
    queue: EventQueue<Event<A::Message>>,
    network: Network,
    /// Node `i` is at position `i - 1`.
    nodes: Vec<Node<A>>,
    factory: Factory<A>,
}

/// What waits in the queue.
enum Event<M> {
    Deliver(Flight, M),
    Timer(NodeId, u64),
    /// What waited for a node that was busy has its turn.
    Wake(NodeId),
    Fault(Command),
}

impl<A: Actor> World<A> {
    /// A world of `nodes` nodes, which start at once, in order. `factory` makes an actor; where it
    /// fails, the node stays down until it is restarted.
    pub fn new<E: fmt::Display>(
        seed: u64,
        nodes: u32,
        factory: impl FnMut(Host) -> Result<A, E> + 'static,
    ) -> Self {
        let mut world = Self::unborn(seed, nodes, Trace::new(), in_words(factory));
        world.start_all();
        world
    }

    /// As [`World::new`], keeping the text of the trace.
    pub fn traced<E: fmt::Display>(
        seed: u64,
        nodes: u32,
        factory: impl FnMut(Host) -> Result<A, E> + 'static,
    ) -> Self {
        let trace = Trace::new();
        trace.keep_text();
        let mut world = Self::unborn(seed, nodes, trace, in_words(factory));
        world.start_all();
        world
    }

    fn unborn(seed: u64, nodes: u32, trace: Trace, factory: Factory<A>) -> Self {
        let mut random = SeededRandom::new(seed);
        let time = TrueTime::default();
        let queue = EventQueue::new(random.fork());
        let network = Network::new(nodes, random.fork(), trace.clone());
        let node = |id| Node::new(NodeId(id), &time, random.fork(), trace.clone());
        let nodes = (1..=nodes).map(node).collect();
        Self { time, trace, queue, network, nodes, factory }
    }

    /// Puts the faults of a script into the queue. Times count from the beginning of the world; a
    /// fault whose time has passed comes at once.
    ///
    /// Panics where a line names a node that does not exist.
    pub fn play(&mut self, script: &Script) {
        for line in &script.lines {
            self.require_nodes(&line.fault);
            let at = (Timestamp::ZERO + line.at).max(self.now());
            self.queue.push(at, Event::Fault(line.fault.clone()));
        }
    }

    /// Lets a fault happen now.
    ///
    /// Panics where it names a node that does not exist.
    pub fn inject(&mut self, fault: &Command) {
        self.require_nodes(fault);
        self.strike(fault);
    }

    /// Lets the next event happen; false where nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.time.advance_to(at);
        match event {
            Event::Deliver(flight, message) => {
                if self.network.arrive(flight) {
                    self.offer(flight.to, Request::Message(flight.from, message));
                }
            }
            Event::Timer(id, token) => {
                self.node_mut(id).timers.remove(&token);
                self.offer(id, Request::Timer(token));
            }
            Event::Wake(id) => {
                self.node_mut(id).wakes = false;
                self.work_off(id);
            }
            Event::Fault(fault) => self.strike(&fault),
        }
        true
    }

    /// Lets the next event happen if it is due by `deadline`; false, and the time is `deadline`,
    /// where none is. For tests that look at the nodes after every event.
    pub fn step_until(&mut self, deadline: Timestamp) -> bool {
        if self.queue.next_at().is_some_and(|at| at <= deadline) {
            return self.step();
        }
        self.time.advance_to(deadline);
        false
    }

    /// Lets everything happen for so long.
    pub fn run_for(&mut self, duration: Duration) {
        let deadline = self.now() + duration;
        while self.step_until(deadline) {}
    }

    /// Calls into an actor, as an event of this moment. `None` where the node is down, stands still
    /// or is busy.
    pub fn call<R>(
        &mut self,
        id: NodeId,
        call: impl FnOnce(&mut A, &mut Context<'_, A::Message>) -> R,
    ) -> Option<R> {
        let now = self.now();
        if self.node(id).is_ready(now) { self.run(id, call) } else { None }
    }

    /// The actor of a node; `None` while it is down.
    pub fn actor(&self, id: NodeId) -> Option<&A> {
        self.node(id).actor.as_ref()
    }

    /// All nodes that are up, and their actors.
    pub fn actors(&self) -> impl Iterator<Item = (NodeId, &A)> {
        self.nodes.iter().filter_map(|node| Some((node.id, node.actor.as_ref()?)))
    }

    /// The disk of a node.
    pub fn disk(&self, id: NodeId) -> &SimDisk {
        &self.node(id).disk
    }

    /// The clock of a node.
    pub fn clock(&self, id: NodeId) -> &SimClock {
        &self.node(id).clock
    }

    /// Why the factory could not start a node the last time.
    pub fn start_error(&self, id: NodeId) -> Option<&str> {
        self.node(id).start_error.as_deref()
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// What has happened so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    fn node(&self, id: NodeId) -> &Node<A> {
        self.nodes.get(position(id)).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node<A> {
        self.nodes.get_mut(position(id)).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<A> {
        (1..=u32::try_from(self.nodes.len()).expect("nodes are numbered by u32")).map(NodeId)
    }

    fn start_all(&mut self) {
        self.ids().for_each(|id| self.start(id));
    }

    /// Makes the actor of a node that has none.
    fn start(&mut self, id: NodeId) {
        let nodes = u32::try_from(self.nodes.len()).expect("nodes are numbered by u32");
        let host = self.node_mut(id).host(nodes);
        let incarnation = host.incarnation;
        let made = (self.factory)(host);
        let now = self.now();
        let node = self.node_mut(id);
        match made {
            Ok(actor) if !node.disk.is_down() => {
                node.actor = Some(actor);
                self.trace.note(now, format_args!("node {id}: start {incarnation}"));
                self.run(id, A::on_start);
            }
            Ok(_) => self.lose_actor(id),
            Err(error) => {
                self.trace.note(now, format_args!("node {id}: does not start, {error}"));
                self.node_mut(id).start_error = Some(error);
                self.lose_actor(id);
            }
        }
    }

    /// Gives a node something to do, now or once it is ready.
    fn offer(&mut self, id: NodeId, request: Request<A::Message>) {
        let now = self.now();
        let node = self.node_mut(id);
        if node.actor.is_none() {
            return self.trace.note(now, format_args!("node {id}: is down, lost {request}"));
        }
        if node.is_paused {
            self.trace.fault(now, Fault::Pause, format_args!("node {id}: {request} waits"));
        }
        self.node_mut(id).backlog.push_back(request);
        self.work_off(id);
    }

    /// Lets a node do what waits for it until it is busy.
    fn work_off(&mut self, id: NodeId) {
        let now = self.now();
        while self.node(id).is_ready(now) {
            let Some(request) = self.node_mut(id).backlog.pop_front() else { return };
            self.trace.note(now, format_args!("node {id}: {request}"));
            self.run(id, |actor, context| match request {
                Request::Message(from, message) => actor.on_message(from, message, context),
                Request::Timer(token) => actor.on_timer(token, context),
            });
        }
        let node = self.node_mut(id);
        if node.is_waiting_to_work(now) {
            node.wakes = true;
            let at = node.busy_until;
            self.queue.push(at, Event::Wake(id));
        }
    }

    /// Runs one handler to its end, then does what it asked for.
    fn run<R>(
        &mut self,
        id: NodeId,
        handle: impl FnOnce(&mut A, &mut Context<'_, A::Message>) -> R,
    ) -> Option<R> {
        let now = self.now();
        let node = self.node_mut(id);
        let mut actor = node.actor.take()?;
        let mut context = Context::new(id, &node.clock, &node.disk);
        let result = handle(&mut actor, &mut context);
        let effects = context.into_effects();
        node.actor = Some(actor);
        node.busy_until = now + node.clock.take_spent();
        if node.disk.is_down() {
            self.lose_actor(id);
        }
        for effect in effects {
            self.perform(id, effect);
        }
        Some(result)
    }

    fn perform(&mut self, id: NodeId, effect: Effect<A::Message>) {
        match effect {
            Effect::Send { at, to, message } => {
                for flight in self.network.send(at, id, to) {
                    self.queue.push(flight.arrives, Event::Deliver(flight, message.clone()));
                }
            }
            Effect::SetTimer { at, token } => {
                self.cancel_timer(id, token);
                if self.node(id).actor.is_some() {
                    let event = self.queue.push(at, Event::Timer(id, token));
                    self.node_mut(id).timers.insert(token, event);
                }
            }
            Effect::CancelTimer { token } => self.cancel_timer(id, token),
        }
    }

    /// A timer that has fired and waits for a busy node is taken back as well.
    fn cancel_timer(&mut self, id: NodeId, token: u64) {
        let node = self.node_mut(id);
        let event = node.timers.remove(&token);
        node.backlog.retain(|request| !matches!(request, Request::Timer(other) if *other == token));
        if let Some(event) = event {
            self.queue.cancel(event);
        }
    }

    /// The process is gone: its memory, its timers and what waited for it.
    fn lose_actor(&mut self, id: NodeId) {
        let now = self.now();
        let timers = self.node_mut(id).clear(now);
        for event in timers {
            self.queue.cancel(event);
        }
    }
}

impl<A: Actor> fmt::Debug for World<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("nodes", &self.nodes.len())
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

/// Any factory, its errors as text: the world only shows them.
fn in_words<A, E: fmt::Display>(
    mut factory: impl FnMut(Host) -> Result<A, E> + 'static,
) -> Factory<A> {
    Box::new(move |host| factory(host).map_err(|error| error.to_string()))
}

/// Where a node is in the list. Node 0 is nowhere.
fn position(id: NodeId) -> usize {
    (id.0 as usize).wrapping_sub(1)
}

#[cfg(test)]
mod tests;
