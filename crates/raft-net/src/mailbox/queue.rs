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
    /// About how many bytes those held that were dealt with, of all that may be refused.
    done: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// The same of all that were ever put in.
    weight: u64,
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
    /// Puts in an event that holds so many bytes, unless there are `limit` already that wait or are
    /// being dealt with; returns how many were put in until now.
    pub(super) fn put(&self, event: Event, weight: usize, limit: usize) -> Result<u64, Refused> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(Refused::Closed);
        }
        // Relaxed: a count that is read too late refuses what might have been taken.
        let held = waiting.weight - self.done.load(Ordering::Relaxed);
        if weight > 0 && held >= limit as u64 {
            return Err(Refused::Full);
        }
        waiting.weight += weight as u64;
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

    /// Takes all that wait into `events`, which is empty; its room is used for the next. Returns
    /// what is to be said to [`Queue::note_done`] once they are dealt with.
    pub(crate) fn take_into(&self, events: &mut VecDeque<Event>) -> u64 {
        if events.capacity() > KEPT_MAX {
            *events = VecDeque::new();
        }
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.events, events);
        waiting.weight
    }

    /// What was taken then, and before, holds nothing any more.
    pub(crate) fn note_done(&self, weight: u64) {
        // Relaxed: as in `put`. Only who holds the groups writes it, so that it only grows.
        self.done.store(weight, Ordering::Relaxed);
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
