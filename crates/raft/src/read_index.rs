//! Reads without a log entry: linearizable, and as cheap as a heartbeat (D§6.4).
//!
//! ```text
//!   read          index = commit          round r + 1            a majority has answered r + 1
//!     |                 |                     |                               |
//!     '--- own entry committed? --- yes ------'------------------> served once index is applied
//!                  no: wait until one is                    (or at once under a valid lease)
//! ```
//!
//! A round begins after the read has come; so each server of a majority has said *after that* that
//! it knows no later leader, and no later leader can have committed anything by then. A round is
//! never used twice, and an answer names it. All reads between two calls of `ready` share one.
//!
//! A lease (D§6.4.1) turns this around: a majority that answered round `r` elects nobody for
//! `election_ticks` from then on, and `r` had not begun earlier than the leader's own note of it.
//! [`ReadMode::Lease`] states what that assumes of clocks.
//!
//! # What this module does not do
//!
//! It knows no state machine: it says when a read may be served, not what it returns.

use crate::config::ReadMode;
use crate::core::{Core, Leader, Role, WaitingRead};
use crate::message::{Body, Read, ReadId};
use crate::mutants::{Bug, on};
use crate::replication::{knows_commit, leader_elsewhere};
use crate::storage::Storage;
use crate::types::{Index, NodeId};

/// Rounds without an answer whose beginning is remembered; older ones could extend no lease.
const ROUNDS_MAX: usize = 256;

/// Why a read cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nobody to ask.
    #[error("no leader is known: ask again after the election, or ask another server")]
    NoLeader,
    /// It has no state machine.
    #[error("this server is a witness and has nothing to read: ask another server")]
    Witness,
    /// Too many wait.
    #[error("{waiting} reads wait, and {max} are the limit: try again later")]
    Full {
        /// How many do.
        waiting: usize,
        /// `Config::reads_max`.
        max: usize,
    },
}

/// Asks for a read.
pub(crate) fn read<S: Storage>(core: &mut Core<S>, mode: ReadMode) -> Result<ReadId, ReadError> {
    if core.config.incarnation.is_witness() {
        return Err(ReadError::Witness);
    }
    let (waiting, max) = (core.waiting_reads(), core.config.reads_max);
    if waiting >= max {
        return Err(ReadError::Full { waiting, max });
    }
    let id = ReadId { boot: core.boot, sequence: core.read_sequence };
    if core.is_leader() {
        accept(core, id, mode, None);
    } else {
        let leader = leader_elsewhere(core).ok_or(ReadError::NoLeader)?;
        let deadline = core.ticks + u64::from(core.config.election_ticks);
        core.forwarded.push_back((id, deadline));
        core.send(leader, Body::ReadIndex { id, mode });
    }
    core.read_sequence += 1;
    Ok(id)
}

/// A follower asks. Who leads no more, or has too many that wait, does not answer, and the follower
/// gives up in time.
pub(crate) fn on_request<S: Storage>(core: &mut Core<S>, from: NodeId, id: ReadId, mode: ReadMode) {
    if core.is_leader() && core.waiting_reads() < core.config.reads_max {
        accept(core, id, mode, Some(from));
    }
}

/// The leader has answered.
pub(crate) fn on_response<S: Storage>(core: &mut Core<S>, id: ReadId, index: Index) {
    // Mostly the first: answers come in the order of questions.
    if let Ok(position) = core.forwarded.binary_search_by_key(&id, |(asked, _)| *asked) {
        core.forwarded.remove(position);
        serve_at(core, id, index);
    }
}

fn accept<S: Storage>(core: &mut Core<S>, id: ReadId, mode: ReadMode, from: Option<NodeId>) {
    let knows = knows_commit(core) || on(Bug::ReadBeforeOwnCommit);
    if knows && mode == ReadMode::Lease && has_lease(core) {
        return answer(core, id, from, core.log.commit());
    }
    let commit = core.log.commit();
    let Role::Leader(leader) = &mut core.role else { return };
    let bound = knows.then(|| bind(leader, commit));
    leader.reads.push_back(WaitingRead { id, from, bound });
}

/// What confirms a read that comes now.
fn bind(leader: &mut Leader, commit: Index) -> (Index, u64) {
    leader.wants_round = true;
    let old = u64::from(on(Bug::ReadUsesOldRound));
    (commit, leader.round + 1 - old)
}

/// Whether a majority has promised to elect nobody yet.
fn has_lease<S: Storage>(core: &Core<S>) -> bool {
    let Role::Leader(leader) = &core.role else { return false };
    let Some(margin) = core.config.lease_margin_ticks else { return false };
    let length = u64::from(core.config.election_ticks - margin);
    let is_void = leader.is_lease_void && !on(Bug::LeaseSurvivesTransfer);
    leader.confirmed_round > 0 && !is_void && core.ticks - leader.confirmed_tick < length
}

/// The leader has committed: reads that waited to know what can be bound now.
pub(crate) fn on_commit<S: Storage>(core: &mut Core<S>) {
    if !knows_commit(core) {
        return;
    }
    let commit = core.log.commit();
    let Role::Leader(leader) = &mut core.role else { return };
    // All of them or none: once the leader knows, a read is bound when it comes.
    if leader.reads.front().is_none_or(|read| read.bound.is_some()) {
        return;
    }
    let mut reads = std::mem::take(&mut leader.reads);
    for read in reads.iter_mut().filter(|read| read.bound.is_none()) {
        read.bound = Some(bind(leader, commit));
    }
    leader.reads = reads;
}

/// Begins a round. Every message that the leader sends from now on asks it.
pub(crate) fn begin_round(leader: &mut Leader, now: u64) {
    leader.round += 1;
    leader.rounds.push_back((leader.round, now));
    if leader.rounds.len() > ROUNDS_MAX {
        leader.rounds.pop_front();
    }
}

/// Looks which rounds a majority has answered, and serves what they confirm.
pub(crate) fn confirm<S: Storage>(core: &mut Core<S>) {
    let id = core.id();
    let Role::Leader(leader) = &mut core.role else { return };
    let answered = |voter| {
        if voter == id { leader.round } else { leader.progress(voter).map_or(0, |it| it.round) }
    };
    let reached = core.log.configuration().1.reached(answered);
    while let Some(&(round, tick)) = leader.rounds.front() {
        if round > reached {
            break;
        }
        leader.confirmed_tick = tick;
        leader.rounds.pop_front();
    }
    leader.confirmed_round = leader.confirmed_round.max(reached.min(leader.round));
    while let Some(WaitingRead { id, from, bound: Some((index, round)) }) = core.first_read() {
        if round > core.confirmed_round() {
            break;
        }
        core.pop_read();
        answer(core, id, from, index);
    }
}

fn answer<S: Storage>(core: &mut Core<S>, id: ReadId, from: Option<NodeId>, index: Index) {
    if let Some(follower) = from {
        core.send(follower, Body::ReadIndexResponse { id, index });
    } else {
        serve_at(core, id, index);
    }
}

/// Hands out a read once this is applied, which it may be.
fn serve_at<S: Storage>(core: &mut Core<S>, id: ReadId, index: Index) {
    if index <= core.log.applied() {
        core.reads.push(Read::Serve(id));
    } else {
        core.confirmed.insert((index, id));
    }
}

/// Hands out reads whose index is applied.
pub(crate) fn serve<S: Storage>(core: &mut Core<S>) {
    let applied = core.log.applied();
    while let Some(&(index, id)) = core.confirmed.first()
        && index <= applied
    {
        core.confirmed.pop_first();
        core.reads.push(Read::Serve(id));
    }
}

impl<S: Storage> Core<S> {
    /// Reads that are neither served nor lost yet.
    fn waiting_reads(&self) -> usize {
        let of_leader = match &self.role {
            Role::Leader(leader) => leader.reads.len(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => 0,
        };
        of_leader + self.forwarded.len() + self.confirmed.len()
    }

    fn first_read(&self) -> Option<WaitingRead> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.reads.front().copied()
    }

    fn pop_read(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            leader.reads.pop_front();
        }
    }

    fn confirmed_round(&self) -> u64 {
        let Role::Leader(leader) = &self.role else { return 0 };
        leader.confirmed_round
    }
}
