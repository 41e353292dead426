//! Messages that no server sends unless something is wrong with its disk or with its peer.

use bytes::Bytes;

use crate::{
    Body, Config, Configuration, Entry, Incarnation, Index, MemoryStorage, Message, NodeId,
    Payload, Position, Raft, ReadId, Term,
};

fn follower() -> Raft<MemoryStorage> {
    let founding = Configuration::founding([1, 2, 3].map(NodeId));
    let config = Config::new(NodeId(2), 1);
    Raft::new(config, MemoryStorage::founding(founding), Index::ZERO).expect("a valid config")
}

fn append(prev: Position, indices: &[u64]) -> Message {
    let payload = Payload::Command(Bytes::from("x"));
    let entry =
        |&index: &u64| Entry { index: Index(index), term: Term(1), payload: payload.clone() };
    let entries = indices.iter().map(entry).collect();
    let body = Body::AppendEntries { prev, entries, commit: Index(0), round: 1, session: 1 };
    let (from, to) = (NodeId(1), NodeId(2));
    Message { from, to, incarnation: Incarnation(0), term: Term(1), body }
}

/// A leader could not read the first of the entries and sends the others (openraft 1795).
#[test]
pub(super) fn entries_with_a_gap_are_not_taken() {
    for indices in [&[2, 3][..], &[1, 3], &[2]] {
        let mut raft = follower();
        raft.step(append(Position::default(), indices));
        assert_eq!(raft.status().last.index, Index(0), "{indices:?}");
        raft.check_invariants();
    }
    let mut raft = follower();
    raft.step(append(Position::default(), &[1, 2]));
    assert_eq!(raft.status().last.index, Index(2));
}

/// What a leader of an earlier term says changes nothing, and it is told.
#[test]
fn leader_of_an_earlier_term_is_corrected() {
    let mut raft = follower();
    let mut newer = append(Position::default(), &[]);
    newer.term = Term(5);
    raft.step(newer);
    raft.step(append(Position::default(), &[1]));
    assert_eq!(raft.status().last.index, Index(0));
    let ready = raft.ready().expect("memory can be read");
    let write = ready.write.expect("a new term is written");
    raft.storage_mut().write(&write);
    let terms: Vec<_> = raft.persisted(write).into_iter().map(|message| message.term).collect();
    assert_eq!(terms, [Term(5), Term(5)], "both get an answer of the new term");
}

/// Replies of servers that are no members, to questions never asked.
#[test]
fn replies_nobody_asked_for_change_nothing() {
    let mut raft = follower();
    let id = ReadId { boot: 1, sequence: 1 };
    for body in [
        Body::VoteResponse { pre: false, granted: true },
        Body::VoteResponse { pre: true, granted: true },
        Body::ReadIndexResponse { id, index: Index(9) },
    ] {
        let (from, to) = (NodeId(9), NodeId(2));
        raft.step(Message { from, to, incarnation: Incarnation(0), term: Term(0), body });
        raft.check_invariants();
    }
    assert!(raft.ready().expect("memory can be read").is_empty());
}
