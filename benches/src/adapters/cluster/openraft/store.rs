//! What openraft asks of a log and of a state machine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{Cursor, Error};
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine, Snapshot};
use openraft::{
    BasicNode, Entry, EntryPayload, LogId, LogState, OptionalSend, RaftLogId, RaftLogReader,
    RaftSnapshotBuilder, SnapshotMeta, StorageError, StoredMembership, Vote,
};
use parking_lot::Mutex;

use super::super::Shared;
use super::super::journal::Journal;
use super::Types;
use crate::adapters::replica::Machine;

type Result<T> = std::result::Result<T, StorageError<u64>>;

/// A log in memory, and a thread that makes it durable where it is to be.
#[derive(Clone)]
pub(super) struct LogStore {
    memory: Arc<Mutex<Memory>>,
    journal: Option<Sender<(Vec<u8>, LogFlushed<Types>)>>,
}

#[derive(Default)]
struct Memory {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    entries: BTreeMap<u64, Entry<Types>>,
}

impl LogStore {
    /// An empty log, and the thread that makes it durable until the last copy of it is gone.
    pub(super) fn new(journal: Journal, syncs: Arc<AtomicU64>) -> (Self, Option<JoinHandle<()>>) {
        let (sender, thread) = journal
            .is_durable()
            .then(|| {
                let (sender, orders) = channel();
                (sender, thread::spawn(move || keep(journal, &orders, &syncs)))
            })
            .unzip();
        (Self { memory: Arc::default(), journal: sender }, thread)
    }
}

/// Writes what is there, syncs once, and says so to all who wait.
fn keep(mut journal: Journal, orders: &Receiver<(Vec<u8>, LogFlushed<Types>)>, syncs: &AtomicU64) {
    let mut flushed = Vec::new();
    while let Ok(first) = orders.recv() {
        let mut done = Ok(());
        for (bytes, callback) in std::iter::once(first).chain(orders.try_iter()) {
            done = done.and(journal.append(&bytes));
            flushed.push(callback);
        }
        let done = done.and_then(|()| journal.sync()).map_err(|cause| cause.to_string());
        // Relaxed: a count orders nothing.
        syncs.fetch_add(1, Ordering::Relaxed);
        for callback in flushed.drain(..) {
            callback.log_io_completed(done.clone().map_err(Error::other));
        }
        journal.prepare();
    }
}

/// Entries as one record: term, index, length and bytes of each.
fn record(entries: &[Entry<Types>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let payload: &[u8] = match &entry.payload {
            EntryPayload::Normal(command) => command,
            EntryPayload::Blank | EntryPayload::Membership(_) => &[],
        };
        let id = entry.log_id;
        for number in [id.leader_id.term, id.index, payload.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(payload);
    }
    bytes
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>> {
        Ok(self.memory.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>> {
        let memory = self.memory.lock();
        let last = memory.entries.last_key_value().map(|(_, entry)| *entry.get_log_id());
        let last_purged_log_id = memory.purged;
        Ok(LogState { last_purged_log_id, last_log_id: last.or(last_purged_log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<()> {
        // Votes are rare; that they are not in the journal saves openraft a sync.
        self.memory.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>> {
        Ok(self.memory.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let order = self.journal.as_ref().map(|journal| (journal, record(&entries)));
        let indexed = entries.into_iter().map(|entry| (entry.log_id.index, entry));
        self.memory.lock().entries.extend(indexed);
        match order {
            // Where its thread has ended nothing is acknowledged any more.
            Some((journal, bytes)) => drop(journal.send((bytes, callback))),
            None => callback.log_io_completed(Ok(())),
        }
        Ok(())
    }

    async fn truncate(&mut self, id: LogId<u64>) -> Result<()> {
        self.memory.lock().entries.split_off(&id.index);
        Ok(())
    }

    async fn purge(&mut self, id: LogId<u64>) -> Result<()> {
        let mut memory = self.memory.lock();
        memory.purged = Some(id);
        let kept = memory.entries.split_off(&(id.index + 1));
        memory.entries = kept;
        Ok(())
    }
}

type Applied = (Option<LogId<u64>>, StoredMembership<u64, BasicNode>);

/// A machine, and how far it has come.
pub(super) struct MachineStore<M> {
    machine: Shared<M>,
    applied: Arc<Mutex<Applied>>,
}

impl<M> Clone for MachineStore<M> {
    fn clone(&self) -> Self {
        Self { machine: Arc::clone(&self.machine), applied: Arc::clone(&self.applied) }
    }
}

impl<M: Machine> MachineStore<M> {
    pub(super) fn new(machine: Shared<M>) -> Self {
        Self { machine, applied: Arc::default() }
    }

    fn snapshot(&self) -> Snapshot<Types> {
        let (machine, applied) = (self.machine.lock(), self.applied.lock());
        let (last_log_id, last_membership) = applied.clone();
        let snapshot_id = last_log_id.map_or_else(String::new, |id| id.index.to_string());
        let meta = SnapshotMeta { last_log_id, last_membership, snapshot_id };
        Snapshot { meta, snapshot: Box::new(Cursor::new(machine.save())) }
    }
}

impl<M: Machine + 'static> RaftSnapshotBuilder<Types> for MachineStore<M> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>> {
        Ok(self.snapshot())
    }
}

impl<M: Machine + 'static> RaftStateMachine<Types> for MachineStore<M> {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<Applied> {
        Ok(self.applied.lock().clone())
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut machine, mut applied) = (self.machine.lock(), self.applied.lock());
        let mut answers = Vec::new();
        for entry in entries {
            applied.0 = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Normal(command) => machine.apply(&command),
                EntryPayload::Membership(members) => {
                    applied.1 = StoredMembership::new(Some(entry.log_id), members);
                }
                EntryPayload::Blank => {}
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        saved: Box<Cursor<Vec<u8>>>,
    ) -> Result<()> {
        let (mut machine, mut applied) = (self.machine.lock(), self.applied.lock());
        machine.load(saved.get_ref());
        *applied = (meta.last_log_id, meta.last_membership.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>> {
        let has_any = self.applied.lock().0.is_some();
        Ok(has_any.then(|| self.snapshot()))
    }
}
