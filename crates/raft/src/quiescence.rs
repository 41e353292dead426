//! Time that passes for many groups at once.
//!
//! ```text
//!   leader   all have all, and have answered a round that told them so,
//!            and what it has itself is durable --------------------------> quiescent
//!   follower its leader is known, and it waits for nothing -------------> quiescent
//! ```
//!
//! To a quiescent server a tick does nothing but count, and its heartbeats tell nobody anything but
//! that it is alive. So a driver need not tick it: it may let its time stand still, see to it that
//! the *nodes* hear of each other, and make up for the time before the server is asked anything.
//! What the nodes have heard takes the place of what heartbeats would have said: for a leader that
//! a majority has answered (D§6.2), for a follower that its leader is there (§5.2).
//!
//! # What this module does not do
//!
//! It cannot know what nodes have said to each other. `raft-net` does, and says how that is safe.

use crate::core::{Core, Role};
use crate::storage::Storage;
use crate::types::{Index, NodeId};

/// Whether nothing is to be done here while time passes and everybody is alive, but for those who
/// are excused: a leader does not wait for them.
pub(crate) fn is_quiescent<S: Storage>(
    core: &Core<S>,
    is_excused: impl Fn(NodeId) -> bool,
) -> bool {
    match &core.role {
        Role::Leader(leader) => {
            let last = core.log.last_index();
            let is_told = |progress: &crate::Progress| progress.settled == last;
            core.log.commit() == last
                && core.log.stable() == last
                && leader.progress.iter().all(|it| is_told(it) || is_excused(it.id))
                && leader.transfer.is_none()
                && leader.reads.is_empty()
                && !leader.wants_round
                && !leader.resigns
        }
        Role::Follower => {
            core.leader.is_some() && core.receiving.is_none() && core.forwarded.is_empty()
        }
        Role::PreCandidate(_) | Role::Candidate(_) => false,
    }
}

/// What a member knows is to be found out again.
pub(crate) fn unsettle<S>(core: &mut Core<S>, member: NodeId) {
    let Role::Leader(leader) = &mut core.role else { return };
    leader.settling_round = None;
    if let Some(progress) = leader.progress_mut(member) {
        progress.settled = Index::ZERO;
    }
}

/// `ticks` have passed. `heard` tells for how many ticks at most somebody has been silent.
pub(crate) fn pass<S: Storage>(
    core: &mut Core<S>,
    ticks: u32,
    heard: impl Fn(NodeId) -> Option<u32>,
) {
    core.ticks += u64::from(ticks);
    core.heard_ticks = core.heard_ticks.saturating_add(ticks);
    let (id, now) = (core.id(), core.ticks);
    if let Role::Leader(leader) = &mut core.role {
        leader.beat_ticks = (leader.beat_ticks + ticks).min(core.config.heartbeat_ticks);
        let answered = |voter| {
            let silence = if voter == id { Some(0) } else { heard(voter) };
            silence.map_or(0, |silence| now.saturating_sub(u64::from(silence)))
        };
        let confirmed = core.log.configuration().1.reached(answered).min(now);
        leader.confirmed_tick = leader.confirmed_tick.max(confirmed);
        return;
    }
    core.quiet_ticks = core.quiet_ticks.saturating_add(ticks);
    if let Some(silence) = core.leader.and_then(heard) {
        core.heard_ticks = core.heard_ticks.min(silence);
        core.quiet_ticks = core.quiet_ticks.min(silence);
    }
}
