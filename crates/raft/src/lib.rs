//! Raft as a core without I/O: messages, ticks and proposals go in, effects come out.
//!
//! ```text
//!                     propose  read  change  transfer
//!                         |      |      |      |
//!                         v      v      v      v
//!    network -- step --> +------------------------+ -- ready.messages --> network
//!    clock --- tick ---> |          Raft          | -- ready.write -----> disk
//!    disk - persisted -> |   (no clock, no disk,  |        |                |
//!       (messages that   |    no thread, no lock) |        '-- persisted <--'
//!        waited for it)  +------------------------+ -- ready.apply -----> state machine
//!    state machine ----- applied --->                 -- ready.reads -----> clients
//! ```
//!
//! # The driving loop
//!
//! ```
//! use bytes::Bytes;
//! use raft::{Apply, Config, Configuration, Index, MemoryStorage, NodeId, Payload, Raft};
//!
//! // A cluster of one, so that there is nobody to send to.
//! let storage = MemoryStorage::founding(Configuration::founding([NodeId(1)]));
//! let mut raft = Raft::new(Config::new(NodeId(1), 7), storage, Index::ZERO)?;
//! let mut state: Vec<Bytes> = Vec::new();
//!
//! for tick in 0..50 {
//!     raft.tick();
//!     if tick == 30 {
//!         raft.propose(Bytes::from("x = 1"))?;
//!     }
//!     loop {
//!         let ready = raft.ready()?;
//!         if ready.is_empty() {
//!             break;
//!         }
//!         let mut outgoing = ready.messages; // send these at once,
//!         if let Some(write) = ready.write {
//!             raft.storage_mut().write(&write); // make this durable,
//!             outgoing.extend(raft.persisted(write)); // and then send these
//!         }
//!         assert!(outgoing.is_empty());
//!         if let Some(Apply::Entries(entries)) = ready.apply {
//!             let last = entries.last().map(|entry| entry.index);
//!             let command = |payload| match payload {
//!                 Payload::Command(command) => Some(command),
//!                 Payload::Noop | Payload::Configuration(_) | Payload::Withheld => None,
//!             };
//!             state.extend(entries.iter().filter_map(|entry| command(entry.payload.clone())));
//!             raft.applied(last.expect("it is never empty"));
//!         }
//!     }
//! }
//! assert_eq!(state, ["x = 1"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Decisions
//!
//! * **A configuration is in force once it is in the log** (§6), committed or not. The log derives
//!   it, so truncation, snapshots and restarts need no rule of their own; and no server is ever
//!   behind the configuration that it has already stored, however slowly it applies.
//! * **Every message from a leader is a heartbeat** and asks whether it still leads. One counter of
//!   rounds serves the check for a quorum, reads, and leases.
//! * **Who answers is a disk, in a session**, not a name: see [`Incarnation`] and `message`.
//! * **A witness is a kind of disk**, not a kind of vote: see [`Incarnation`]. It has a vote and
//!   the terms and indices of the log, never a command, and so it never leads.
//! * **Effects are types**: see [`Ready`].
//!
//! # Modules, bottom up
//!
//! | module            | holds                                                                    |
//! |-------------------|--------------------------------------------------------------------------|
//! | `types`           | nodes, terms, indices, entries, configurations                           |
//! | `message`         | what servers say to each other                                           |
//! | [`codec`]         | messages and entries as bytes                                            |
//! | `config`          | ticks, sizes, limits                                                     |
//! | [`quorum`]        | majorities, and two at once                                              |
//! | `membership`      | how a configuration may change                                           |
//! | `entries`         | runs of entries, written once and shared                                 |
//! | `write`           | what must be durable, and what waits for it                              |
//! | `storage`         | what is read from a log store; one in memory                             |
//! | `disk`            | the store on disk, many groups in one log                                |
//! | `log`             | what is stored, and what is on its way there                             |
//! | `progress`        | a leader's view of one follower                                          |
//! | `core`            | the state of a server, and the rule of terms                             |
//! | `election`        | who leads                                                                |
//! | `replication`     | what is sent, and what is committed                                      |
//! | `read_index`      | reads without a log entry                                                |
//! | `reconfiguration` | when a configuration is proposed, and what follows                       |
//! | `recovery`        | going on without a majority                                              |
//! | `snapshot`        | for those who need what is compacted                                     |
//! | `transfer`        | giving leadership away                                                   |
//! | `quiescence`      | time that passes for many groups at once                                 |
//! | `step`            | which message goes where                                                 |
//! | `ready`           | what is to be done                                                       |
//! | `raft`            | the calls                                                                |
//!
//! # What this crate does not do
//!
//! It opens no socket, starts no thread and asks no clock: chance enters as a seed, time as ticks,
//! files through `env`. Threads, connections and client sessions are in `raft-net`; without them a
//! command that is proposed twice is applied twice. It tolerates servers that stop, not servers
//! that lie.

pub mod codec;
mod config;
mod core;
mod disk;
mod election;
mod entries;
mod log;
mod membership;
mod message;
mod mutants;
mod progress;
mod quiescence;
pub mod quorum;
mod raft;
mod read_index;
mod ready;
mod reconfiguration;
mod recovery;
mod replication;
mod snapshot;
mod step;
mod storage;
mod transfer;
mod types;
mod write;

pub use config::{Config, ConfigError, ReadMode};
pub use disk::{
    DiskError, DiskLog, DiskStorage, GroupId, Rewrite, SnapshotFile, SnapshotReader, SnapshotWriter,
};
pub use entries::Entries;
pub use membership::{Change, ConfigurationError};
pub use message::{AppendOutcome, Body, Message, Read, ReadId};
pub use progress::{Mode, Progress};
pub use raft::{ProposeError, Raft, RoleName, StartError, Status};
pub use read_index::ReadError;
pub use ready::{Apply, Ready};
pub use reconfiguration::{ChangeError, Way};
pub use recovery::{Recovery, RecoveryError, Survivor};
pub use storage::{MemoryStorage, Storage, StorageError};
pub use transfer::TransferError;
pub use types::{
    Configuration, Entry, HardState, Incarnation, Index, NodeId, Payload, Position, Snapshot,
    SnapshotMeta, Term,
};
pub use write::Write;

#[cfg(test)]
mod tests;
