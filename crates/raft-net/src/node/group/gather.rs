//! Whom a durable group waits for before it writes: those who are about to come back.
//!
//! ```text
//!             sync                        sync
//!   disk   |=======|                   |=======|
//!   answers        '-> c c c c             ...
//!   commands   h h       c c c c       one batch: those that came during the sync (h), and those
//!                             |        of clients that were answered by it (c)
//!                             '- as many on their way as before: go
//! ```
//!
//! A sync takes as long for a thousand commands as for one. Whoever was answered mostly has the
//! next command at once; but to begin with the first of them would leave all others to the sync
//! after that, and each would wait for two. So commands are held back while a sync runs, and behind
//! it until as many are on their way as were before the answers, at most for a fraction of a sync.
//! A client that is alone never waits.
//!
//! Where the wait was vain, because clients come as they please, are too many to come back in so
//! short a time, or are answered only by servers far away, nobody is waited for in the next batch,
//! and after each further vain wait in twice as many.
//!
//! # What this module does not do
//!
//! It looks at no clock by itself, and holds nothing where writes cost no sync.

use std::time::Duration;

use bytes::Bytes;
use env::clock::Timestamp;

use super::{Group, Round};
use crate::Error;
use crate::mailbox::{Applied, Reply};
use crate::node::Options;

/// A batch of so many is worth its sync, and takes about as long to come as one.
const HELD_MAX: usize = 256;

/// Most batches in a row for which nobody is waited.
const SKIPS_MAX: u32 = 256;

/// A wait is at most this part of a sync.
const PART: u32 = 4;

/// And at most so long: a disk that stood still for seconds, or a clock that was set while it
/// worked, is no measure for the time after.
const WAIT_MAX: Duration = Duration::from_millis(5);

fn wait(took: Duration) -> Duration {
    WAIT_MAX.min(took / PART)
}

/// A command that is not proposed yet, and who waits for it.
type Held = (Bytes, Reply<Applied>);

/// Commands that wait for others.
#[derive(Default)]
pub(super) struct Gather {
    held: Vec<Held>,
    /// Commands that were proposed and not answered.
    on_their_way: usize,
    /// As many were on their way, or held, before the last answers.
    expected: usize,
    /// Until when it is waited; no time has come yet where there is none.
    until: Option<Timestamp>,
    /// A sync is over by which somebody is to be answered.
    is_answer_near: bool,
    /// For so many batches nobody is waited for.
    skips: u32,
    /// Vain waits since the last that was not.
    vain: u32,
}

impl Gather {
    /// Whether a command is to be held, rather than proposed at once.
    const fn is_on(&self) -> bool {
        self.skips == 0
    }

    fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// A sync is over that took so long.
    pub(super) fn synced(&mut self, now: Timestamp, took: Duration) {
        self.is_answer_near = self.on_their_way > 0;
        self.until = Some(now + wait(took));
    }

    /// So many clients were answered.
    pub(super) fn answered(&mut self, count: usize, now: Timestamp, took: Duration) {
        if count == 0 {
            return;
        }
        self.expected = self.on_their_way + self.held.len();
        self.on_their_way = self.on_their_way.saturating_sub(count);
        self.skips = self.skips.saturating_sub(1);
        self.is_answer_near = false;
        self.until = Some(now + wait(took));
    }

    /// Nobody will be answered who waits now.
    pub(super) const fn give_up(&mut self) {
        self.on_their_way = 0;
    }

    /// Whether what is held is to be proposed now.
    fn is_over(&mut self, now: impl FnOnce() -> Timestamp, is_syncing: bool) -> bool {
        if !self.is_on() {
            return true;
        }
        if self.held.len() < HELD_MAX {
            if is_syncing {
                return false;
            }
            let is_complete = self.on_their_way + self.held.len() >= self.expected;
            if is_complete && !self.is_answer_near {
                self.vain = 0;
                return true;
            }
            let left = self.until.map_or(Duration::ZERO, |until| until.saturating_since(now()));
            // More than any wait is left where the clock was set back.
            if !left.is_zero() && left <= WAIT_MAX {
                return false;
            }
        }
        // The answers to this very batch are counted too.
        self.skips = 1 + SKIPS_MAX.min(1 << self.vain.min(31));
        self.vain += 1;
        true
    }

    /// All that are held.
    pub(super) fn take(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.held)
    }
}

impl Group {
    /// A client has a command: it is proposed, or held for a while.
    pub(super) fn propose(&mut self, command: Bytes, reply: Reply<Applied>, options: &Options) {
        if self.raft.unapplied() > options.apply_waiting_max {
            reply.send(Err(Error::Busy)).ok();
        } else if !self.writes.is_volatile() && self.gather.is_on() && self.raft.is_leader() {
            self.gather.hold((command, reply));
        } else {
            self.propose_now(command, reply);
        }
    }

    fn propose_now(&mut self, command: Bytes, reply: Reply<Applied>) {
        let proposed = self.raft.propose(command).map_err(Error::from);
        self.gather.on_their_way += usize::from(proposed.is_ok());
        self.wait(proposed, reply);
    }

    /// Proposes what was held long enough.
    pub(super) fn propose_held(&mut self, round: &Round) {
        if self.gather.held.is_empty() {
            return;
        }
        let is_syncing = self.writes.is_syncing();
        if self.gather.is_over(|| round.clock.now(), is_syncing) || !self.raft.is_leader() {
            for (command, reply) in self.gather.take() {
                self.propose_now(command, reply);
            }
        }
    }

    /// When to look again, though nothing comes.
    pub(in crate::node) fn look_at(&self) -> Option<Timestamp> {
        let is_waiting = !self.gather.held.is_empty() && !self.writes.is_syncing();
        self.gather.until.filter(|_| is_waiting)
    }
}

#[cfg(test)]
mod tests;
