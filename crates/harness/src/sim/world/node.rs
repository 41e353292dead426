//! The state of one node of a world.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use env::clock::Timestamp;
use env::random::SeededRandom;

use super::actor::{Actor, Host, Request};
use crate::sim::disk::SimDisk;
use crate::sim::network::NodeId;
use crate::sim::queue::EventId;
use crate::sim::time::{SimClock, TrueTime};
use crate::sim::trace::Trace;

/// A machine and the process on it.
pub(super) struct Node<A: Actor> {
    pub(super) id: NodeId,
    /// `None` while the process is down.
    pub(super) actor: Option<A>,
    pub(super) disk: SimDisk,
    pub(super) clock: Arc<SimClock>,
    random: SeededRandom,
    incarnation: u64,
    pub(super) is_paused: bool,
    /// Until when the last handler has spent its time.
    pub(super) busy_until: Timestamp,
    /// Whether the queue has a wake for this node.
    pub(super) wakes: bool,
    /// What came while the node was busy or stood still.
    pub(super) backlog: VecDeque<Request<A::Message>>,
    /// Timers that have not fired.
    pub(super) timers: BTreeMap<u64, EventId>,
    pub(super) start_error: Option<String>,
}

impl<A: Actor> Node<A> {
    pub(super) fn new(id: NodeId, time: &TrueTime, mut random: SeededRandom, trace: Trace) -> Self {
        let clock = Arc::new(SimClock::of(time));
        let disk = SimDisk::of(format!("disk {id}"), random.fork(), Arc::clone(&clock), trace);
        Self {
            id,
            actor: None,
            disk,
            clock,
            random,
            incarnation: 0,
            is_paused: false,
            busy_until: Timestamp::ZERO,
            wakes: false,
            backlog: VecDeque::new(),
            timers: BTreeMap::new(),
            start_error: None,
        }
    }

    /// What a new process of this node gets.
    pub(super) fn host(&mut self, nodes: u32) -> Host {
        let incarnation = self.incarnation;
        self.incarnation += 1;
        self.start_error = None;
        Host {
            id: self.id,
            nodes,
            incarnation,
            fs: self.disk.mount(),
            clock: Arc::clone(&self.clock),
            random: self.random.fork(),
        }
    }

    /// Whether it can handle something now.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        self.actor.is_some() && !self.is_paused && self.busy_until <= now
    }

    /// Whether only time keeps it from what waits for it, and nothing will wake it yet.
    pub(super) fn is_waiting_to_work(&self, now: Timestamp) -> bool {
        let busy = self.actor.is_some() && !self.is_paused && self.busy_until > now;
        busy && !self.backlog.is_empty() && !self.wakes
    }

    /// Forgets all that a process has; returns the timers that must not fire.
    pub(super) fn clear(&mut self, now: Timestamp) -> Vec<EventId> {
        self.actor = None;
        self.backlog.clear();
        self.is_paused = false;
        let _gone_with_the_process = self.clock.take_spent();
        self.busy_until = now;
        std::mem::take(&mut self.timers).into_values().collect()
    }
}
