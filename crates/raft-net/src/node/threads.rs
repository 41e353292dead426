//! The threads that wait, so that the node thread need not: for the disk, and for snapshots.
//!
//! # What this module does not do
//!
//! It touches no group. What it has done it tells the node thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use env::clock::Clock;
use raft::{DiskError, DiskLog, GroupId, Index, Rewrite, SnapshotMeta};

use super::apply::{self, Job};
use crate::mailbox::Event;
use crate::{Inbox, MachineError, Make};

/// The ways to the threads that wait.
pub(super) struct Workers {
    /// Rounds up to which the log is to be made durable.
    pub(super) syncs: Sender<u64>,
    pub(super) jobs: Sender<Job>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads of a node.
    pub(super) fn start(log: &DiskLog, inbox: &Inbox, clock: &Arc<dyn Clock>) -> Self {
        let (syncs, rounds) = channel();
        let (jobs, of_apply) = channel();
        let (snapshots, of_snapshots) = channel();
        let of_log = (log.clone(), inbox.clone(), Arc::clone(clock));
        let of_files = (log.clone(), inbox.clone());
        let inbox = inbox.clone();
        let threads = vec![
            spawn("raft-log", move || sync(&of_log.0, &rounds, &of_log.1, &of_log.2)),
            spawn("raft-snapshot", move || snapshot(&of_files.0, &of_snapshots, &of_files.1)),
            spawn("raft-apply", move || apply::run(&of_apply, &snapshots, &inbox)),
        ];
        Self { syncs, jobs, threads }
    }

    /// Waits until all has been done that they were given.
    pub(super) fn end(self) {
        let Self { syncs, jobs, threads } = self;
        drop((syncs, jobs));
        for thread in threads {
            // One that panicked has ended too.
            thread.join().ok();
        }
    }
}

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
fn snapshot(log: &DiskLog, orders: &Receiver<Order>, inbox: &Inbox) {
    while let Ok(order) = orders.recv() {
        if let Some(event) = carry_out(log, order)
            && inbox.mention(event).is_err()
        {
            return;
        }
    }
}

/// Carries out an order; gives what the node thread is to be told of it.
pub(super) fn carry_out(log: &DiskLog, order: Order) -> Option<Event> {
    match order {
        Order::Make(Snapshot { group, meta, head, make }) => {
            let file = log.write_snapshot::<MachineError>(|to| {
                to.append(&head)?;
                apply::asked(|| make(to))
            });
            Some(match file {
                Ok(file) => Event::SnapshotMade(group, meta, file),
                Err(cause) => Event::SnapshotFailed(group, cause.to_string()),
            })
        }
        Order::Store(group, data) => {
            Some(match log.write_snapshot::<DiskError>(|to| to.append(&data)) {
                Ok(file) => Event::SnapshotStored(group, file),
                // What the core was told to have, it has not: this group ends, and only this one.
                Err(cause) => Event::Failed(group, cause.to_string()),
            })
        }
        Order::Finish(group, rewrite, last) => match (rewrite.finish(), last) {
            (Ok(()), Some(last)) => Some(Event::Compacted(group, last)),
            (Ok(()), None) => None,
            (Err(cause), _) => Some(Event::LogFailed(cause.to_string())),
        },
    }
}
