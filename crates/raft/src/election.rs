//! Elections: timeouts, pre-votes, votes (§5.2, §5.4.1, D§9.6), and a leader's doubt: of its
//! majority (D§6.2), and of its own disk.
//!
//! ```text
//!   quiet for too long --> RequestPreVote --> a majority would --> RequestVote --> a majority did
//!                          nobody changes                          after the own vote is durable
//! ```
//!
//! # What this module does not do
//!
//! It asks no configuration whether it may *answer*: a server that votes may not know it yet, and
//! the candidate counts the votes by its own configuration.

use std::collections::VecDeque;

use crate::core::{Core, Leader, Role, Votes};
use crate::message::{Body, Message};
use crate::mutants::{Bug, on};
use crate::quorum::Tally;
use crate::storage::Storage;
use crate::types::{NodeId, Payload, Position};
use crate::{read_index, replication, transfer};

/// Why a server campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It has heard of no leader.
    Timeout,
    /// The leader told it to.
    Transfer,
}

/// Time passes.
pub(crate) fn tick<S: Storage>(core: &mut Core<S>) {
    core.ticks += 1;
    core.heard_ticks = core.heard_ticks.saturating_add(1);
    core.lose_forwarded(core.ticks);
    if core.is_leader() {
        return tick_leader(core);
    }
    core.quiet_ticks += 1;
    if core.quiet_ticks >= core.timeout_ticks && core.is_promotable() {
        campaign(core, Reason::Timeout);
    }
}

/// A leader beats, gives up a transfer that takes too long, and doubts.
fn tick_leader<S: Storage>(core: &mut Core<S>) {
    transfer::tick(core);
    let Role::Leader(leader) = &mut core.role else { return };
    leader.beat_ticks += 1;
    if leader.beat_ticks >= core.config.heartbeat_ticks {
        (leader.beat_ticks, leader.is_beat_due, leader.wants_round) = (0, true, true);
    }
    // A majority has answered no question of the last election timeout: it may have another leader.
    let silence = core.ticks - leader.confirmed_tick;
    let is_alone = core.config.check_quorum && silence > u64::from(core.config.election_ticks);
    if is_alone && !on(Bug::NeverStepsDown) {
        return core.become_follower(core.term, None);
    }
    if has_stalled(core) && !on(Bug::StalledDiskLeads) {
        transfer::step_down(core);
    }
}

/// Counts a tick in which nothing became durable here; true once there were too many. Others may
/// have committed what waits, and heartbeats go on, but nothing is applied before it is durable
/// (hashicorp/raft 503, 666).
fn has_stalled<S: Storage>(core: &mut Core<S>) -> bool {
    let (stable, last) = (core.log.stable(), core.log.last_index());
    let limit = core.config.stall_timeouts.saturating_mul(core.config.election_ticks);
    let Role::Leader(leader) = &mut core.role else { return false };
    let (before, ticks) = &mut leader.stalled;
    *ticks = if stable < last && stable == *before { *ticks + 1 } else { 0 };
    *before = stable;
    // Who is alone gives the lead to nobody.
    limit > 0 && *ticks >= limit && transfer::heirs(core).next().is_some()
}

/// Tries to become leader.
pub(crate) fn campaign<S: Storage>(core: &mut Core<S>, reason: Reason) {
    assert!(!core.is_leader(), "a leader has no need to campaign");
    core.quiet_ticks = 0;
    core.become_follower(core.term, None);
    if core.config.pre_vote && reason == Reason::Timeout {
        core.role = Role::PreCandidate(Votes::new());
        let body = Body::RequestPreVote { last: core.log.last() };
        ask_voters(core, &body);
        return count(core, core.id(), true);
    }
    become_candidate(core, reason);
}

/// Begins a term, and votes for itself in it. The vote counts once it is durable.
fn become_candidate<S: Storage>(core: &mut Core<S>, reason: Reason) {
    core.become_follower(core.term + 1, None);
    core.vote = Some(core.id());
    core.role = Role::Candidate(Votes::new());
    let transfer = reason == Reason::Transfer;
    ask_voters(core, &Body::RequestVote { last: core.log.last(), transfer });
}

fn ask_voters<S: Storage>(core: &mut Core<S>, body: &Body) {
    let configuration = core.configuration();
    let voters = configuration.members.iter().map(|(id, _)| *id);
    let others: Vec<NodeId> =
        voters.filter(|id| configuration.is_voter(*id) && *id != core.id()).collect();
    let is_pre = matches!(body, Body::RequestPreVote { .. });
    let term = if is_pre { core.term + 1 } else { core.term };
    for id in others {
        core.send_in(term, id, body.clone());
    }
}

/// A candidate asks, or asks whether to ask.
pub(crate) fn on_request<S: Storage>(core: &mut Core<S>, message: &Message, last: Position) {
    let pre = matches!(message.body, Body::RequestPreVote { .. });
    let transfer = matches!(message.body, Body::RequestVote { transfer: true, .. });
    let is_free = match core.vote {
        Some(vote) => vote == message.from,
        None => core.leader.is_none(),
    };
    let is_asked_about_later = pre && message.term > core.term;
    let is_disturbing = core.hears_leader() && !transfer;
    let granted =
        (is_free || is_asked_about_later) && core.log.is_up_to_date(last) && !is_disturbing;
    let granted = granted && (!on(Bug::UnawareVoterRefuses) || core.is_promotable());
    if granted && !pre {
        core.vote = Some(message.from);
        core.quiet_ticks = 0;
    }
    let term = if granted { message.term } else { core.term };
    core.send_in(term, message.from, Body::VoteResponse { pre, granted });
}

/// A vote has come.
pub(crate) fn on_response<S: Storage>(
    core: &mut Core<S>,
    message: &Message,
    pre: bool,
    granted: bool,
) {
    let is_awaited = match core.role {
        Role::PreCandidate(_) => pre && (!granted || message.term == core.term + 1),
        Role::Candidate(_) => !pre,
        Role::Follower | Role::Leader(_) => false,
    };
    let known = core.configuration().incarnation(message.from);
    let is_member = known == Some(message.incarnation) || on(Bug::WipedMemberCounts);
    if is_awaited && is_member {
        count(core, message.from, granted);
    }
}

/// The candidate's own vote is durable.
pub(crate) fn on_vote_durable<S: Storage>(core: &mut Core<S>) {
    if matches!(core.role, Role::Candidate(_)) {
        count(core, core.id(), true);
    }
}

fn count<S: Storage>(core: &mut Core<S>, from: NodeId, granted: bool) {
    let (Role::PreCandidate(votes) | Role::Candidate(votes)) = &mut core.role else { return };
    if votes.iter().all(|(id, _)| *id != from) {
        votes.push((from, granted));
    }
    let vote = |wanted| votes.iter().find(|(id, _)| *id == wanted).map(|(_, granted)| *granted);
    match core.log.configuration().1.tally(vote) {
        Tally::Pending => {}
        Tally::Lost => core.become_follower(core.term, None),
        Tally::Won if matches!(core.role, Role::PreCandidate(_)) => {
            become_candidate(core, Reason::Timeout);
        }
        Tally::Won => become_leader(core),
    }
}

fn become_leader<S: Storage>(core: &mut Core<S>) {
    assert_eq!(core.vote, Some(core.id()), "a leader has voted for itself");
    core.leader = Some(core.id());
    core.role = Role::Leader(Box::new(Leader {
        progress: Vec::new(),
        session: 0,
        first: core.log.last_index() + 1,
        round: 0,
        rounds: VecDeque::new(),
        confirmed_round: 0,
        confirmed_tick: core.ticks,
        is_lease_void: false,
        settling_round: None,
        has_news: true,
        wants_round: true,
        is_beat_due: false,
        beat_ticks: 0,
        uncommitted: VecDeque::new(),
        uncommitted_bytes: 0,
        transfer: None,
        stalled: (core.log.stable(), 0),
        reads: VecDeque::new(),
        resigns: false,
    }));
    replication::follow_configuration(core);
    replication::append(core, [Payload::Noop]);
    read_index::confirm(core);
}
