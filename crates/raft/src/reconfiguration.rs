//! When a leader may propose a configuration, and what follows once one is committed (§6, D§4).
//!
//! # What this module does not do
//!
//! It remembers nothing. Whether a joint configuration is to be left, or a leader to step down, is
//! read off the log at each commit, so it does not matter which leader proposed it.

use crate::core::{Core, Role};
use crate::membership::{Change, ConfigurationError};
use crate::mutants::{Bug, on};
use crate::replication::{append, follow_configuration, knows_commit, leader_elsewhere};
use crate::storage::Storage;
use crate::types::{Configuration, Index, NodeId, Payload};

/// Which way a configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At once, for one voter at most.
    Simple,
    /// Through a joint configuration that the leader leaves by itself.
    Joint,
    /// Through a joint configuration that stays until it is left by a call.
    JointUntilLeft,
}

/// Why a configuration was not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else decides.
    #[error("this server does not lead: ask {}", leader.map_or_else(
        || "again after the election".to_owned(), |id| format!("server {id}")))]
    NotLeader {
        /// Who does, where that is known.
        leader: Option<NodeId>,
    },
    /// The leader does not know yet what is committed.
    #[error("the leader has not committed an entry of its own term: try again in a moment")]
    TooEarly,
    /// One change at a time.
    #[error("the configuration at entry {index} is not committed: try again once it is")]
    Pending {
        /// Where it stands.
        index: Index,
    },
    /// Leadership is given away.
    #[error("leadership is being transferred to {to}: try again there")]
    Transferring {
        /// To whom.
        to: NodeId,
    },
    /// There is nothing to agree on.
    #[error("the change changes nothing: it is done already")]
    DoneAlready,
    /// There is no such configuration.
    #[error(transparent)]
    Invalid(#[from] ConfigurationError),
}

/// Proposes changes; returns where the next configuration stands. It is in force at once.
pub(crate) fn change<S: Storage>(
    core: &mut Core<S>,
    changes: &[Change],
    way: Way,
) -> Result<Index, ChangeError> {
    may_propose(core)?;
    let configuration = core.configuration();
    let next = match way {
        Way::Simple => configuration.simple(changes)?,
        Way::Joint => configuration.joint(changes, true)?,
        Way::JointUntilLeft => configuration.joint(changes, false)?,
    };
    if next.left().as_ref().unwrap_or(&next) == configuration {
        return Err(ChangeError::DoneAlready);
    }
    Ok(propose(core, next))
}

/// Proposes to leave a joint configuration.
pub(crate) fn leave<S: Storage>(core: &mut Core<S>) -> Result<Index, ChangeError> {
    may_propose(core)?;
    let next = core.configuration().left()?;
    Ok(propose(core, next))
}

fn may_propose<S: Storage>(core: &Core<S>) -> Result<(), ChangeError> {
    let Role::Leader(leader) = &core.role else {
        return Err(ChangeError::NotLeader { leader: leader_elsewhere(core) });
    };
    if let Some(transfer) = leader.transfer {
        return Err(ChangeError::Transferring { to: transfer.to });
    }
    if !knows_commit(core) && !on(Bug::ChangeBeforeOwnCommit) {
        return Err(ChangeError::TooEarly);
    }
    let (index, _) = core.log.configuration();
    let is_own = index >= leader.first || !on(Bug::ChangeBeforeOwnCommit);
    if index > core.log.commit() && is_own {
        return Err(ChangeError::Pending { index });
    }
    Ok(())
}

fn propose<S: Storage>(core: &mut Core<S>, next: Configuration) -> Index {
    let is_joint = next.is_joint() && next.auto_leave;
    let index = append(core, [Payload::Configuration(Box::new(next))]);
    follow_configuration(core);
    if is_joint && on(Bug::LeavesJointTooEarly) {
        leave_now(core);
    }
    index
}

fn leave_now<S: Storage>(core: &mut Core<S>) {
    let next = core.configuration().left().expect("it is joint");
    propose(core, next);
}

/// The leader has committed something. A committed joint configuration is left, whoever entered
/// it; and who leads a configuration that it is not in has done so for long enough.
pub(crate) fn on_commit<S: Storage>(core: &mut Core<S>) {
    let (index, configuration) = core.log.configuration();
    if index > core.log.commit() {
        return;
    }
    let leaves = configuration.is_joint() && configuration.auto_leave;
    let is_out = !configuration.is_voter(core.config.id);
    let Role::Leader(leader) = &mut core.role else { return };
    let is_forgotten = on(Bug::AutoLeaveIsForgotten) && index < leader.first;
    if leaves && !is_forgotten {
        leave_now(core);
    } else if is_out {
        leader.resigns = true;
    }
}
