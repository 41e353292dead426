//! What a server wants done, in types that leave no wrong order.
//!
//! ```text
//!   Ready
//!     messages   send now
//!     write      make durable --> Raft::persisted(write) --> more messages: send them now
//!     apply      apply        --> Raft::applied(index)
//!     reads      serve now, from what is applied
//! ```
//!
//! * A vote or an acknowledgement is inside the [`Write`] that it relies on, and only
//!   [`Raft::persisted`](crate::Raft::persisted), which takes the write, gives it out.
//! * An entry is in `apply` only if it is committed and this server's own copy is durable.
//! * A read is in `reads` only after `applied` has said that the state is new enough.
//! * A witness has no state machine and never gets an `apply`: what is committed is applied there.
//!
//! The four are independent: messages need not wait for the write, nor the write for the apply.
//!
//! # What this module does not do
//!
//! It does nothing. Who forgets one part of a `Ready` makes a server slow or silent, not wrong.

use crate::core::{Core, Role};
use crate::entries::Entries;
use crate::message::{Message, Read};
use crate::replication;
use crate::storage::{Storage, StorageError};
use crate::write::Write;

/// What to bring into the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apply {
    /// The store's snapshot, which replaces the whole state.
    Snapshot,
    /// Entries in order. Those without a command count too.
    Entries(Entries),
}

/// What a server wants done. See the module's header.
#[derive(Debug, Default)]
#[must_use = "what is not done here is not done at all"]
pub struct Ready {
    /// Send these now, in this order to each receiver where that is possible.
    pub messages: Vec<Message>,
    /// Make this durable.
    pub write: Option<Write>,
    /// Apply this, then say so.
    pub apply: Option<Apply>,
    /// Reads that can be served, and reads that are lost.
    pub reads: Vec<Read>,
}

impl Ready {
    /// Whether nothing is to be done.
    pub const fn is_empty(&self) -> bool {
        let has_work = self.write.is_some() || self.apply.is_some();
        !has_work && self.messages.is_empty() && self.reads.is_empty()
    }
}

/// Whether anything may be to be done: cheap, and true rather too often than too rarely.
pub(crate) fn has_work<S: Storage>(core: &Core<S>) -> bool {
    let is_leader_busy = match &core.role {
        Role::Leader(it) => it.is_busy(),
        Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => false,
    };
    let says = core.messages.len() + core.promises.len() + core.reads.len() > 0;
    is_leader_busy
        || says
        || core.log.has_news()
        || core.log.has_applicable()
        || is_state_news(core)
}

/// Whether term or vote are to be written. A commit index alone is worth no write: it is written
/// with whatever comes next.
fn is_state_news<S: Storage>(core: &Core<S>) -> bool {
    (core.term, core.vote) != (core.handed_state.term, core.handed_state.vote)
}

/// Collects what is to be done into `ready`, which is empty, and whose buffers the core goes on
/// with.
pub(crate) fn take<S: Storage>(core: &mut Core<S>, ready: &mut Ready) -> Result<(), StorageError> {
    assert!(ready.is_empty(), "something of the last one is not done");
    replication::flush(core);
    if core.log.has_applicable() {
        ready.apply = take_apply(core)?;
    }
    if is_write_due(core) {
        ready.write = Some(take_write(core));
    } else {
        core.messages.append(&mut core.promises);
    }
    std::mem::swap(&mut ready.messages, &mut core.messages);
    std::mem::swap(&mut ready.reads, &mut core.reads);
    Ok(())
}

fn take_apply<S: Storage>(core: &mut Core<S>) -> Result<Option<Apply>, StorageError> {
    if core.config.incarnation.is_witness() {
        core.log.pass_over();
        return Ok(None);
    }
    if core.log.applies_snapshot() {
        core.log.take_snapshot();
        return Ok(Some(Apply::Snapshot));
    }
    core.log.take_applicable(core.config.apply_bytes_max).map(|it| Some(Apply::Entries(it)))
}

/// Whether there is something to write, or a promise that relies on a write on its way: where all
/// of it is durable, it goes at once.
fn is_write_due<S: Storage>(core: &Core<S>) -> bool {
    let is_promise_early = !core.promises.is_empty() && core.log.is_writing();
    is_state_news(core) || core.log.has_news() || is_promise_early
}

/// A promise goes with the write that it relies on.
fn take_write<S: Storage>(core: &mut Core<S>) -> Write {
    core.write_sequence += 1;
    core.handed_state = core.hard_state();
    let (sequence, hard_state) = (core.write_sequence, core.handed_state);
    let (snapshot, entries) = core.log.hand_out(sequence);
    let promises = std::mem::take(&mut core.promises);
    Write { sequence, hard_state, snapshot, entries, promises }
}

/// A write is durable; what waited for it goes to `messages`.
pub(crate) fn persisted<S: Storage>(
    core: &mut Core<S>,
    mut write: Write,
    messages: &mut Vec<Message>,
) {
    core.log.written(write.sequence, write.snapshot.is_some());
    if write.hard_state.term == core.term && write.hard_state.vote == Some(core.id()) {
        crate::election::on_vote_durable(core);
    }
    replication::on_durable(core);
    messages.append(&mut write.promises);
    if core.promises.capacity() == 0 {
        core.promises = write.promises;
    }
}
