//! Replication (§5.3): what a leader sends, what a follower does with it, what is committed.
//!
//! ```text
//!   propose ... propose        ready                        AppendResponse
//!        \        /              |                                |
//!         v      v               v                                v
//!        leader's log ---> one message for each        match_index of each follower
//!             |            follower with all of it                |
//!             '--> write, at the same time (D§10.2.1)             v
//!                        '--- durable: it counts too --->  what a majority has, if it is
//!                                                          of this term, is committed
//! ```
//!
//! Nothing is sent when it is proposed: all that comes between two calls of `ready` goes out
//! together, and followers at the same place share one copy of the entries.
//!
//! # Where do the logs part?
//!
//! A follower that has another entry at `prev` answers with the last place at or before it whose
//! term is not above the leader's; the leader passes over terms that are above the follower's in
//! turn. So each exchange skips at least one term, mostly all of them (§5.3).
//!
//! # Witnesses
//!
//! A witness is sent terms and indices, and only of what is durable on the leader's disk. Otherwise
//! it could come to have an entry that nobody else has, and it would refuse its vote to all of them
//! for ever.
//!
//! # What this module does not do
//!
//! It sends nothing again by itself: an answer or a heartbeat tells that something was lost.

use std::ops::Range;

use bytes::Bytes;

use crate::config::Config;
use crate::core::{Answer, Core, Leader, Role};
use crate::entries::Entries;
use crate::log::Log;
use crate::message::{AppendOutcome, Body, Message};
use crate::mutants::{Bug, on};
use crate::progress::{Inflight, Mode, Progress};
use crate::storage::{Storage, StorageError};
use crate::types::{Entry, Index, NodeId, Payload, Position, Term};
use crate::{read_index, reconfiguration, snapshot, transfer};

/// Appends entries of the leader's own term.
pub(crate) fn append<S: Storage>(
    core: &mut Core<S>,
    payloads: impl IntoIterator<Item = Payload>,
) -> Index {
    assert!(core.is_leader(), "only a leader appends entries of its own");
    for payload in payloads {
        let index = core.log.last_index() + 1;
        core.log.push(Entry { index, term: core.term, payload });
    }
    if let Role::Leader(leader) = &mut core.role {
        leader.settling_round = None;
        leader.has_news = true;
    }
    if on(Bug::LeaderCountsUnwritten) {
        advance_commit(core);
    }
    core.log.last_index()
}

/// Makes the leader's view of followers that of the configuration in force.
pub(crate) fn follow_configuration<S: Storage>(core: &mut Core<S>) {
    let id = core.id();
    let Role::Leader(leader) = &mut core.role else { return };
    let members = &core.log.configuration().1.members;
    let Config { inflight_max, inflight_bytes_max, .. } = core.config;
    let next = core.log.last_index().max(Index(1));
    leader.has_news = true;
    let known = std::mem::take(&mut leader.progress);
    for &(member, incarnation) in members.iter().filter(|(member, _)| *member != id) {
        let same = |it: &&Progress| it.id == member && it.incarnation == incarnation;
        let progress = known.iter().find(same).cloned().unwrap_or_else(|| {
            leader.session += 1;
            let inflight = Inflight::new(inflight_max, inflight_bytes_max);
            Progress::new(member, incarnation, leader.session, next, inflight)
        });
        leader.progress.push(progress);
    }
}

/// Sends all that is news to somebody, and steps down where that was decided.
pub(crate) fn flush<S: Storage>(core: &mut Core<S>) {
    core.log.seal();
    let Role::Leader(leader) = &mut core.role else { return };
    if !leader.is_busy() {
        return;
    }
    leader.has_news = false;
    let is_round = std::mem::take(&mut leader.wants_round);
    let is_beat = std::mem::take(&mut leader.is_beat_due);
    if is_round {
        read_index::begin_round(leader, core.ticks);
        if core.log.commit() == core.log.last_index() {
            leader.settling_round.get_or_insert(leader.round);
        }
    }
    let mut outgoing = Outgoing {
        term: core.term,
        log: &core.log,
        config: &core.config,
        round: leader.round,
        messages: &mut core.messages,
        shared: None,
        withheld: None,
        failed: None,
    };
    for progress in &mut leader.progress {
        if is_beat {
            progress.ask_again();
        }
        outgoing.send_news(progress, is_round);
    }
    if let Some(failed) = outgoing.failed {
        core.read_errors += 1;
        core.read_error = Some(failed);
    }
    let resigns = leader.resigns;
    if is_round {
        read_index::confirm(core);
    }
    if resigns {
        core.become_follower(core.term, None);
    }
}

/// More of this server's own log is durable: a leader counts it, and witnesses may be sent it.
pub(crate) fn on_durable<S: Storage>(core: &mut Core<S>) {
    if let Role::Leader(leader) = &mut core.role {
        leader.has_news |= leader.progress.iter().any(|it| it.incarnation.is_witness());
    }
    if !on(Bug::LeaderCountsUnwritten) {
        advance_commit(core);
    }
}

/// What a leader needs to write a message.
struct Outgoing<'a, S> {
    term: Term,
    log: &'a Log<S>,
    config: &'a Config,
    round: u64,
    messages: &'a mut Vec<Message>,
    /// Where the entries begin that were read last, and which of `messages` has them.
    shared: Option<(Index, usize)>,
    /// The same, of those that were read for a witness.
    withheld: Option<(Index, usize)>,
    /// What the device said, where it failed: whoever needs that part of the log starves.
    failed: Option<StorageError>,
}

impl<S: Storage> Outgoing<'_, S> {
    /// Sends what `progress` may be sent; something at least where `is_asked`.
    fn send_news(&mut self, progress: &mut Progress, is_asked: bool) {
        let before = self.messages.len();
        let done = match progress.mode {
            Mode::Snapshot { .. } => self.send_chunk(progress),
            Mode::Probe { .. } | Mode::Replicate => self.send_entries(progress),
        };
        match done {
            Err(StorageError::Compacted { .. }) if !on(Bug::NeverSendsSnapshot) => {
                progress.send_snapshot(self.log.snapshot_last().index);
                self.send_news(progress, is_asked);
            }
            done => {
                // What cannot be read now may be at the next heartbeat.
                self.note_failure(done.err());
                let is_sent = self.messages.len() > before;
                let commit = self.log.commit().min(progress.match_index);
                if !is_sent && (is_asked || commit > progress.told_commit) {
                    self.send_nothing(progress);
                    // Told once, also where it cannot stand behind an entry and so has no effect:
                    // the next heartbeat repeats it.
                    progress.told_commit = progress.told_commit.max(commit);
                }
            }
        }
    }

    fn note_failure(&mut self, error: Option<StorageError>) {
        if let Some(StorageError::Failed { .. }) = error {
            self.failed = error;
        }
    }

    fn send_entries(&mut self, progress: &mut Progress) -> Result<(), StorageError> {
        let is_witness = progress.incarnation.is_witness();
        let end = if is_witness { self.log.stable() } else { self.log.last_index() };
        let end = if on(Bug::WitnessIsAhead) { self.log.last_index() } else { end };
        while !progress.is_waiting() && progress.next_index <= end {
            let prev = progress.next_index.before();
            let prev = Position { index: prev, term: self.log.term(prev)? };
            let range = progress.next_index..end + 1;
            let entries = if is_witness { self.withheld(range)? } else { self.entries(range)? };
            let Some(last) = entries.last() else { break };
            progress.sent(last.index, entries.bytes());
            self.send_append(progress, prev, entries);
        }
        Ok(())
    }

    /// Entries of a range that ends at the end, the same copy for everybody who needs them.
    fn entries(&mut self, range: Range<Index>) -> Result<Entries, StorageError> {
        if let Some(entries) = self.sent(self.shared, range.start) {
            return Ok(entries);
        }
        let first = range.start;
        let entries = self.log.entries(range, self.config.message_bytes_max)?;
        self.shared = Some((first, self.messages.len()));
        Ok(entries)
    }

    /// The same for witnesses, without commands.
    fn withheld(&mut self, range: Range<Index>) -> Result<Entries, StorageError> {
        if let Some(entries) = self.sent(self.withheld, range.start) {
            return Ok(entries);
        }
        let first = range.start;
        let whole = self.log.entries(range, self.config.message_bytes_max)?;
        self.withheld = Some((first, self.messages.len()));
        Ok(whole.iter().map(Entry::withheld).collect())
    }

    /// What that message has, where it begins at `first`.
    fn sent(&self, message: Option<(Index, usize)>, first: Index) -> Option<Entries> {
        let (_, at) = message.filter(|(begin, _)| *begin == first)?;
        let Body::AppendEntries { entries, .. } = &self.messages.get(at)?.body else { return None };
        Some(entries.clone())
    }

    /// A heartbeat. It stands behind what was sent, so that its rejection tells of a loss. Where
    /// that place is compacted, whatever was lost can only be made up for by a snapshot.
    fn send_nothing(&mut self, progress: &mut Progress) {
        let prev = progress.next_index.before();
        let is_snapshot = matches!(progress.mode, Mode::Snapshot { .. });
        let prev = match self.log.term(prev) {
            Ok(term) if !is_snapshot => Position { index: prev, term },
            Err(StorageError::Compacted { .. }) if !is_snapshot && !on(Bug::NeverSendsSnapshot) => {
                progress.send_snapshot(self.log.snapshot_last().index);
                Position::default()
            }
            found => {
                self.note_failure(found.err());
                Position::default()
            }
        };
        self.send_append(progress, prev, Entries::default());
    }

    fn send_append(&mut self, progress: &mut Progress, prev: Position, entries: Entries) {
        let commit = self.log.commit();
        let last = prev.index + entries.len() as u64;
        progress.told_commit = progress.told_commit.max(commit.min(last));
        let (round, session) = (self.round, progress.session);
        let body = Body::AppendEntries { prev, entries, commit, round, session };
        self.post(progress.id, body);
    }

    fn post(&mut self, to: NodeId, body: Body) {
        let Config { id: from, incarnation, .. } = *self.config;
        self.messages.push(Message { from, to, incarnation, term: self.term, body });
    }

    fn send_chunk(&mut self, progress: &mut Progress) -> Result<(), StorageError> {
        let meta = self.log.storage().snapshot_meta();
        let part = snapshot::next_part(progress, meta);
        let Some(offset) = part else { return Ok(()) };
        let (offset, data) = if progress.incarnation.is_witness() {
            // What it is told of a snapshot is that there is one.
            (meta.len, Bytes::new())
        } else {
            (offset, self.log.storage().snapshot_chunk(offset, self.config.chunk_bytes)?)
        };
        let (round, session) = (self.round, progress.session);
        let meta = Box::new(meta.clone());
        let body = Body::InstallSnapshot { meta, offset, data, round, session };
        self.post(progress.id, body);
        Ok(())
    }
}

/// A leader's entries have come (figure 2, `AppendEntries RPC`).
pub(crate) fn on_append<S: Storage>(core: &mut Core<S>, message: Message) {
    let Body::AppendEntries { prev, entries, commit, round, session } = message.body else {
        return;
    };
    core.hear_leader(message.from);
    let len = entries.len();
    let is_contiguous = entries.iter().zip(prev.index.0 + 1..).all(|(it, at)| it.index.0 == at);
    if !is_contiguous && !on(Bug::TakesEntriesWithGap) {
        // A leader that misread its log: its message means nothing.
        return;
    }
    let is_hollow = entries.iter().any(|it| it.payload == Payload::Withheld);
    if is_hollow && !core.config.incarnation.is_witness() && !on(Bug::TakesWithheld) {
        // For the witness that this server was with another disk.
        return;
    }
    // What is committed here is committed there, whatever the message says of it.
    let is_behind = prev.index < core.log.commit() && !on(Bug::DeletesMatchingEntries);
    let outcome = if is_behind || core.log.matches(prev) {
        let known = if is_behind { core.log.commit().since(prev.index) } else { 0 };
        let skip = usize::try_from(known).map_or(len, |known| known.min(len));
        core.log.merge(entries, skip);
        let matched = (prev.index + len as u64).max(core.log.commit());
        let bound = if on(Bug::CommitsBeyondMatch) { core.log.last_index() } else { matched };
        core.log.commit_to(commit.min(bound));
        AppendOutcome::Accepted { matched }
    } else {
        let hint = last_possible_match(&core.log, prev.index, prev.term);
        AppendOutcome::Rejected { prev: prev.index, hint }
    };
    let answer = Answer { round, session, outcome };
    // What only tells of a commit asks nothing that was not answered; where that answer was lost,
    // the next heartbeat asks again.
    if len > 0 || core.answered != Some(answer) {
        core.answered = Some(answer);
        core.send(message.from, Body::AppendResponse { round, session, outcome });
    }
}

/// The last entry at or before `index` whose term is at most `term`.
fn last_possible_match<S: Storage>(log: &Log<S>, index: Index, term: Term) -> Position {
    let mut index = index.min(log.last_index());
    loop {
        match log.term(index) {
            Ok(found) if found > term => index = index.before(),
            Ok(found) => return Position { index, term: found },
            // Compacted, and so committed, and so the same in both logs.
            Err(_) => return Position { index, term: Term(0) },
        }
    }
}

/// A follower has answered.
pub(crate) fn on_response<S: Storage>(core: &mut Core<S>, message: &Message) {
    let Body::AppendResponse { round, session, outcome } = message.body else { return };
    let Some(at) = heard_from(core, message, round, session) else { return };
    let Role::Leader(leader) = &mut core.role else { return };
    let is_settling = leader.settling_round.is_some_and(|first| round >= first);
    let progress = &mut leader.progress[at];
    match outcome {
        AppendOutcome::Accepted { matched } if matched <= core.log.last_index() => {
            if is_settling {
                // It was told that everything is committed by the very message that it answers.
                progress.settled = progress.settled.max(matched);
            }
            if progress.accepted(matched) {
                // Else a majority has had it before.
                if matched > core.log.commit() {
                    advance_commit(core);
                }
                transfer::on_progress(core, message.from);
            }
        }
        // A follower that has more than its leader has somebody else's entries.
        AppendOutcome::Accepted { .. } => {}
        AppendOutcome::Rejected { prev, hint } => {
            let hint = if hint.term == Term(0) {
                hint.index
            } else {
                last_possible_match(&core.log, hint.index, hint.term).index
            };
            progress.rejected(prev, hint);
        }
    }
}

/// Notes that a follower has answered a round, and tells which of the leader's `progress` is its
/// own. `None` where the answer is not from the member that the leader replicates to: from another
/// disk, or from before it was removed and added again.
pub(crate) fn heard_from<S: Storage>(
    core: &mut Core<S>,
    message: &Message,
    round: u64,
    session: u64,
) -> Option<usize> {
    let Role::Leader(leader) = &mut core.role else { return None };
    let at = leader.position(message.from)?;
    // Whatever it says, more may be to be sent to it now.
    leader.has_news = true;
    let progress = &mut leader.progress[at];
    let is_same_disk = progress.incarnation == message.incarnation || on(Bug::WipedMemberCounts);
    let is_same_session = progress.session == session || on(Bug::OldSessionCounts);
    if !is_same_disk || !is_same_session {
        return None;
    }
    if round > progress.round {
        progress.round = round;
        read_index::confirm(core);
    }
    Some(at)
}

/// Commits what a majority has, if it is of this term (§5.4.2, figure 8).
pub(crate) fn advance_commit<S: Storage>(core: &mut Core<S>) {
    let id = core.id();
    let Role::Leader(leader) = &core.role else { return };
    let own =
        if on(Bug::LeaderCountsUnwritten) { core.log.last_index() } else { core.log.stable() };
    let matched = |voter| {
        if voter == id { own.0 } else { leader.progress(voter).map_or(0, |it| it.match_index.0) }
    };
    let reached = Index(core.log.configuration().1.reached(matched));
    if reached <= core.log.commit() {
        return;
    }
    let is_own = core.log.term(reached).is_ok_and(|term| term == core.term);
    if !is_own && !on(Bug::CommitsPriorTermByCounting) {
        return;
    }
    core.log.commit_to(reached);
    let Role::Leader(leader) = &mut core.role else { return };
    leader.has_news = true;
    settle(leader, reached);
    reconfiguration::on_commit(core);
    read_index::on_commit(core);
}

/// Committed proposals no longer count against the limit.
fn settle(leader: &mut Leader, commit: Index) {
    while let Some(&(last, bytes)) = leader.uncommitted.front() {
        if last > commit || on(Bug::UncommittedBytesLeak) {
            return;
        }
        leader.uncommitted.pop_front();
        leader.uncommitted_bytes -= bytes;
    }
}

/// Whether the leader has committed an entry of its own term, and so knows what is committed.
pub(crate) fn knows_commit<S: Storage>(core: &Core<S>) -> bool {
    match &core.role {
        Role::Leader(leader) => core.log.commit() >= leader.first,
        Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => false,
    }
}

/// For errors: whom to ask instead.
pub(crate) fn leader_elsewhere<S: Storage>(core: &Core<S>) -> Option<NodeId> {
    core.leader.filter(|leader| *leader != core.id())
}

#[cfg(test)]
mod tests;
