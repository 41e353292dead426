//! The state of one server, and the few things that all parts of the protocol do with it.
//!
//! ```text
//!              times out          a majority would        a majority did
//!   Follower ----------> PreCandidate ------> Candidate ------> Leader
//!      ^                      |                   |                |
//!      '----------------------'-------------------'----------------'
//!        a higher term, a leader of this term, or a leader that has lost its majority or its disk
//! ```
//!
//! What belongs to a role lives in its variant, so that leaving the role forgets all of it: no
//! transfer, window or count of votes outlives the term that it was for.
//!
//! # What this module does not do
//!
//! It decides nothing that one part of the protocol decides alone; those are beside it.

use std::collections::{BTreeSet, VecDeque};

use env::random::{Random, SeededRandom};

use crate::config::Config;
use crate::log::Log;
use crate::message::{AppendOutcome, Body, Message, Read, ReadId};
use crate::mutants::{Bug, on};
use crate::progress::Progress;
use crate::storage::{Storage, StorageError};
use crate::types::{Configuration, HardState, Index, NodeId, Position, SnapshotMeta, Term};

/// What a server is (§5.1).
#[derive(Debug)]
pub(crate) enum Role {
    /// It answers.
    Follower,
    /// It asks whether it would be elected (D§9.6).
    PreCandidate(Votes),
    /// It asks to be elected (§5.2).
    Candidate(Votes),
    /// It decides what is in the log.
    Leader(Box<Leader>),
}

/// Who has answered a candidate, and what.
pub(crate) type Votes = Vec<(NodeId, bool)>;

/// What a leader knows, from its election until it steps down.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing to do at the next flush")]
pub(crate) struct Leader {
    /// Everybody but itself. Invariant: sorted, and the members of the configuration in force.
    pub(crate) progress: Vec<Progress>,
    /// The last session that was given out.
    pub(crate) session: u64,
    /// The entry with which the leadership began.
    pub(crate) first: Index,
    /// The last round that has begun.
    pub(crate) round: u64,
    /// Rounds that no majority has answered, and when each began, in ticks.
    pub(crate) rounds: VecDeque<(u64, u64)>,
    /// The last round that a majority has answered.
    pub(crate) confirmed_round: u64,
    /// When that one began.
    pub(crate) confirmed_tick: u64,
    /// No lease until the end of this leadership: somebody was told to campaign at once, and
    /// whoever votes then does not wait. The message may arrive at any time.
    pub(crate) is_lease_void: bool,
    /// The first round whose messages say that all of the log is committed; `None` while it is not.
    pub(crate) settling_round: Option<u64>,
    /// Something may be to be sent that was not at the last flush.
    pub(crate) has_news: bool,
    /// A new round is to begin.
    pub(crate) wants_round: bool,
    /// A heartbeat is due.
    pub(crate) is_beat_due: bool,
    pub(crate) beat_ticks: u32,
    /// Proposals that are not committed: the last entry of each, and its bytes.
    pub(crate) uncommitted: VecDeque<(Index, u64)>,
    /// Invariant: the sum over `uncommitted`.
    pub(crate) uncommitted_bytes: u64,
    pub(crate) transfer: Option<Transfer>,
    /// What was durable at the last tick, and for how many ticks no more than that has been, while
    /// entries waited.
    pub(crate) stalled: (Index, u32),
    /// Reads that wait for the first commit, or for a round.
    pub(crate) reads: VecDeque<WaitingRead>,
    /// It has committed a configuration without itself and is about to step down (D§4.2.2).
    pub(crate) resigns: bool,
}

/// A transfer of leadership under way (D§3.10).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) to: NodeId,
    pub(crate) ticks: u32,
}

/// A read that the leader cannot confirm yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingRead {
    pub(crate) id: ReadId,
    /// The follower that asked; `None` where it is the leader's own.
    pub(crate) from: Option<NodeId>,
    /// What was committed when it was asked, and the round that confirms it; `None` until the
    /// leader knows what is committed.
    pub(crate) bound: Option<(Index, u64)>,
}

/// What a follower has answered its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) round: u64,
    pub(crate) session: u64,
    pub(crate) outcome: AppendOutcome,
}

/// A snapshot of which not all has arrived.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) meta: SnapshotMeta,
    pub(crate) data: Vec<u8>,
}

/// The state of one server.
#[derive(Debug)]
pub(crate) struct Core<S> {
    pub(crate) config: Config,
    /// `currentTerm`.
    pub(crate) term: Term,
    /// `votedFor`.
    pub(crate) vote: Option<NodeId>,
    /// The leader of this term, once known.
    pub(crate) leader: Option<NodeId>,
    pub(crate) role: Role,
    pub(crate) log: Log<S>,
    random: SeededRandom,
    /// All ticks so far.
    pub(crate) ticks: u64,
    /// Ticks since a leader was heard, a vote given or a campaign begun.
    pub(crate) quiet_ticks: u32,
    /// The election timeout: campaign at so many quiet ticks.
    pub(crate) timeout_ticks: u32,
    /// Ticks since a leader was heard.
    pub(crate) heard_ticks: u32,
    pub(crate) receiving: Option<Receiving>,
    /// The length of a snapshot that is too large for this server, until one comes that is not.
    pub(crate) refused_snapshot: Option<u64>,
    /// The last answer to the leader of this term.
    pub(crate) answered: Option<Answer>,
    /// Which start of the process this is.
    pub(crate) boot: u64,
    pub(crate) read_sequence: u64,
    /// Reads that the leader was asked about, and the tick at which they are given up. Invariant:
    /// both ascend.
    pub(crate) forwarded: VecDeque<(ReadId, u64)>,
    /// Reads that can be served once so much is applied, which it is not yet.
    pub(crate) confirmed: BTreeSet<(Index, ReadId)>,
    pub(crate) reads: Vec<Read>,
    /// What can be sent at once.
    pub(crate) messages: Vec<Message>,
    /// What must be durable first.
    pub(crate) promises: Vec<Message>,
    /// What the last write contained.
    pub(crate) handed_state: HardState,
    pub(crate) write_sequence: u64,
    /// How often what somebody was to be sent could not be read, and why the last time.
    pub(crate) read_errors: u64,
    pub(crate) read_error: Option<StorageError>,
}

impl<S: Storage> Core<S> {
    pub(crate) fn new(config: Config, log: Log<S>) -> Self {
        let mut random = SeededRandom::new(config.seed);
        let state = log.storage().hard_state();
        let is_lease = config.lease_margin_ticks.is_some();
        let mut core = Self {
            term: state.term,
            vote: state.vote,
            leader: None,
            role: Role::Follower,
            log,
            boot: random.next_u64(),
            random,
            ticks: 0,
            quiet_ticks: 0,
            timeout_ticks: 0,
            // A leader may hold a lease that this server granted before it was restarted.
            heard_ticks: if is_lease { 0 } else { config.election_ticks },
            receiving: None,
            refused_snapshot: None,
            answered: None,
            read_sequence: 0,
            forwarded: VecDeque::new(),
            confirmed: BTreeSet::new(),
            reads: Vec::new(),
            messages: Vec::new(),
            promises: Vec::new(),
            handed_state: state,
            write_sequence: 0,
            read_errors: 0,
            read_error: None,
            config,
        };
        core.draw_timeout();
        core
    }

    pub(crate) const fn id(&self) -> NodeId {
        self.config.id
    }

    pub(crate) const fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        self.log.configuration().1
    }

    pub(crate) const fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.commit() }
    }

    /// Whether it may be elected: it votes, with the disk that it has, which keeps commands. A
    /// server that only an uncommitted configuration leaves out may be the one that has to commit
    /// it (D§4.2.2).
    pub(crate) fn is_promotable(&self) -> bool {
        if self.config.incarnation.is_witness() && !on(Bug::WitnessCampaigns) {
            return false;
        }
        self.log.uncommitted_configurations().any(|it| {
            let is_known = it.incarnation(self.id()) == Some(self.config.incarnation);
            it.is_voter(self.id()) && is_known
        })
    }

    /// Whether a leader may be near, so that nobody should be elected (D§6.2).
    pub(crate) fn hears_leader(&self) -> bool {
        self.config.check_quorum
            && (self.is_leader() || self.heard_ticks < self.config.election_ticks)
    }

    /// Says something in the present term.
    pub(crate) fn send(&mut self, to: NodeId, body: Body) {
        self.send_in(self.term, to, body);
    }

    /// Says something about a term that may not have begun.
    pub(crate) fn send_in(&mut self, term: Term, to: NodeId, body: Body) {
        let is_vote = matches!(body, Body::VoteResponse { .. } | Body::RequestVote { .. });
        let is_ack = matches!(body, Body::AppendResponse { .. });
        let too_early =
            (on(Bug::VoteBeforeDurable) && is_vote) || (on(Bug::AckBeforeDurable) && is_ack);
        let is_promise = body.is_promise() && !too_early;
        let message =
            Message { from: self.id(), to, incarnation: self.config.incarnation, term, body };
        if is_promise { self.promises.push(message) } else { self.messages.push(message) }
    }

    /// The rule of terms (§5.1): who hears of a later one joins it, and what is of an earlier one
    /// is not heard. False where the message is dealt with.
    pub(crate) fn observe_term(&mut self, message: &Message) -> bool {
        if message.term < self.term {
            self.correct(message);
            return false;
        }
        if message.term == self.term {
            return true;
        }
        match message.body {
            // Asks about a term that has not begun, or answers that it would be welcome.
            Body::RequestPreVote { .. } | Body::VoteResponse { pre: true, granted: true } => true,
            Body::RequestVote { transfer: false, .. } if self.hears_leader() => false,
            Body::AppendEntries { .. } if on(Bug::TermMovesUnderLeader) && self.is_leader() => {
                self.term = message.term;
                false
            }
            Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
                self.become_follower(message.term, Some(message.from));
                true
            }
            _ => {
                self.become_follower(message.term, None);
                true
            }
        }
    }

    /// Tells somebody of an earlier term that it is over. A candidate too: it may be cut off from
    /// all others and would ask for ever.
    fn correct(&mut self, message: &Message) {
        let body = match message.body {
            Body::AppendEntries { round, session, prev, .. } => {
                let hint = Position::default();
                let outcome = AppendOutcome::Rejected { prev: prev.index, hint };
                Body::AppendResponse { round, session, outcome }
            }
            Body::InstallSnapshot { round, session, ref meta, .. } => {
                Body::SnapshotResponse { round, session, last: meta.last.index, offset: 0 }
            }
            Body::RequestVote { .. } => Body::VoteResponse { pre: false, granted: false },
            Body::RequestPreVote { .. } if !on(Bug::SilentToOldPreVote) => {
                Body::VoteResponse { pre: true, granted: false }
            }
            _ => return,
        };
        self.send(message.from, body);
    }

    /// Follows, in this term or a later one.
    pub(crate) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.term, "terms only grow: {term} after {}", self.term);
        if term > self.term {
            (self.term, self.vote) = (term, None);
            (self.receiving, self.answered) = (None, None);
        }
        let former = std::mem::replace(&mut self.role, Role::Follower);
        if let Role::Leader(leader) = former {
            let own = leader.reads.iter().filter(|read| read.from.is_none());
            self.reads.extend(own.map(|read| Read::Lost(read.id)));
            self.quiet_ticks = 0;
        }
        if leader.is_none() || leader != self.leader {
            self.lose_forwarded(u64::MAX);
        }
        self.leader = leader;
        self.draw_timeout();
    }

    /// A leader of this term has spoken.
    pub(crate) fn hear_leader(&mut self, leader: NodeId) {
        assert!(!self.is_leader(), "{leader} and {} both lead term {}", self.id(), self.term);
        if self.leader != Some(leader) || !matches!(self.role, Role::Follower) {
            self.become_follower(self.term, Some(leader));
        }
        (self.quiet_ticks, self.heard_ticks) = (0, 0);
    }

    /// Gives up reads that the leader was asked about, and whose time is over at this tick.
    pub(crate) fn lose_forwarded(&mut self, now: u64) {
        while let Some((id, _)) = self.forwarded.pop_front_if(|(_, deadline)| *deadline <= now) {
            self.reads.push(Read::Lost(id));
        }
    }

    /// Timeouts differ, so that mostly one server campaigns first (§5.2).
    pub(crate) fn draw_timeout(&mut self) {
        let base = self.config.election_ticks;
        let more = u32::try_from(self.random.below(u64::from(base))).expect("it is below a u32");
        self.timeout_ticks = base + more + self.config.rank * (base / 2);
    }

    /// What a snapshot of the state behind `index` replaces, which is applied or about to be. Only
    /// a committed configuration is in it.
    pub(crate) fn snapshot_meta(
        &self,
        index: Index,
        len: u64,
    ) -> Result<SnapshotMeta, StorageError> {
        assert!(
            self.log.applied() <= index && index <= self.log.commit(),
            "{index} is not applied"
        );
        let last = Position { index, term: self.log.term(index)? };
        Ok(SnapshotMeta { last, configuration: self.log.configuration_at(index).clone(), len })
    }

    /// Panics where the state contradicts itself. May be called at any time.
    pub(crate) fn check_invariants(&self) {
        self.log.check_invariants();
        self.configuration().check_invariants();
        assert!(self.handed_state.term <= self.term, "terms only grow");
        assert!(self.log.last().term <= self.term, "no entry is of a term to come");
        match &self.role {
            Role::Follower => assert_ne!(self.leader, Some(self.id()), "a leader leads"),
            Role::PreCandidate(_) | Role::Candidate(_) => assert_eq!(self.leader, None),
            Role::Leader(leader) => self.check_leader(leader),
        }
        let may_lead = !self.config.incarnation.is_witness();
        assert!(may_lead || matches!(self.role, Role::Follower), "a witness only follows");
    }

    fn check_leader(&self, leader: &Leader) {
        assert_eq!(self.leader, Some(self.id()));
        assert_eq!(self.vote, Some(self.id()), "a leader has voted for itself");
        if let Ok(began) = self.log.term(leader.first) {
            assert_eq!(began, self.term, "a leader leads in one term");
        }
        assert!(leader.progress.is_sorted_by_key(|it| it.id));
        let sum: u64 = leader.uncommitted.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(sum, leader.uncommitted_bytes);
        assert!(leader.confirmed_round <= leader.round, "an answer needs a question");
        let commit = self.log.commit();
        let waits = leader.uncommitted.front().is_none_or(|(last, _)| *last > commit);
        assert!(waits, "what is committed counts as uncommitted");
        let silence = self.ticks - leader.confirmed_tick;
        let is_alone = silence > 2 * u64::from(self.config.election_ticks);
        assert!(!is_alone || !self.config.check_quorum, "it has led alone for {silence} ticks");
        if commit >= leader.first {
            assert!(self.log.pending_configurations() <= 1, "changes are made one by one");
        } else {
            let last = self.log.configuration().0;
            assert!(last < leader.first, "a change, and what is committed is not known");
        }
        for progress in &leader.progress {
            assert!(progress.match_index < progress.next_index, "{progress:?}");
            assert!(progress.next_index <= self.log.last_index() + 1, "{progress:?}");
        }
    }
}

impl Leader {
    /// To be changed, and so perhaps to be sent to.
    pub(crate) fn progress_mut(&mut self, id: NodeId) -> Option<&mut Progress> {
        self.has_news = true;
        let position = self.position(id)?;
        Some(&mut self.progress[position])
    }

    pub(crate) fn progress(&self, id: NodeId) -> Option<&Progress> {
        self.position(id).map(|at| &self.progress[at])
    }

    /// Where in `progress` a member is.
    pub(crate) fn position(&self, id: NodeId) -> Option<usize> {
        self.progress.binary_search_by_key(&id, |it| it.id).ok()
    }

    /// Whether the next flush has anything to do.
    pub(crate) const fn is_busy(&self) -> bool {
        self.has_news | self.wants_round | self.is_beat_due | self.resigns
    }
}
