//! The scheduler: events in the order of virtual time, ties broken by the seed.
//!
//! Two events at one moment have no order in the real world, so each order must be tried; and one
//! seed must always give the same. A tie is therefore broken by a random number that is drawn when
//! the event is put in.

use std::collections::BTreeMap;

use env::clock::Timestamp;
use env::random::{Random, SeededRandom};

/// Names an event that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    at: Timestamp,
    tie: u64,
    /// Makes the name unique where two ties are equal.
    serial: u64,
}

/// Events that wait for their time.
#[derive(Debug)]
pub struct EventQueue<E> {
    events: BTreeMap<EventId, E>,
    random: SeededRandom,
    serial: u64,
}

impl<E> EventQueue<E> {
    /// An empty queue.
    pub fn new(random: SeededRandom) -> Self {
        Self { events: BTreeMap::new(), random, serial: 0 }
    }

    /// Puts an event in.
    pub fn push(&mut self, at: Timestamp, event: E) -> EventId {
        self.serial += 1;
        let id = EventId { at, tie: self.random.next_u64(), serial: self.serial };
        self.events.insert(id, event);
        id
    }

    /// Takes an event back; `None` where it has already been popped or cancelled.
    pub fn cancel(&mut self, id: EventId) -> Option<E> {
        self.events.remove(&id)
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|(id, _)| id.at)
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(Timestamp, E)> {
        self.events.pop_first().map(|(id, event)| (id.at, event))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use env::clock::Timestamp;
    use env::random::SeededRandom;

    use super::EventQueue;

    fn order(seed: u64) -> Vec<u64> {
        let mut queue = EventQueue::new(SeededRandom::new(seed));
        for event in 0..4 {
            queue.push(Timestamp::from_nanos(5), event);
        }
        std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect()
    }

    #[test]
    fn ties_come_in_every_order_and_in_one_for_a_seed() {
        let orders: BTreeSet<_> = (0..500).map(order).collect();
        assert_eq!(orders.len(), 24, "four events have 24 orders");
        assert_eq!(order(9), order(9));
    }

    #[test]
    fn time_goes_before_ties_and_cancelled_events_never_come() {
        let mut queue = EventQueue::new(SeededRandom::new(1));
        queue.push(Timestamp::from_nanos(2), 'b');
        let gone = queue.push(Timestamp::from_nanos(1), 'x');
        queue.push(Timestamp::from_nanos(1), 'a');
        assert_eq!(queue.cancel(gone), Some('x'));
        assert_eq!(queue.cancel(gone), None);
        assert_eq!(queue.next_at(), Some(Timestamp::from_nanos(1)));
        assert_eq!(queue.pop(), Some((Timestamp::from_nanos(1), 'a')));
        assert_eq!(queue.pop().map(|(_, event)| event), Some('b'));
    }
}
