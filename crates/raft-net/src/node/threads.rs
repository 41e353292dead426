//! The threads that wait, so that the node thread need not: for the disk, and for snapshots.
//!
//! # What this module does not do
//!
//! It touches no group. What it has done it tells the node thread.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{Builder, JoinHandle};

use env::clock::Clock;
use raft::{DiskLog, GroupId, SnapshotMeta};

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
    while let Ok(round) = rounds.recv() {
        let round = rounds.try_iter().last().unwrap_or(round);
        let begun = clock.now();
        let event = match log.sync() {
            Ok(()) => Event::Synced(round),
            Err(cause) => Event::LogFailed(cause.to_string()),
        };
        inbox.counters.syncs.add(1);
        let nanos = clock.now().saturating_since(begun).as_nanos();
        inbox.counters.sync_nanos.add(u64::try_from(nanos).unwrap_or(u64::MAX));
        if inbox.tell(event).is_err() {
            return;
        }
        // A segment that is not ready makes a write slow; that is all.
        log.prepare().ok();
    }
}

/// A snapshot whose bytes are to be made and written.
pub(super) struct Snapshot {
    pub(super) group: GroupId,
    pub(super) meta: SnapshotMeta,
    /// The rows of the sessions, encoded.
    pub(super) head: Vec<u8>,
    pub(super) make: Make,
}

/// Makes snapshots and writes their files.
pub(super) fn snapshot(log: &DiskLog, orders: &Receiver<Snapshot>, inbox: &Inbox) {
    while let Ok(Snapshot { group, meta, head, make }) = orders.recv() {
        let file = make().map_err(|cause| cause.to_string()).and_then(|body| {
            let data = [head, body].concat();
            log.write_snapshot(&data).map_err(|cause| cause.to_string())
        });
        let event = match file {
            Ok(file) => Event::SnapshotMade(group, meta, file),
            Err(reason) => Event::SnapshotFailed(group, reason),
        };
        if inbox.tell(event).is_err() {
            return;
        }
    }
}
