//! Snapshots on their way to followers that need what is compacted (§7, figure 13).
//!
//! ```text
//!   leader                                   follower
//!     InstallSnapshot  offset 0, part 1 -------> keeps it
//!     <------------------ SnapshotResponse  offset = what it has
//!     InstallSnapshot  offset n, part 2 -------> has it all: its log is replaced,
//!     <------------------ AppendResponse         and once that is durable it says so
//! ```
//!
//! The follower says from where it wants to go on. A part that was lost, a follower that was
//! restarted, a leader that is another one now: all resume at that place, or at the beginning.
//!
//! The follower gathers the parts in memory, and writes nothing before it has all of them. That
//! takes as much room as the snapshot has bytes, and up to twice that while it grows. So the leader
//! says how long it is. Where that is more than this server takes, [`Config::snapshot_bytes_max`],
//! it takes none of it, and wants it from the beginning: heartbeats ask again, until somebody
//! raises the limit.
//!
//! [`Config::snapshot_bytes_max`]: crate::Config::snapshot_bytes_max
//!
//! A witness is sent one part, which begins at the end: it learns where the snapshot ends and keeps
//! nothing of it. Anybody else who gets that part, with another disk than the leader knows of,
//! still lacks everything before it.
//!
//! # What this module does not do
//!
//! It does not know what is in a snapshot, and it makes none: the driver does, from applied state.

use bytes::Bytes;

use crate::core::{Core, Receiving, Role};
use crate::message::{AppendOutcome, Body, Message};
use crate::progress::{Mode, Progress};
use crate::replication::heard_from;
use crate::storage::Storage;
use crate::types::{Index, Snapshot, SnapshotMeta};

/// Where the part begins that `progress` is to be sent now. A newer snapshot than the one that was
/// begun is sent from its beginning.
pub(crate) fn next_part(progress: &mut Progress, meta: &SnapshotMeta) -> Option<u64> {
    if let Mode::Snapshot { last, .. } = progress.mode
        && last != meta.last.index
    {
        progress.send_snapshot(meta.last.index);
    }
    match &mut progress.mode {
        Mode::Snapshot { offset, asked: asked @ false, .. } => {
            *asked = true;
            Some(*offset)
        }
        Mode::Snapshot { .. } | Mode::Probe { .. } | Mode::Replicate => None,
    }
}

/// A part has come.
pub(crate) fn on_part<S: Storage>(core: &mut Core<S>, message: Message) {
    let Body::InstallSnapshot { meta, offset, data, round, session } = message.body else { return };
    core.hear_leader(message.from);
    let last = meta.last.index;
    let body = match receive(core, *meta, offset, &data) {
        Arrival::Known(matched) => {
            let outcome = AppendOutcome::Accepted { matched };
            Body::AppendResponse { round, session, outcome }
        }
        Arrival::Partly(offset) => Body::SnapshotResponse { round, session, last, offset },
    };
    core.send(message.from, body);
}

/// What a follower has after a part.
enum Arrival {
    /// Everything that the snapshot contains, and the log matches up to here.
    Known(Index),
    /// So many bytes.
    Partly(u64),
}

fn receive<S: Storage>(
    core: &mut Core<S>,
    meta: SnapshotMeta,
    offset: u64,
    data: &Bytes,
) -> Arrival {
    if meta.last.index <= core.log.commit() {
        return Arrival::Known(core.log.commit());
    }
    if core.log.matches(meta.last) {
        // The log has it all, and keeps what follows (figure 13, step 6).
        core.log.commit_to(meta.last.index);
        return Arrival::Known(meta.last.index);
    }
    if core.config.incarnation.is_witness() {
        let (meta, data) = (SnapshotMeta { len: 0, ..meta }, Bytes::new());
        let last = meta.last.index;
        core.log.restore(Snapshot { meta, data });
        return Arrival::Known(last);
    }
    let is_too_large = meta.len > core.config.snapshot_bytes_max;
    core.refused_snapshot = is_too_large.then_some(meta.len);
    if is_too_large {
        core.receiving = None;
        return Arrival::Partly(0);
    }
    let mut receiving = match core.receiving.take() {
        Some(receiving) if receiving.meta == meta => receiving,
        Some(_) | None => Receiving { meta, data: Vec::new() },
    };
    let fits = receiving.data.len() as u64 + data.len() as u64 <= receiving.meta.len;
    if offset == receiving.data.len() as u64 && fits {
        receiving.data.extend_from_slice(data);
    }
    if (receiving.data.len() as u64) < receiving.meta.len {
        let have = receiving.data.len() as u64;
        core.receiving = Some(receiving);
        return Arrival::Partly(have);
    }
    let Receiving { meta, data } = receiving;
    let last = meta.last.index;
    core.log.restore(Snapshot { meta, data: data.into() });
    Arrival::Known(last)
}

/// A follower says from where to go on.
pub(crate) fn on_response<S: Storage>(core: &mut Core<S>, message: &Message) {
    let Body::SnapshotResponse { round, session, last: of, offset: wanted } = message.body else {
        return;
    };
    let Some(at) = heard_from(core, message, round, session) else { return };
    let Role::Leader(leader) = &mut core.role else { return };
    if let Mode::Snapshot { last, offset, asked } = &mut leader.progress[at].mode
        && *last == of
        && *offset != wanted
    {
        (*offset, *asked) = (wanted, false);
    }
}
