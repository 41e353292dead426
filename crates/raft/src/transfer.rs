//! Giving leadership away (D§3.10).
//!
//! ```text
//!   no new proposals --> the target has the whole log --> TimeoutNow --> it campaigns at once
//!          '-------------------- an election timeout later: given up ------------'
//! ```
//!
//! # What this module does not do
//!
//! It takes nothing back. `TimeoutNow` may arrive at any time in this term, so a leader that has
//! sent one has no lease until its next election: those who vote then do not wait for it to end.

use crate::core::{Core, Role, Transfer};
use crate::election::{Reason, campaign};
use crate::message::Body;
use crate::mutants::{Bug, on};
use crate::replication::leader_elsewhere;
use crate::storage::Storage;
use crate::types::NodeId;

/// Why leadership was not given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// It is somebody else's.
    #[error("this server does not lead: ask {}", leader.map_or_else(
        || "again after the election".to_owned(), |id| format!("server {id}")))]
    NotLeader {
        /// Whose, where that is known.
        leader: Option<NodeId>,
    },
    /// Only another voter can lead.
    #[error("server {to} is not another voter: choose one of the configuration's")]
    NotVoter {
        /// The target.
        to: NodeId,
    },
    /// It could not send what it does not keep.
    #[error("server {to} is a witness and never leads: choose another voter")]
    Witness {
        /// The target.
        to: NodeId,
    },
    /// One at a time.
    #[error("leadership is being transferred to {to}: wait until that succeeds or is given up")]
    Transferring {
        /// To whom.
        to: NodeId,
    },
}

/// Begins to give leadership to `to`.
pub(crate) fn start<S: Storage>(core: &mut Core<S>, to: NodeId) -> Result<(), TransferError> {
    let id = core.id();
    let elsewhere = leader_elsewhere(core);
    let Role::Leader(leader) = &mut core.role else {
        return Err(TransferError::NotLeader { leader: elsewhere });
    };
    if to == id || !core.log.configuration().1.is_voter(to) {
        return Err(TransferError::NotVoter { to });
    }
    if core.log.configuration().1.is_witness(to) {
        return Err(TransferError::Witness { to });
    }
    if let Some(transfer) = leader.transfer {
        return Err(TransferError::Transferring { to: transfer.to });
    }
    leader.transfer = Some(Transfer { to, ticks: 0 });
    on_progress(core, to);
    Ok(())
}

/// A follower has more of the log: all of it, if it is the target?
pub(crate) fn on_progress<S: Storage>(core: &mut Core<S>, from: NodeId) {
    let Role::Leader(leader) = &mut core.role else { return };
    let is_target = leader.transfer.is_some_and(|transfer| transfer.to == from);
    let last = core.log.last_index();
    if is_target && leader.progress(from).is_some_and(|it| it.match_index == last) {
        leader.is_lease_void = true;
        core.send(from, Body::TimeoutNow);
    }
}

/// Time passes for a leader: a transfer that takes an election timeout is given up.
pub(crate) fn tick<S: Storage>(core: &mut Core<S>) {
    let limit = core.config.election_ticks;
    let Role::Leader(leader) = &mut core.role else { return };
    let Some(transfer) = &mut leader.transfer else { return };
    transfer.ticks += 1;
    if transfer.ticks >= limit && !on(Bug::TransferNeverEnds) {
        leader.transfer = None;
    }
}

/// The others that may lead.
pub(crate) fn heirs<S: Storage>(core: &Core<S>) -> impl Iterator<Item = NodeId> {
    let configuration = core.configuration();
    let members = configuration.members.iter().map(|(id, _)| *id);
    members.filter(|id| {
        *id != core.id() && configuration.is_voter(*id) && !configuration.is_witness(*id)
    })
}

/// The leader follows from now on. Where another voter has all of its log, that one campaigns at
/// once; else whoever times out first.
pub(crate) fn step_down<S: Storage>(core: &mut Core<S>) {
    let last = core.log.last_index();
    let Role::Leader(leader) = &core.role else { return };
    let has_all = |id: &NodeId| leader.progress(*id).is_some_and(|it| it.match_index == last);
    let heir = heirs(core).find(has_all);
    if let Some(heir) = heir {
        core.send(heir, Body::TimeoutNow);
    }
    core.become_follower(core.term, None);
}

/// The leader wants this server to lead. One that does not know that it votes cannot.
pub(crate) fn on_timeout_now<S: Storage>(core: &mut Core<S>) {
    if !core.is_leader() && core.is_promotable() {
        campaign(core, Reason::Transfer);
    }
}
