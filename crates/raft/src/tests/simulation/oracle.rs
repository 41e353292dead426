//! What no run may break, over all servers and all of their lives.
//!
//! | property                   | where it is looked at                                   |
//! |----------------------------|---------------------------------------------------------|
//! | election safety (§5.2)     | after each event: one leader a term                     |
//! | leader append-only (§5.3)  | after each event: a leader's log only grows             |
//! | commit rule (§5.4.2)       | after each event: a leader commits by own entries       |
//! | log matching (§5.3)        | now and then: one common entry, one common prefix       |
//! | leader completeness (§5.4) | when a leader is first seen: it has what is committed   |
//! | state-machine safety (§5.4)| at each apply: one entry an index, one state an index   |
//! | monotone commit and term   | after each event, within a life                         |
//! | durable, then acknowledged | at each message that promises something                 |
//! | durable, then applied      | when an entry is first applied: disks of a majority have it |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::quorum::Tally;
use crate::storage::Storage;
use crate::{
    AppendOutcome, Body, Configuration, DiskStorage, Entry, HardState, Index, Message, Mode,
    NodeId, Payload, Position, Raft, RoleName, Status, Term,
};

use super::machine::Machine;

/// A state of a server, as far as the protocol tells states apart: how much of them a soak has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question about one server")]
pub(crate) struct Seen {
    role: &'static str,
    is_member: bool,
    is_witness: bool,
    /// The configuration in force: joint; not committed.
    is_joint: bool,
    is_pending: bool,
    /// Something is on its way to the disk.
    is_writing: bool,
    /// The leader gives leadership away; it sends a snapshot; it probes for a match.
    transfers: bool,
    sends_snapshot: bool,
    probes: bool,
}

impl Seen {
    fn of(raft: &Raft<DiskStorage>, now: &Status) -> Self {
        let (configuration, disk) = (raft.configuration(), raft.storage().incarnation());
        let is_any = |is: fn(&Mode) -> bool| raft.progress().iter().any(|it| is(&it.mode));
        Self {
            role: match now.role {
                RoleName::Follower => "follower",
                RoleName::PreCandidate => "pre-candidate",
                RoleName::Candidate => "candidate",
                RoleName::Leader => "leader",
            },
            is_member: configuration.incarnation(now.id) == Some(disk),
            is_witness: disk.is_witness(),
            is_joint: configuration.is_joint(),
            is_pending: raft.configuration_index() > now.commit,
            is_writing: now.stable < now.last.index,
            transfers: now.transfer.is_some(),
            sends_snapshot: is_any(|mode| matches!(mode, Mode::Snapshot { .. })),
            probes: is_any(|mode| matches!(mode, Mode::Probe { .. })),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (!self.is_member, "no member"),
            (self.is_witness, "witness"),
            (self.is_joint, "joint"),
            (self.is_pending, "configuration not committed"),
            (self.is_writing, "writing"),
            (self.transfers, "transferring"),
            (self.sends_snapshot, "sending a snapshot"),
            (self.probes, "probing"),
        ];
        write!(f, "{}", self.role)?;
        flags.iter().filter(|(is, _)| *is).try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}

/// What has been seen.
#[derive(Default)]
pub(super) struct Oracle {
    /// Entry `i + 1`, the state behind it, and the term of who applied it first: it was committed
    /// in that term or before.
    committed: Vec<(Entry, Machine, Term)>,
    leaders: BTreeMap<Term, NodeId>,
    /// What the disk of each server has, as of its last sync: the position before, and the terms
    /// behind it.
    disks: BTreeMap<NodeId, (Index, Vec<Term>)>,
    /// Configurations that were in force at a server.
    in_force: Vec<Configuration>,
    /// Of each life of a server: term, commit index, and the end of a leader's log.
    seen: BTreeMap<(NodeId, u64), (Term, Index, Position)>,
    pub(super) elections: u64,
    pub(super) states: BTreeSet<Seen>,
    /// A wiped disk has no more what it had when it counted.
    pub(super) has_lost_disks: bool,
}

impl Oracle {
    /// A server in a term has applied an entry.
    pub(super) fn applied(&mut self, (id, term): (NodeId, Term), entry: &Entry, state: &Machine) {
        assert_ne!(entry.payload, Payload::Withheld, "server {id} applies what it does not have");
        let position = usize::try_from(entry.index.0).expect("it fits") - 1;
        if let Some((known, after, _)) = self.committed.get(position) {
            assert_eq!(known, entry, "server {id} applies another entry than others did");
            assert_eq!(after, state, "server {id} has another state than others had");
        } else {
            assert_eq!(position, self.committed.len(), "server {id} skips entries");
            self.require_durable(id, entry.position());
            self.committed.push((entry.clone(), state.clone(), term));
        }
    }

    /// All that a server has written is on its disk now; what lies before `from` was there already.
    pub(super) fn synced(&mut self, id: NodeId, from: Index, disk: &DiskStorage) {
        let (base, terms) = self.disks.entry(id).or_default();
        let kept = from.0.checked_sub(base.0 + 1).and_then(|it| usize::try_from(it).ok());
        if let Some(kept) = kept.filter(|kept| *kept <= terms.len()) {
            terms.truncate(kept);
        } else {
            (*base, *terms) = (disk.first_index().before(), Vec::new());
        }
        let next = base.0 + terms.len() as u64 + 1;
        let term = |at| disk.term(Index(at)).expect("it is there");
        terms.extend((next..=disk.last_index().0).map(term));
    }

    /// A majority has an entry on its disks, and not witnesses alone. Of which configuration, only
    /// the leader knew that committed it; so any will do that was ever in force.
    fn require_durable(&self, id: NodeId, at: Position) {
        let has = |id: NodeId| {
            let (base, terms) = self.disks.get(&id)?;
            let Some(behind) = at.index.0.checked_sub(base.0 + 1) else { return Some(true) };
            let found = terms.get(usize::try_from(behind).ok()?).copied();
            Some(found == Some(at.term))
        };
        let is_durable = |it: &Configuration| {
            let copies =
                it.members.iter().filter(|(id, disk)| !disk.is_witness() && has(*id) == Some(true));
            it.tally(|id| has(id).filter(|has| *has)) == Tally::Won && copies.count() > 0
        };
        let is_somewhere = self.in_force.iter().rev().any(is_durable) || self.has_lost_disks;
        assert!(
            is_somewhere,
            "server {id} applies {at:?}, which no majority has durably: {:?}, of {:?}",
            self.disks, self.in_force
        );
    }

    /// This is in force at somebody.
    pub(super) fn note_configuration(&mut self, configuration: &Configuration) {
        if !self.in_force.contains(configuration) {
            self.in_force.push(configuration.clone());
        }
    }

    /// A server has applied a snapshot.
    pub(super) fn restored(&self, id: NodeId, last: Position, state: &Machine) {
        let position = usize::try_from(last.index.0).expect("it fits") - 1;
        let (known, after, _) = &self.committed[position];
        assert_eq!(known.position(), last, "server {id} applies a snapshot of another log");
        assert_eq!(after, state, "server {id} applies a snapshot of another state");
    }

    /// A server says something, of which so much is durable: its hard state, the end of its log.
    pub(super) fn said(message: &Message, (state, last): (HardState, Index)) {
        match message.body {
            Body::VoteResponse { pre: false, granted: true } => {
                let vote = (state.term, state.vote);
                let is_durable = vote == (message.term, Some(message.to)) || vote.0 > message.term;
                assert!(is_durable, "vote before it is durable: {message:?}, {state:?}");
            }
            Body::AppendResponse { outcome: AppendOutcome::Accepted { matched }, .. } => {
                assert!(
                    last >= matched || state.term > message.term,
                    "acknowledged before it is durable: {message:?}"
                );
            }
            _ => {}
        }
    }

    /// Something has happened to a server, in its `life`-th life.
    pub(super) fn look(&mut self, id: NodeId, life: u64, raft: &Raft<DiskStorage>) {
        raft.check_invariants();
        self.note_configuration(raft.configuration());
        let now = raft.status();
        self.states.insert(Seen::of(raft, &now));
        let before = self.seen.insert((id, life), (now.term, now.commit, now.last));
        if let Some((term, commit, last)) = before {
            assert!(now.term >= term && now.commit >= commit, "server {id} goes back");
            if now.role == RoleName::Leader && now.term == term && self.is_leader(id, term) {
                assert!(now.last.index >= last.index, "leader {id} shortens its log");
                let kept = raft.term_at(last.index).is_none_or(|term| term == last.term);
                assert!(kept, "leader {id} changes its log");
                let by = raft.term_at(now.commit).filter(|_| now.commit > commit);
                assert!(by.is_none_or(|by| by == term), "leader {id} commits by copies of {by:?}");
            }
        }
        if now.role == RoleName::Leader && !self.is_leader(id, now.term) {
            let other = self.leaders.insert(now.term, id);
            assert_eq!(other, None, "{id} leads term {} too", now.term);
            self.elections += 1;
            self.require_complete(id, raft);
        }
    }

    fn is_leader(&self, id: NodeId, term: Term) -> bool {
        self.leaders.get(&term) == Some(&id)
    }

    /// A leader has what was committed in terms before its own. It may lack what is of a later one,
    /// where the votes for it came late.
    fn require_complete(&self, id: NodeId, raft: &Raft<DiskStorage>) {
        let (base, now) = (raft.storage().snapshot_meta().last.index, raft.status().term);
        let earlier = self.committed.iter().filter(|(_, _, term)| *term < now);
        for (entry, _, _) in earlier.filter(|(entry, _, _)| entry.index > base) {
            let found = raft.term_at(entry.index);
            assert_eq!(found, Some(entry.term), "leader {id} lacks committed {}", entry.index);
        }
    }

    /// How much has been applied by somebody.
    pub(super) fn committed(&self) -> usize {
        self.committed.len()
    }
}

/// Two logs that have one entry in common have all earlier ones in common. Looks at so many.
pub(super) fn require_matching(one: &Raft<DiskStorage>, other: &Raft<DiskStorage>, most: usize) {
    let end = one.status().last.index.min(other.status().last.index);
    let mut is_common = false;
    for index in (1..=end.0).rev().map(Index).take(most) {
        let (Some(left), Some(right)) = (one.term_at(index), other.term_at(index)) else { return };
        assert!(left == right || !is_common, "the logs differ at {index} and not behind it");
        is_common |= left == right;
    }
}
