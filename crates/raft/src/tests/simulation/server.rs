//! A server in the world: the core, a disk, a state machine, and what clients wait for.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Timestamp;
use env::fs::FsError;
use env::random::{Random, SeededRandom};
use harness::check::model::{RegisterOp, RegisterRet};
use harness::sim::{self, Context, Host, SimFs};

use super::export::Export;
use super::machine::{Machine, RequestId, command};
use super::oracle::Oracle;
use super::{Plan, TICK};
use crate::storage::Storage;
use crate::{
    Apply, Config, Configuration, DiskError, DiskLog, DiskStorage, GroupId, HardState, Incarnation,
    Index, Message, NodeId, Payload, Raft, Read, ReadId, Snapshot, Write,
};

const TICK_TIMER: u64 = 1;
const WRITE_TIMER: u64 = 2;
const REOPEN_TIMER: u64 = 3;

/// The only group.
pub(super) const GROUP: GroupId = GroupId(1);

/// Short segments, so that many are begun and released.
pub(super) const LOG: wal::Options =
    wal::Options { segment_len: 2048, backend: wal::Backend::Written, spares_max: 1 };

/// Turns of effects after one event, far more than any event has.
const TURNS_MAX: u32 = 1_000;

/// What goes over the network.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    Raft(Message),
    Request { id: RequestId, op: RegisterOp },
    Reply { id: RequestId, ret: RegisterRet },
}

/// What all servers of a run share.
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) oracle: RefCell<Oracle>,
    pub(super) export: Export,
    /// How often the disk of a server was wiped.
    pub(super) wipes: RefCell<BTreeMap<NodeId, u64>>,
}

pub(super) struct Server {
    id: NodeId,
    fs: Arc<SimFs>,
    random: SeededRandom,
    shared: Rc<Shared>,
    /// Which life of the process this is, counting those that a failed disk ended.
    pub(super) life: u64,
    /// Rises whenever something happens to it.
    pub(super) doings: u64,
    /// `None` from the failure of the disk until it is opened again.
    pub(super) raft: Option<Raft<DiskStorage>>,
    pub(super) incarnation: Incarnation,
    /// Goes with `raft`: both hold the lock of the folder.
    log: Option<DiskLog>,
    /// What the last sync has made durable: hard state, and the end of the log.
    durable: (HardState, Index),
    /// The first entry that was written since; everything after a snapshot.
    unsynced: Index,
    machine: Machine,
    writes: VecDeque<Write>,
    next_tick: Timestamp,
    reads: BTreeMap<ReadId, (sim::NodeId, RequestId)>,
    waiting: BTreeMap<RequestId, sim::NodeId>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The number of a server in the world.
pub(super) fn in_world(id: NodeId) -> sim::NodeId {
    sim::NodeId(u32::try_from(id.0).expect("servers have small numbers"))
}

impl Server {
    pub(super) fn open(host: Host, shared: Rc<Shared>) -> Result<Self, FsError> {
        let id = NodeId(u64::from(host.id.0));
        let recovered = recover(&host.fs, id, &shared)?;
        let mut server = Self {
            id,
            fs: host.fs,
            random: host.random,
            shared,
            life: host.incarnation * 1_000,
            doings: 0,
            raft: None,
            incarnation: recovered.1.incarnation(),
            log: None,
            durable: (HardState::default(), Index::ZERO),
            unsynced: Index(u64::MAX),
            machine: Machine::default(),
            writes: VecDeque::new(),
            next_tick: Timestamp::ZERO,
            reads: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        server.begin(recovered);
        Ok(server)
    }

    /// A new life from what the disk has.
    fn begin(&mut self, (log, storage, snapshot): Recovered) {
        self.life += 1;
        self.incarnation = storage.incarnation();
        self.durable = (storage.hard_state(), storage.last_index());
        {
            let mut oracle = self.shared.oracle.borrow_mut();
            oracle.synced(self.id, Index::ZERO, &storage);
            oracle.has_lost_disks |= !self.shared.wipes.borrow().is_empty();
        }
        self.log = Some(log);
        self.machine = Machine::decode(&snapshot.data);
        let applied = snapshot.meta.last.index;
        let seed = self.random.next_u64();
        let config =
            Config { incarnation: self.incarnation, ..self.shared.plan.config(self.id, seed) };
        self.raft = Some(Raft::new(config, storage, applied).expect("a valid plan"));
        self.unsynced = Index(u64::MAX);
        self.writes.clear();
        self.reads.clear();
        self.waiting.clear();
    }

    pub(super) fn on_start(&mut self, context: &mut Context<'_, Wire>) {
        self.next_tick = context.now() + TICK;
        context.set_timer(TICK_TIMER, TICK);
        self.pump(context);
    }

    pub(super) fn on_timer(&mut self, token: u64, context: &mut Context<'_, Wire>) {
        match token {
            TICK_TIMER => {
                self.catch_up(context.now());
                context.set_timer(TICK_TIMER, TICK);
            }
            WRITE_TIMER => {
                // Some of those that wait, so that a slow server catches up in the end.
                for _ in 0..=self.random.below(self.writes.len().max(1) as u64) {
                    self.finish_write(context);
                }
                self.plan_write(context);
            }
            _ => self.reopen(context),
        }
        self.pump(context);
    }

    pub(super) fn on_message(
        &mut self,
        from: sim::NodeId,
        wire: Wire,
        context: &mut Context<'_, Wire>,
    ) {
        self.catch_up(context.now());
        self.doings += 1;
        let Some(raft) = &mut self.raft else { return };
        match wire {
            Wire::Raft(message) => raft.step(message),
            Wire::Request { id, op: RegisterOp::Read } => {
                if let Ok(read) = raft.read(self.shared.plan.read_mode) {
                    self.reads.insert(read, (from, id));
                }
            }
            Wire::Request { id, op } => {
                if raft.propose(command(id, op)).is_ok() {
                    self.waiting.insert(id, from);
                }
            }
            Wire::Reply { .. } => {}
        }
        self.pump(context);
    }

    /// Delivers the ticks that are due, also those that a pause held up.
    fn catch_up(&mut self, now: Timestamp) {
        while self.next_tick <= now {
            self.next_tick = self.next_tick + TICK;
            if let Some(raft) = &mut self.raft {
                raft.tick();
            }
        }
        // A clock that was set back must not stop the ticks.
        self.next_tick = self.next_tick.min(now + TICK);
    }

    /// Does what there is to do.
    ///
    /// Panics where that never ends.
    pub(super) fn pump(&mut self, context: &mut Context<'_, Wire>) {
        self.doings += 1;
        for turn in 0.. {
            let Some(raft) = &mut self.raft else { return };
            assert!(turn < TURNS_MAX, "a server never runs out of effects");
            let ready = raft.ready().expect("memory can be read");
            if ready.is_empty() {
                return;
            }
            let durable = self.durable;
            self.shared.export.sent(context.now(), &ready.messages);
            let messages = ready.messages.into_iter();
            messages.for_each(|message| Self::say(durable, message, context));
            if let Some(write) = ready.write {
                if raft.storage_mut().write(&write).is_err() {
                    return self.fail(context);
                }
                let first = write.entries().first().map_or(self.unsynced, |entry| entry.index);
                let first = if write.snapshot().is_some() { Index::ZERO } else { first };
                self.unsynced = self.unsynced.min(first);
                let is_first = self.writes.is_empty();
                self.writes.push_back(write);
                if !self.shared.plan.is_lazy {
                    self.finish_write(context);
                } else if is_first {
                    // The others follow it; a timer that each one set anew might never fire.
                    self.plan_write(context);
                }
            }
            if let Some(apply) = ready.apply {
                self.apply(apply, context);
            }
            ready.reads.into_iter().for_each(|read| self.serve(read, context));
        }
    }

    fn say(durable: (HardState, Index), message: Message, context: &mut Context<'_, Wire>) {
        Oracle::said(&message, durable);
        context.send(in_world(message.to), Wire::Raft(message));
    }

    /// How many writes are not durable yet.
    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    fn plan_write(&mut self, context: &mut Context<'_, Wire>) {
        if !self.writes.is_empty() {
            context.set_timer(WRITE_TIMER, Duration::from_micros(self.random.below(3_000)));
        }
    }

    fn finish_write(&mut self, context: &mut Context<'_, Wire>) {
        let Some(write) = self.writes.pop_front() else { return };
        let (Some(raft), Some(log)) = (&mut self.raft, &self.log) else { return };
        if log.sync().is_err() {
            return self.fail(context);
        }
        self.durable = (raft.storage().hard_state(), raft.storage().last_index());
        let from = std::mem::replace(&mut self.unsynced, Index(u64::MAX));
        if from < Index(u64::MAX) {
            self.shared.oracle.borrow_mut().synced(self.id, from, raft.storage());
        }
        let promises = raft.persisted(write);
        self.shared.export.sent(context.now(), &promises);
        for message in promises {
            Self::say(self.durable, message, context);
        }
    }

    /// The disk has failed: nothing in memory may be relied on.
    fn fail(&mut self, context: &mut Context<'_, Wire>) {
        (self.raft, self.log) = (None, None);
        self.writes.clear();
        context.set_timer(REOPEN_TIMER, 5 * TICK);
    }

    fn reopen(&mut self, context: &mut Context<'_, Wire>) {
        match recover(&self.fs, self.id, &self.shared) {
            Ok(recovered) => self.begin(recovered),
            Err(_) => context.set_timer(REOPEN_TIMER, 5 * TICK),
        }
    }

    fn apply(&mut self, apply: Apply, context: &mut Context<'_, Wire>) {
        let Some(raft) = &mut self.raft else { return };
        let index = match apply {
            Apply::Snapshot => {
                let Ok(snapshot) = raft.storage().snapshot() else { return self.fail(context) };
                self.machine = Machine::decode(&snapshot.data);
                let last = snapshot.meta.last;
                self.shared.oracle.borrow().restored(self.id, last, &self.machine);
                last.index
            }
            Apply::Entries(entries) => {
                let who = (self.id, raft.status().term);
                self.shared.oracle.borrow_mut().note_configuration(raft.configuration());
                for entry in &entries {
                    if let Payload::Command(command) = &entry.payload {
                        let (id, ret) = self.machine.apply(command);
                        if let Some(client) = self.waiting.remove(&id) {
                            context.send(client, Wire::Reply { id, ret });
                        }
                    }
                    self.shared.export.applied(context.now(), self.id, entry);
                    self.shared.oracle.borrow_mut().applied(who, entry, &self.machine);
                }
                entries.last().expect("never empty").index
            }
        };
        raft.applied(index);
    }

    fn serve(&mut self, read: Read, context: &mut Context<'_, Wire>) {
        let (Read::Serve(id) | Read::Lost(id)) = read;
        let Some((client, request)) = self.reads.remove(&id) else { return };
        if matches!(read, Read::Serve(_)) {
            context.send(client, Wire::Reply { id: request, ret: self.machine.value() });
        }
    }

    /// Keeps a snapshot of what is applied, and compacts the log up to a few entries before it.
    pub(super) fn compact(&mut self, keep: u64, context: &mut Context<'_, Wire>) {
        let Some(raft) = &mut self.raft else { return };
        let applied = raft.status().applied;
        if applied <= raft.storage().snapshot_meta().last.index {
            return;
        }
        let state =
            if self.incarnation.is_witness() { Bytes::new() } else { self.machine.encode() };
        let snapshot = raft.snapshot(state).expect("what is applied has a term");
        let keep_after = Index(applied.0.saturating_sub(keep));
        if raft.storage_mut().compact(&snapshot, keep_after).is_err() {
            self.fail(context);
        }
    }
}

/// What a disk has.
type Recovered = (DiskLog, DiskStorage, Snapshot);

fn recover(fs: &Arc<SimFs>, id: NodeId, shared: &Shared) -> Result<Recovered, FsError> {
    let open = || -> Result<_, DiskError> {
        let log = DiskLog::open(Arc::<SimFs>::clone(fs), Path::new("/raft"), LOG)?;
        let storage = match log.group(GROUP) {
            Err(DiskError::NoGroup { .. }) => match shared.wipes.borrow().get(&id) {
                Some(&wipes) => {
                    log.create(GROUP, shared.plan.incarnation(id, wipes), Configuration::default())?
                }
                None => {
                    log.create(GROUP, shared.plan.incarnation(id, 0), shared.plan.founding(id))?
                }
            },
            other => other?,
        };
        let snapshot = storage.snapshot()?;
        Ok((log, storage, snapshot))
    };
    match open() {
        Ok(found) => Ok(found),
        Err(DiskError::Fs(cause) | DiskError::Wal(wal::Error::Fs(cause))) => Err(cause),
        Err(cause) => panic!("server {id} finds its log damaged: {cause}"),
    }
}
