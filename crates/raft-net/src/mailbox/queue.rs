//! Events in their order, taken all at once.
//!
//! A thousand clients put in a command each, and one thread takes them. So there is a lock, held
//! for a few stores: who puts in pays for it once, and who takes pays once for all.
//!
//! # What this module does not do
//!
//! It wakes nobody: see `engine`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Event;

/// A queue that was emptied keeps no more room than for so many.
const KEPT_MAX: usize = 1 << 13;

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// How many events were ever put in. Written under the lock.
    put: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// About how many bytes they hold that may be refused.
    weight: usize,
    is_closed: bool,
}

/// Why an event is not put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As much is waiting as may.
    Full,
    /// Nobody takes any more.
    Closed,
}

impl Queue {
    /// Puts in an event that holds so many bytes, unless `limit` are waiting already; returns how
    /// many were put in until now.
    pub(super) fn put(&self, event: Event, weight: usize, limit: usize) -> Result<u64, Refused> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(Refused::Closed);
        }
        if weight > 0 && waiting.weight >= limit {
            return Err(Refused::Full);
        }
        waiting.weight += weight;
        waiting.events.push_back(event);
        // Relaxed: the lock orders writers, and `Engine::help` what they do next.
        let count = self.put.load(Ordering::Relaxed) + 1;
        self.put.store(count, Ordering::Relaxed);
        Ok(count)
    }

    /// How many events were ever put in.
    pub(crate) fn put_in(&self) -> u64 {
        // Relaxed: as above.
        self.put.load(Ordering::Relaxed)
    }

    /// Takes all that wait into `events`, which is empty; its room is used for the next.
    pub(crate) fn take_into(&self, events: &mut VecDeque<Event>) {
        if events.capacity() > KEPT_MAX {
            *events = VecDeque::new();
        }
        let mut waiting = self.waiting.lock();
        waiting.weight = 0;
        std::mem::swap(&mut waiting.events, events);
    }

    /// Nothing is put in any more, and what waits is dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        let events = std::mem::take(&mut waiting.events);
        drop(waiting);
        // Not under the lock: who hears of its end may come back.
        drop(events);
    }
}

#[cfg(test)]
mod tests;
