//! What no run may break, over all servers and all of their lives.
//!
//! | property                   | where it is looked at                                   |
//! |----------------------------|---------------------------------------------------------|
//! | election safety (§5.2)     | after each event: one leader a term                     |
//! | leader append-only (§5.3)  | after each event: a leader's log only grows             |
//! | log matching (§5.3)        | now and then: one common entry, one common prefix       |
//! | leader completeness (§5.4) | when a leader is first seen: it has what is committed   |
//! | state-machine safety (§5.4)| at each apply: one entry an index, one state an index   |
//! | monotone commit and term   | after each event, within a life                         |
//! | durable, then acknowledged | at each message that promises something                 |

use std::collections::BTreeMap;

use crate::storage::Storage;
use crate::{
    AppendOutcome, Body, DiskStorage, Entry, HardState, Index, Message, NodeId, Payload, Position,
    Raft, RoleName, Term,
};

use super::machine::Machine;

/// What has been seen.
#[derive(Default)]
pub(super) struct Oracle {
    /// Entry `i + 1`, the state behind it, and the term of who applied it first: it was committed
    /// in that term or before.
    committed: Vec<(Entry, Machine, Term)>,
    leaders: BTreeMap<Term, NodeId>,
    /// Of each life of a server: term, commit index, and the end of a leader's log.
    seen: BTreeMap<(NodeId, u64), (Term, Index, Position)>,
    pub(super) elections: u64,
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
            self.committed.push((entry.clone(), state.clone(), term));
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
        let now = raft.status();
        let before = self.seen.insert((id, life), (now.term, now.commit, now.last));
        if let Some((term, commit, last)) = before {
            assert!(now.term >= term && now.commit >= commit, "server {id} goes back");
            if now.role == RoleName::Leader && now.term == term && self.is_leader(id, term) {
                assert!(now.last.index >= last.index, "leader {id} shortens its log");
                let kept = raft.term_at(last.index).is_none_or(|term| term == last.term);
                assert!(kept, "leader {id} changes its log");
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

/// Two logs that have one entry in common have all earlier ones in common.
pub(super) fn require_matching(one: &Raft<DiskStorage>, other: &Raft<DiskStorage>) {
    let end = one.status().last.index.min(other.status().last.index);
    let mut is_common = false;
    for index in (1..=end.0).rev().map(Index) {
        let (Some(left), Some(right)) = (one.term_at(index), other.term_at(index)) else { return };
        assert!(left == right || !is_common, "the logs differ at {index} and not behind it");
        is_common |= left == right;
    }
}
