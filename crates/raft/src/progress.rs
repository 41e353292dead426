//! What a leader knows of one follower, and how fast it sends.
//!
//! ```text
//!               the follower has it             too old for the log
//!      Probe ------------------------> Replicate         |
//!   one at a time <------------------  a window of       v
//!        ^         rejected, or lost   messages      Snapshot
//!        '-------------------------------------------- part by part
//! ```
//!
//! # What this module does not do
//!
//! It sends nothing and counts no majority.

mod inflight;

use crate::types::{Incarnation, Index, NodeId};

pub(crate) use inflight::Inflight;

/// How a follower is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Where the logs match is being found out: one message, then wait for the answer.
    Probe {
        /// The message has been sent.
        asked: bool,
    },
    /// Messages follow each other without waiting.
    Replicate,
    /// It gets a snapshot.
    Snapshot {
        /// Which.
        last: Index,
        /// What of it has arrived.
        offset: u64,
        /// The part at `offset` has been sent.
        asked: bool,
    },
}

/// What a leader knows of one member (figure 2, "volatile state on leaders").
#[derive(Clone, Debug)]
pub struct Progress {
    /// Who.
    pub id: NodeId,
    /// The disk that it must have.
    pub incarnation: Incarnation,
    /// Names the period that began when this member was added or the leader was elected.
    pub session: u64,
    /// `matchIndex`: the follower has the leader's entries up to here, durably.
    pub match_index: Index,
    /// `nextIndex`. Entries in `match_index + 1 .. next_index` are on their way.
    ///
    /// Invariant: `match_index < next_index`.
    pub next_index: Index,
    /// How it is sent to.
    pub mode: Mode,
    /// The last round that it has answered.
    pub round: u64,
    /// It has answered that it has all up to here and knows that it is committed.
    pub(crate) settled: Index,
    /// The commit index that it was last told.
    pub told_commit: Index,
    pub(crate) inflight: Inflight,
}

impl Progress {
    pub(crate) fn new(
        id: NodeId,
        incarnation: Incarnation,
        session: u64,
        next_index: Index,
        inflight: Inflight,
    ) -> Self {
        assert!(next_index > Index::ZERO, "the first entry is 1");
        Self {
            id,
            incarnation,
            session,
            match_index: Index::ZERO,
            next_index,
            mode: Mode::Probe { asked: false },
            round: 0,
            settled: Index::ZERO,
            told_commit: Index::ZERO,
            inflight,
        }
    }

    /// The logs match up to `matched`, durably; true where that is news.
    pub(crate) fn accepted(&mut self, matched: Index) -> bool {
        let is_news = matched > self.match_index;
        self.match_index = self.match_index.max(matched);
        self.next_index = self.next_index.max(matched + 1);
        self.inflight.arrived(matched);
        match self.mode {
            Mode::Probe { .. } => self.replicate(),
            Mode::Snapshot { last, .. } if matched >= last => self.replicate(),
            Mode::Snapshot { .. } | Mode::Replicate => {}
        }
        assert!(self.match_index < self.next_index);
        is_news
    }

    /// The follower does not have the entry at `prev`; the logs may match at `hint`. False where
    /// the rejection is an old one.
    pub(crate) fn rejected(&mut self, prev: Index, hint: Index) -> bool {
        let is_current = match self.mode {
            Mode::Replicate => prev > self.match_index && prev < self.next_index,
            Mode::Probe { .. } => prev > self.match_index && prev == self.next_index.before(),
            Mode::Snapshot { .. } => false,
        };
        if is_current {
            self.probe(hint.min(prev.before()) + 1);
        }
        is_current
    }

    /// Finds out again where the logs match, beginning before `next`.
    pub(crate) fn probe(&mut self, next: Index) {
        self.next_index = next.max(self.match_index + 1);
        self.mode = Mode::Probe { asked: false };
        self.inflight.clear();
    }

    fn replicate(&mut self) {
        self.next_index = self.match_index + 1;
        self.mode = Mode::Replicate;
        self.inflight.clear();
    }

    /// Sends the snapshot whose last entry is `last`, from its beginning.
    pub(crate) fn send_snapshot(&mut self, last: Index) {
        self.mode = Mode::Snapshot { last, offset: 0, asked: false };
        self.inflight.clear();
    }

    /// Entries up to `last` are on their way.
    pub(crate) fn sent(&mut self, last: Index, bytes: u64) {
        assert!(last >= self.next_index, "entries are sent in order");
        match &mut self.mode {
            Mode::Replicate => {
                self.inflight.sent(last, bytes);
                self.next_index = last + 1;
            }
            Mode::Probe { asked } => *asked = true,
            Mode::Snapshot { .. } => {}
        }
    }

    /// Whether it must wait for an answer before it is sent more.
    pub(crate) fn is_waiting(&self) -> bool {
        match self.mode {
            Mode::Probe { asked } | Mode::Snapshot { asked, .. } => asked,
            Mode::Replicate => self.inflight.is_full(),
        }
    }

    /// A heartbeat is due: what was lost meanwhile is sent again.
    pub(crate) fn ask_again(&mut self) {
        match &mut self.mode {
            Mode::Probe { asked } | Mode::Snapshot { asked, .. } => *asked = false,
            Mode::Replicate => {}
        }
    }
}

#[cfg(test)]
mod tests;
