//! What must be durable, and what may be said only then.
//!
//! # What this module does not do
//!
//! It cannot know whether a driver speaks the truth; it makes silence harmless. A write that is
//! dropped takes its messages with it, and they come out nowhere else.

use crate::entries::Entries;
use crate::message::Message;
use crate::types::{HardState, Snapshot};

/// What a driver must make durable, all of it or nothing, in this order:
///
/// 1. the [`snapshot`](Self::snapshot), which replaces the whole log;
/// 2. the [`entries`](Self::entries), which replace whatever the log has from the first of them on;
/// 3. the [`hard_state`](Self::hard_state).
///
/// Writes are made in the order in which they were handed out; several may be on their way. Once
/// one is durable it goes to [`Raft::persisted`](crate::Raft::persisted), which gives the messages
/// that waited for it. One that failed must go nowhere: the server ends, and starts again from
/// what its disk has.
#[derive(Debug)]
#[must_use = "a write that is not made, and its messages not sent, is as good as a crash"]
pub struct Write {
    pub(crate) sequence: u64,
    pub(crate) hard_state: HardState,
    /// Rare and large, so that it is not moved with the others.
    pub(crate) snapshot: Option<Box<Snapshot>>,
    pub(crate) entries: Entries,
    /// What these bytes are a promise for.
    pub(crate) promises: Vec<Message>,
}

impl Write {
    /// Term, vote and commit index.
    pub const fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// A snapshot that replaces the log.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    /// New entries, in order and without gaps.
    pub const fn entries(&self) -> &Entries {
        &self.entries
    }
}
