//! Going on without a majority, because an operator says so: offline, on one survivor.
//!
//! ```text
//!   1 2 3 4 5    3, 4 and 5 are gone for good: nobody can be elected, nothing be committed
//!   1 2          of those that are left, 1 has the most up-to-date log
//!   1'           it goes on alone: another name for its disk, a term that nobody can have reached,
//!                and an entry with which it is the only member
//!   1' 2' 6'     others are added as new members, with empty disks
//! ```
//!
//! This is not consensus but a decision against it, and what it costs cannot be found out:
//!
//! * What was committed without the survivor **is lost**, though clients were told that it is done,
//!   and reads may have shown it.
//! * What is in its log and was never committed **is committed**, though clients were told that it
//!   failed, or nothing.
//!
//! So it refuses while a majority can be reached, and wants to be told by name whom it gives up.
//!
//! # The old members must not reach the survivor
//!
//! Nothing that it says counts with them any more, for its disk has another name. But should enough
//! of them come back to elect a leader, that leader would take the survivor for one that is behind.
//! A number of the cluster that each connection states, as the transport of `raft-net` has it,
//! keeps them apart; it must be another one from now on. Terms leap so far that no entry of theirs
//! can pass for one of the survivor's.
//!
//! # What this module does not do
//!
//! It asks nobody who can be reached, and writes nothing: a command line does the one, the store of
//! the survivor the other.

use std::fmt;

use crate::entries::Entries;
use crate::log::configurations;
use crate::quorum::Tally;
use crate::storage::{Storage, StorageError};
use crate::types::{
    Configuration, Entry, HardState, Incarnation, Index, NodeId, Payload, Position, Term,
};
use crate::write::Write;

/// How far the term leaps: further than elections get, at a thousand a second for a month.
const TERMS: u64 = 1 << 32;

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct Survivor<'a> {
    /// Who goes on.
    pub id: NodeId,
    /// The disk that it has.
    pub disk: Incarnation,
    /// How its disk is called from now on: by a name that was never used.
    pub new_disk: Incarnation,
    /// All other members, by name: that each of them is given up is the operator's word.
    pub given_up: &'a [NodeId],
    /// Those of them that still answer, as far as is known.
    pub reachable: &'a [NodeId],
}

/// Why a server does not go on alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// There is no need.
    #[error(
        "servers {} answer, which with this one are a majority: start this server, and remove the \
         lost ones by a change of members",
        list(reachable)
    )]
    MajorityLeft {
        /// Who answers.
        reachable: Vec<NodeId>,
    },
    /// The operator has another cluster in mind.
    #[error(
        "the other members are {}, and {} were given up: name exactly all others",
        list(expected),
        list(given)
    )]
    Others {
        /// All members but this one.
        expected: Vec<NodeId>,
        /// Whom the operator named.
        given: Vec<NodeId>,
    },
    /// It knows terms and indices, and nothing else.
    #[error("this server is a witness and has no commands: choose another survivor")]
    Witness,
    /// Nobody can know whether it has anything.
    #[error("server {id} is no member of the configuration in its log: choose another survivor")]
    NotMember {
        /// Who.
        id: NodeId,
    },
    /// What the disk has promised would count again.
    #[error("disk {disk} is a name that is known already, or a witness's: choose another one")]
    KnownDisk {
        /// As given.
        disk: Incarnation,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn list(ids: &[NodeId]) -> String {
    let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

/// What a survivor is about to do. Show it to whoever decides: it says what may be lost.
#[derive(Debug)]
#[must_use = "nothing is recovered until it is written"]
pub struct Recovery {
    id: NodeId,
    given_up: Vec<NodeId>,
    new_disk: Incarnation,
    last: Position,
    commit: Index,
    at: Position,
    write: Write,
}

impl Recovery {
    /// Looks whether a survivor may go on alone, and what that takes.
    pub fn plan(storage: &impl Storage, of: &Survivor<'_>) -> Result<Self, RecoveryError> {
        if of.disk.is_witness() {
            return Err(RecoveryError::Witness);
        }
        let known = configurations(storage)?;
        let (_, configuration) = known.back().expect("there is always a configuration");
        let Some(own_disk) = configuration.incarnation(of.id) else {
            return Err(RecoveryError::NotMember { id: of.id });
        };
        let others = configuration.members.iter().map(|(id, _)| *id).filter(|id| *id != of.id);
        let (expected, mut given): (Vec<_>, _) = (others.collect(), of.given_up.to_vec());
        given.sort_unstable();
        given.dedup();
        if expected != given {
            return Err(RecoveryError::Others { expected, given });
        }
        // A disk that a recovery has renamed, which then was cut short, is nobody's.
        let is_up = |id| of.reachable.contains(&id) || (id == of.id && own_disk == of.disk);
        if configuration.tally(|id| is_up(id).then_some(true)) == Tally::Won {
            return Err(RecoveryError::MajorityLeft { reachable: of.reachable.to_vec() });
        }
        let is_known = known.iter().flat_map(|(_, it)| &it.members).any(|it| it.1 == of.new_disk);
        if of.new_disk.is_witness() || is_known {
            return Err(RecoveryError::KnownDisk { disk: of.new_disk });
        }
        Ok(Self::of(storage, of, given))
    }

    fn of(storage: &impl Storage, of: &Survivor<'_>, given_up: Vec<NodeId>) -> Self {
        let HardState { term, commit, .. } = storage.hard_state();
        let index = storage.last_index();
        let last = Position { index, term: storage.term(index).unwrap_or_default() };
        let at = Position { index: index + 1, term: Term(term.0 + TERMS) };
        let configuration = Configuration {
            voters: vec![of.id],
            members: vec![(of.id, of.new_disk)],
            ..Configuration::default()
        };
        let payload = Payload::Configuration(Box::new(configuration));
        let entries = Entries::from(vec![Entry { index: at.index, term: at.term, payload }]);
        let hard_state = HardState { term: at.term, vote: None, commit };
        let write =
            Write { sequence: 0, hard_state, snapshot: None, entries, promises: Vec::new() };
        Self { id: of.id, given_up, new_disk: of.new_disk, last, commit, at, write }
    }

    /// How the disk is called from now on; it goes into the store and into `Config`.
    pub const fn incarnation(&self) -> Incarnation {
        self.new_disk
    }

    /// What is to be written, together with the name of the disk.
    pub const fn write(&self) -> &Write {
        &self.write
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, given_up, last, commit, at, .. } = self;
        writeln!(
            f,
            "UNSAFE RECOVERY: server {id} goes on as the only member, without a majority.\n\
             Given up: {}. They must never be started again with the disks that they have.",
            list(given_up)
        )?;
        writeln!(
            f,
            "Kept: everything up to entry {} of term {}. Committed for certain: up to {commit}.",
            last.index, last.term
        )?;
        writeln!(
            f,
            "What was committed behind entry {} is LOST, though clients were told it was done.",
            last.index
        )?;
        if *commit < last.index {
            writeln!(
                f,
                "What was not committed of entries {} to {} TAKES EFFECT, though clients were told \
                 nothing.",
                *commit + 1,
                last.index
            )?;
        }
        write!(f, "The new configuration is entry {} of term {}.", at.index, at.term)
    }
}

#[cfg(test)]
mod tests;
