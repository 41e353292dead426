//! What a node is made of: an actor without I/O of its own, and what it may ask for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use env::clock::{Clock, Timestamp};
use env::random::SeededRandom;

use crate::sim::disk::{SimDisk, SimFs};
use crate::sim::network::NodeId;
use crate::sim::time::SimClock;

/// The program of a node: it is told what happens and answers through its [`Context`].
pub trait Actor {
    /// What nodes send to each other. Its `Debug` text goes into the trace.
    type Message: Clone + fmt::Debug;

    /// The node has started, for the first time or again.
    fn on_start(&mut self, context: &mut Context<'_, Self::Message>);

    /// A message has arrived.
    fn on_message(
        &mut self,
        from: NodeId,
        message: Self::Message,
        context: &mut Context<'_, Self::Message>,
    );

    /// A timer has fired.
    fn on_timer(&mut self, token: u64, context: &mut Context<'_, Self::Message>);
}

/// What a node has when it starts.
#[derive(Debug)]
pub struct Host {
    /// Which node it is.
    pub id: NodeId,
    /// How many nodes there are: 1 to this number.
    pub nodes: u32,
    /// How often it was started before. A process cannot know this; it is for tests.
    pub incarnation: u64,
    /// Its disk, as this process may use it until it dies.
    pub fs: Arc<SimFs>,
    /// Its clock.
    pub clock: Arc<SimClock>,
    /// Randomness of its own, another one at each start.
    pub random: SeededRandom,
}

/// What an actor may ask for while it handles an event.
#[derive(Debug)]
pub struct Context<'a, M> {
    id: NodeId,
    clock: &'a SimClock,
    disk: &'a SimDisk,
    effects: Vec<Effect<M>>,
}

/// What an actor asked for, and when.
#[derive(Debug)]
pub(super) enum Effect<M> {
    Send { at: Timestamp, to: NodeId, message: M },
    SetTimer { at: Timestamp, token: u64 },
    CancelTimer { token: u64 },
}

/// What a node has to handle.
#[derive(Debug)]
pub(super) enum Request<M> {
    Message(NodeId, M),
    Timer(u64),
}

impl<M: fmt::Debug> fmt::Display for Request<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(from, message) => write!(f, "{message:?} from {from}"),
            Self::Timer(token) => write!(f, "timer {token}"),
        }
    }
}

impl<'a, M> Context<'a, M> {
    pub(super) fn new(id: NodeId, clock: &'a SimClock, disk: &'a SimDisk) -> Self {
        Self { id, clock, disk, effects: Vec::new() }
    }

    pub(super) fn into_effects(self) -> Vec<Effect<M>> {
        self.effects
    }

    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// What its clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends a message, to itself too. Nothing tells whether it arrives.
    pub fn send(&mut self, to: NodeId, message: M) {
        self.ask(|at| Effect::Send { at, to, message });
    }

    /// Fires timer `token` after so long on this node's clock. A timer of the same name that has
    /// not fired yet is replaced.
    pub fn set_timer(&mut self, token: u64, after: Duration) {
        let after = self.clock.true_duration(after);
        self.ask(|now| Effect::SetTimer { at: now + after, token });
    }

    /// Takes a timer back.
    pub fn cancel_timer(&mut self, token: u64) {
        self.ask(|_| Effect::CancelTimer { token });
    }

    /// A machine without power asks for nothing.
    fn ask(&mut self, effect: impl FnOnce(Timestamp) -> Effect<M>) {
        if !self.disk.is_down() {
            self.effects.push(effect(self.clock.true_now()));
        }
    }
}
