//! The threads that wait, so that the node thread need not: for the disk, and for snapshots.
//!
//! # What this module does not do
//!
//! It touches no group. What it has done it tells the node thread.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use env::clock::Clock;
use raft::{DiskLog, GroupId, Index, Rewrite, SnapshotMeta};

use crate::mailbox::Event;
use crate::{Inbox, Make};

/// Starts a named thread.
///
/// Panics where the system has none left.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(run).expect("the system has a thread for a node")
}

/// Makes rounds durable: one sync for all that were asked for while the last one ran.
pub(super) fn sync(log: &DiskLog, rounds: &Receiver<u64>, inbox: &Inbox, clock: &Arc<dyn Clock>) {
    let mut next = rounds.recv().ok();
    while let Some(round) = next {
        let round = rounds.try_iter().last().unwrap_or(round);
        let begun = clock.now();
        let outcome = log.sync();
        let took = clock.now().saturating_since(begun);
        inbox.counters.syncs.add(1);
        inbox.counters.sync_nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let event = match outcome {
            Ok(()) => Event::Synced(round, took),
            Err(cause) => Event::LogFailed(cause.to_string()),
        };
        let Ok(put) = inbox.enqueue(event) else { return };
        next = rounds.try_recv().ok();
        if next.is_some() {
            // The disk is not to wait for what follows from this sync.
            put.leave();
        } else {
            drop(put);
        }
        // A segment that is not ready makes a write slow; that is all.
        log.prepare().ok();
        next = next.or_else(|| rounds.recv().ok());
    }
}

/// What the snapshot thread is to do.
pub(super) enum Order {
    Make(Snapshot),
    /// A snapshot of the leader's is to be written into a file.
    Store(GroupId, Bytes),
    /// A group that was written anew is to be made durable.
    Finish(GroupId, Rewrite, Option<Index>),
}

/// A snapshot whose bytes are to be made and written.
pub(super) struct Snapshot {
    pub(super) group: GroupId,
    pub(super) meta: SnapshotMeta,
    /// The rows of the sessions, encoded.
    pub(super) head: Vec<u8>,
    pub(super) make: Make,
}

/// Makes snapshots and writes their files, and those of snapshots that were received; and finishes
/// compactions, whose syncs of folders take longer than many rounds.
pub(super) fn snapshot(log: &DiskLog, orders: &Receiver<Order>, inbox: &Inbox) {
    let write = |data: &[u8]| log.write_snapshot(data).map_err(|cause| cause.to_string());
    while let Ok(order) = orders.recv() {
        let event = match order {
            Order::Make(Snapshot { group, meta, head, make }) => {
                let body = make().map_err(|cause| cause.to_string());
                match body.and_then(|body| write(&[head, body].concat())) {
                    Ok(file) => Event::SnapshotMade(group, meta, file),
                    Err(reason) => Event::SnapshotFailed(group, reason),
                }
            }
            Order::Store(group, data) => match write(&data) {
                Ok(file) => Event::SnapshotStored(group, file),
                // What the core was told to have, it has not: this group ends, and only this one.
                Err(reason) => Event::Failed(group, reason),
            },
            Order::Finish(group, rewrite, last) => match (rewrite.finish(), last) {
                (Ok(()), Some(last)) => Event::Compacted(group, last),
                (Ok(()), None) => continue,
                (Err(cause), _) => Event::LogFailed(cause.to_string()),
            },
        };
        if inbox.mention(event).is_err() {
            return;
        }
    }
}
