//! A network that loses, delays, repeats and reorders messages, and is cut in pieces.
//!
//! ```text
//!   send --> blocked? --> dropped? --> one copy or two --> when? --> blocked by then? --> deliver
//!             lost          lost                            |           lost
//!                                                           in order, unless it may overtake
//! ```
//!
//! Each ordered pair of nodes is a link with settings of its own. A link delivers in the order of
//! sending until it is told to reorder, so that a system which needs that order and one which does
//! not can be told apart. What is in flight when a partition comes is lost with the rest.
//!
//! # What this module does not do
//!
//! It has no bandwidth and no queues that fill: a message takes the same time whatever its size. It
//! does not look into messages.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use env::clock::Timestamp;
use env::random::{Random, SeededRandom};

use super::coverage::Fault;
use super::disk::CERTAIN;
use super::trace::Trace;

/// A node of a world. The first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What changes about a link. Chances are in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// Messages are lost with this chance.
    Drop(u32),
    /// Messages arrive twice with this chance.
    Duplicate(u32),
    /// Messages may be overtaken with this chance.
    Reorder(u32),
    /// Messages take a time between these two.
    Delay {
        /// At least.
        min: Duration,
        /// At most.
        max: Duration,
    },
    /// The link is as at first.
    Heal,
}

/// How long a message takes where nobody asked for more.
const USUAL_DELAY: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(1));

/// How much longer an overtaken message may take than the longest delay of its link.
const OVERTAKEN: u32 = 4;

#[derive(Debug)]
struct Link {
    drop: u32,
    duplicate: u32,
    reorder: u32,
    delay: (Duration, Duration),
    /// The fault that keeps all messages from passing.
    blocked: Option<Fault>,
    /// When the last message that keeps the order arrives.
    last_arrival: Timestamp,
    sent: u64,
    /// Messages of which a later one has been delivered are those with a smaller number.
    newest_delivered: u64,
}

impl Link {
    fn new() -> Self {
        Self {
            drop: 0,
            duplicate: 0,
            reorder: 0,
            delay: USUAL_DELAY,
            blocked: None,
            last_arrival: Timestamp::ZERO,
            sent: 0,
            newest_delivered: 0,
        }
    }

    fn change(&mut self, fault: LinkFault) {
        match fault {
            LinkFault::Drop(chance) => self.drop = chance,
            LinkFault::Duplicate(chance) => self.duplicate = chance,
            LinkFault::Reorder(chance) => self.reorder = chance,
            LinkFault::Delay { min, max } => self.delay = (min, max.max(min)),
            LinkFault::Heal => {
                (self.drop, self.duplicate, self.reorder) = (0, 0, 0);
                self.delay = USUAL_DELAY;
            }
        }
    }
}

/// A copy of a message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) arrives: Timestamp,
    /// Position among what the link has sent.
    number: u64,
}

/// All links of a world.
#[derive(Debug)]
pub(super) struct Network {
    links: BTreeMap<(NodeId, NodeId), Link>,
    random: SeededRandom,
    trace: Trace,
}

impl Network {
    pub(super) fn new(nodes: u32, random: SeededRandom, trace: Trace) -> Self {
        let ids = || (1..=nodes).map(NodeId);
        let pairs = ids().flat_map(|from| ids().map(move |to| (from, to)));
        let links = pairs.filter(|(from, to)| from != to).map(|pair| (pair, Link::new())).collect();
        Self { links, random, trace }
    }

    /// Sends a message: the copies that set out. A node reaches itself at once.
    pub(super) fn send(&mut self, now: Timestamp, from: NodeId, to: NodeId) -> Vec<Flight> {
        let Some(link) = self.links.get_mut(&(from, to)) else {
            assert_eq!(from, to, "there is no node {to}");
            return vec![Flight { from, to, arrives: now, number: 0 }];
        };
        let mut strikes = |chance| self.random.below(u64::from(CERTAIN)) < u64::from(chance);
        let lost = link.blocked.or_else(|| strikes(link.drop).then_some(Fault::Drop));
        if let Some(fault) = lost {
            self.trace.fault(now, fault, format_args!("{from} -> {to}"));
            return Vec::new();
        }
        let copies = if strikes(link.duplicate) { 2 } else { 1 };
        if copies == 2 {
            self.trace.fault(now, Fault::Duplicate, format_args!("{from} -> {to}"));
        }
        if link.delay != USUAL_DELAY {
            self.trace.fault(now, Fault::Delay, format_args!("{from} -> {to}"));
        }
        link.sent += 1;
        let number = link.sent;
        (0..copies)
            .map(|_| Flight { from, to, arrives: link.arrival(now, &mut self.random), number })
            .collect()
    }

    /// Whether a copy that arrives now gets through.
    pub(super) fn arrive(&mut self, flight: Flight) -> bool {
        let Flight { from, to, arrives, number } = flight;
        let Some(link) = self.links.get_mut(&(from, to)) else { return true };
        if let Some(fault) = link.blocked {
            self.trace.fault(arrives, fault, format_args!("{from} -> {to}, in flight"));
            return false;
        }
        if number < link.newest_delivered {
            self.trace.fault(arrives, Fault::Reorder, format_args!("{from} -> {to}"));
        }
        link.newest_delivered = link.newest_delivered.max(number);
        true
    }

    /// Changes the links that lead from one of `from` to one of `to`.
    pub(super) fn change(&mut self, from: &[NodeId], to: &[NodeId], fault: LinkFault) {
        self.for_each(|pair, link| {
            if from.contains(&pair.0) && to.contains(&pair.1) {
                link.change(fault);
            }
        });
    }

    /// Blocks the links for which `blocks` says so. What was blocked before stays so.
    pub(super) fn block(&mut self, cause: Fault, blocks: impl Fn(NodeId, NodeId) -> bool) {
        self.for_each(|(from, to), link| {
            if blocks(from, to) {
                link.blocked = Some(cause);
            }
        });
    }

    /// Opens every link that is blocked.
    pub(super) fn unblock(&mut self) {
        self.for_each(|_, link| link.blocked = None);
    }

    /// Makes every link as it was at first.
    pub(super) fn heal(&mut self) {
        self.unblock();
        self.for_each(|_, link| link.change(LinkFault::Heal));
    }

    fn for_each(&mut self, mut change: impl FnMut((NodeId, NodeId), &mut Link)) {
        for (pair, link) in &mut self.links {
            change(*pair, link);
        }
    }
}

impl Link {
    /// When a copy that is sent now arrives.
    fn arrival(&mut self, now: Timestamp, random: &mut SeededRandom) -> Timestamp {
        let (min, max) = self.delay;
        let arrival = now + between(random, min, max);
        if random.below(u64::from(CERTAIN)) < u64::from(self.reorder) {
            // It neither waits for those before it nor do those behind it wait.
            return arrival + between(random, Duration::ZERO, max.saturating_mul(OVERTAKEN));
        }
        // One that arrives at the same moment might be delivered first.
        self.last_arrival = arrival.max(self.last_arrival + Duration::from_nanos(1));
        self.last_arrival
    }
}

fn between(random: &mut SeededRandom, min: Duration, max: Duration) -> Duration {
    let spread = u64::try_from(max.saturating_sub(min).as_nanos()).unwrap_or(u64::MAX);
    min + Duration::from_nanos(random.below(spread.saturating_add(1)))
}

#[cfg(test)]
mod tests;
