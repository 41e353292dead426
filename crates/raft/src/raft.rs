//! One server: what a driver calls.
//!
//! # What this module does not do
//!
//! It holds no logic; each call goes to the part of the protocol that it belongs to.

use std::iter::once;

use bytes::Bytes;

use crate::config::{Config, ConfigError, ReadMode};
use crate::core::{Core, Role};
use crate::election::{self, Reason};
use crate::log::Log;
use crate::membership::Change;
use crate::message::{Message, ReadId};
use crate::progress::Progress;
use crate::quiescence;
use crate::read_index::{self, ReadError};
use crate::ready::{self, Ready};
use crate::reconfiguration::{self, ChangeError, Way};
use crate::replication;
use crate::storage::{Storage, StorageError};
use crate::transfer::{self, TransferError};
use crate::types::{
    Configuration, HardState, Index, NodeId, Payload, Position, Snapshot, SnapshotMeta, Term,
};
use crate::{step, write::Write};

/// Why a server cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The knobs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a command was not proposed. Nothing of a batch was, then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Somebody else decides.
    #[error("this server does not lead: ask {}", leader.map_or_else(
        || "again after the election".to_owned(), |id| format!("server {id}")))]
    NotLeader {
        /// Who does, where that is known.
        leader: Option<NodeId>,
    },
    /// It will never fit.
    #[error("the command has {len} bytes, and {max} are the limit: split it, or raise the limit")]
    TooLarge {
        /// Its size.
        len: u64,
        /// `Config::entry_bytes_max`.
        max: u64,
    },
    /// Too much is on its way.
    #[error("{waiting} bytes wait to be committed, and {max} are the limit: try again later")]
    Full {
        /// What waits.
        waiting: u64,
        /// `Config::uncommitted_bytes_max`.
        max: u64,
    },
    /// Leadership is given away.
    #[error("leadership is being transferred to {to}: try there")]
    Transferring {
        /// To whom.
        to: NodeId,
    },
}

/// What a server is, for a look from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// It answers.
    Follower,
    /// It asks whether it would be elected.
    PreCandidate,
    /// It asks to be elected.
    Candidate,
    /// It decides.
    Leader,
}

/// A look at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who.
    pub id: NodeId,
    /// What it is.
    pub role: RoleName,
    /// `currentTerm`.
    pub term: Term,
    /// `votedFor`.
    pub vote: Option<NodeId>,
    /// The leader of this term, where it is known.
    pub leader: Option<NodeId>,
    /// The end of the log.
    pub last: Position,
    /// What of the log is durable.
    pub stable: Index,
    /// `commitIndex`.
    pub commit: Index,
    /// `lastApplied`.
    pub applied: Index,
    /// To whom leadership is being given.
    pub transfer: Option<NodeId>,
    /// The bytes of a leader's snapshot that was refused: `Config::snapshot_bytes_max` is below
    /// them, and until it is raised this server stays behind.
    pub refused_snapshot: Option<u64>,
    /// How often this server, as a leader, could not read what it was to send. It tries again at
    /// each heartbeat; whoever needs it lacks it until then. [`Raft::read_error`] says why.
    pub read_errors: u64,
}

/// One server of a cluster, without I/O. See the crate's header for how to drive it.
#[derive(Debug)]
pub struct Raft<S> {
    core: Core<S>,
}

impl<S: Storage> Raft<S> {
    /// A server that continues from what its store has. Its state machine has applied everything
    /// up to `applied`; 0 where it starts empty.
    pub fn new(config: Config, storage: S, applied: Index) -> Result<Self, StartError> {
        config.validate()?;
        Ok(Self { core: Core::new(config, Log::open(storage, applied)?) })
    }

    /// Time passes. A driver calls this at a steady rate; `Config` counts in these ticks.
    pub fn tick(&mut self) {
        election::tick(&mut self.core);
    }

    /// A message has come. Whatever it says does no harm to the safety of this server, as long as
    /// it is from a server that follows the protocol.
    ///
    /// Panics where it contradicts what is committed, which no such server can say.
    pub fn step(&mut self, message: Message) {
        step::step(&mut self.core, message);
    }

    /// Campaigns now, whatever the timeout; nothing happens where that is not possible.
    pub fn campaign(&mut self) {
        if !self.core.is_leader() && self.core.is_promotable() {
            election::campaign(&mut self.core, Reason::Timeout);
        }
    }

    /// Proposes a command. It may be applied if this returns an index, and also if the leadership
    /// is lost after that; it certainly is once it comes out of [`Ready::apply`].
    pub fn propose(&mut self, command: Bytes) -> Result<Index, ProposeError> {
        self.admit(std::slice::from_ref(&command))?;
        Ok(replication::append(&mut self.core, once(Payload::Command(command))))
    }

    /// Proposes commands that come one after another in the log; returns the index of the last.
    pub fn propose_all(&mut self, commands: Vec<Bytes>) -> Result<Index, ProposeError> {
        self.admit(&commands)?;
        Ok(replication::append(&mut self.core, commands.into_iter().map(Payload::Command)))
    }

    /// Takes commands into account, all or none.
    fn admit(&mut self, commands: &[Bytes]) -> Result<(), ProposeError> {
        let leader = replication::leader_elsewhere(&self.core);
        let last = self.core.log.last_index() + commands.len() as u64;
        let (entry_max, max) =
            (self.core.config.entry_bytes_max, self.core.config.uncommitted_bytes_max);
        let Role::Leader(it) = &mut self.core.role else {
            return Err(ProposeError::NotLeader { leader });
        };
        if let Some(transfer) = it.transfer {
            return Err(ProposeError::Transferring { to: transfer.to });
        }
        let mut bytes = 0;
        for command in commands {
            let len = command.len() as u64;
            if len > entry_max {
                return Err(ProposeError::TooLarge { len, max: entry_max });
            }
            bytes += len;
        }
        let waiting = it.uncommitted_bytes;
        // One batch is let in when nothing waits, however large, or it could never be.
        if waiting > 0 && waiting + bytes > max {
            return Err(ProposeError::Full { waiting, max });
        }
        it.uncommitted.push_back((last, bytes));
        it.uncommitted_bytes += bytes;
        Ok(())
    }

    /// Asks for a linearizable read. It comes out of [`Ready::reads`].
    pub fn read(&mut self, mode: ReadMode) -> Result<ReadId, ReadError> {
        read_index::read(&mut self.core, mode)
    }

    /// Changes the configuration; returns where the next one stands. It is in force at once, and
    /// safe to rely on once it is committed.
    pub fn change(&mut self, changes: &[Change], way: Way) -> Result<Index, ChangeError> {
        reconfiguration::change(&mut self.core, changes, way)
    }

    /// Leaves a joint configuration that was entered [`Way::JointUntilLeft`].
    pub fn leave_joint(&mut self) -> Result<Index, ChangeError> {
        reconfiguration::leave(&mut self.core)
    }

    /// Gives leadership away. [`Status::transfer`] tells whether that is under way.
    pub fn transfer(&mut self, to: NodeId) -> Result<(), TransferError> {
        transfer::start(&mut self.core, to)
    }

    /// Whether [`Raft::ready`] may have something. It costs far less to ask first.
    pub fn has_ready(&self) -> bool {
        ready::has_work(&self.core)
    }

    /// What is to be done now. After an error nothing is lost, and the store should be looked at.
    pub fn ready(&mut self) -> Result<Ready, StorageError> {
        let mut ready = Ready::default();
        self.ready_into(&mut ready)?;
        Ok(ready)
    }

    /// As [`Raft::ready`], into one of which everything has been done: where it is used again and
    /// again, its buffers are too.
    ///
    /// Panics where something is left in it.
    //
    // A driver's loop into which this is inlined works out the addresses of all that it touches,
    // and keeps them on the stack, also where there is nothing to do.
    #[inline(never)]
    pub fn ready_into(&mut self, ready: &mut Ready) -> Result<(), StorageError> {
        ready::take(&mut self.core, ready)
    }

    /// A write is durable, and [`Storage`] shows it; send what this returns.
    ///
    /// Panics where an earlier write is not finished.
    pub fn persisted(&mut self, write: Write) -> Vec<Message> {
        let mut messages = Vec::new();
        self.persisted_into(write, &mut messages);
        messages
    }

    /// As [`Raft::persisted`], behind what is in `messages`, so that their buffer is used again.
    //
    // Not inlined: see `ready_into`.
    #[inline(never)]
    pub fn persisted_into(&mut self, write: Write, messages: &mut Vec<Message>) {
        ready::persisted(&mut self.core, write, messages);
    }

    /// Everything up to `index` is applied.
    ///
    /// Panics where that was never handed out.
    pub fn applied(&mut self, index: Index) {
        self.core.log.applied_to(index);
        read_index::serve(&mut self.core);
    }

    /// A snapshot of the state machine, which has applied everything up to what
    /// [`Raft::applied`] was told last. The store can keep it and compact the log.
    pub fn snapshot(&self, data: Bytes) -> Result<Snapshot, StorageError> {
        Ok(Snapshot {
            meta: self.core.snapshot_meta(self.core.log.applied(), data.len() as u64)?,
            data,
        })
    }

    /// What a snapshot would replace that is made of the state behind entry `index`: one that was
    /// handed out to be applied, and not before what [`Raft::applied`] was told last. For drivers
    /// that apply elsewhere; `len` is theirs to fill in.
    pub fn snapshot_meta(&self, index: Index) -> Result<SnapshotMeta, StorageError> {
        self.core.snapshot_meta(index, 0)
    }

    /// The store.
    pub const fn storage(&self) -> &S {
        self.core.log.storage()
    }

    /// The store, to write into it what [`Ready`] asks for, and to compact it.
    pub const fn storage_mut(&mut self) -> &mut S {
        self.core.log.storage_mut()
    }

    /// The configuration in force, committed or not.
    pub fn configuration(&self) -> &Configuration {
        self.core.configuration()
    }

    /// Where the configuration in force stands in the log.
    pub fn configuration_index(&self) -> Index {
        self.core.log.configuration().0
    }

    /// The term of an entry, where the log has it.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.core.log.term(index).ok()
    }

    /// Whether a driver may let this server's time stand still: nothing is to be done here for as
    /// long as everybody is alive who is not excused. For drivers of many servers, which then see
    /// to it that nodes hear of each other, and call [`Raft::pass_time`] before anything else.
    pub fn is_quiescent(&self, is_excused: impl Fn(NodeId) -> bool) -> bool {
        quiescence::is_quiescent(&self.core, is_excused)
    }

    /// Time has passed at once that [`Raft::tick`] did not count. `heard` gives, for a follower's
    /// leader, at most how many ticks ago it was known to lead, in this term; and for the others
    /// of a leader at most how many ticks ago it asked what they have since answered: that they
    /// follow it, in this term. `None` where nothing is known.
    pub fn pass_time(&mut self, ticks: u32, heard: impl Fn(NodeId) -> Option<u32>) {
        quiescence::pass(&mut self.core, ticks, heard);
    }

    /// What a member of a leader knows is in doubt: a heartbeat must be answered before this server
    /// is quiescent again.
    pub fn unsettle(&mut self, member: NodeId) {
        quiescence::unsettle(&mut self.core, member);
    }

    /// The leader of this term, where it is known.
    pub const fn leader(&self) -> Option<NodeId> {
        self.core.leader
    }

    /// What a leader knows of the others; nothing where this server does not lead.
    pub fn progress(&self) -> &[Progress] {
        match &self.core.role {
            Role::Leader(leader) => &leader.progress,
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => &[],
        }
    }

    /// Term, vote and commit index.
    pub const fn hard_state(&self) -> HardState {
        self.core.hard_state()
    }

    /// How many committed entries wait to be applied.
    pub const fn unapplied(&self) -> u64 {
        self.core.log.commit().since(self.core.log.applied())
    }

    /// Why this server could not read what it was to send, the last time that it could not.
    pub const fn read_error(&self) -> Option<&StorageError> {
        self.core.read_error.as_ref()
    }

    /// Who this server is.
    pub const fn id(&self) -> NodeId {
        self.core.id()
    }

    /// Whether this server leads.
    pub const fn is_leader(&self) -> bool {
        self.core.is_leader()
    }

    /// A look at the server.
    pub fn status(&self) -> Status {
        let core = &self.core;
        let (role, transfer) = match &core.role {
            Role::Follower => (RoleName::Follower, None),
            Role::PreCandidate(_) => (RoleName::PreCandidate, None),
            Role::Candidate(_) => (RoleName::Candidate, None),
            Role::Leader(leader) => (RoleName::Leader, leader.transfer.map(|it| it.to)),
        };
        Status {
            id: core.id(),
            role,
            term: core.term,
            vote: core.vote,
            leader: core.leader,
            last: core.log.last(),
            stable: core.log.stable(),
            commit: core.log.commit(),
            applied: core.log.applied(),
            transfer,
            refused_snapshot: core.refused_snapshot,
            read_errors: core.read_errors,
        }
    }

    /// Panics where the state contradicts itself. May be called at any time; for tests.
    pub fn check_invariants(&self) {
        self.core.check_invariants();
    }
}
