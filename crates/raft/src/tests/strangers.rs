//! Messages that no server sends unless something is wrong with its disk or with its peer.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Body, Config, Configuration, Entries, Entry, HardState, Incarnation, Index, MemoryStorage,
    Message, NodeId, Payload, Position, Raft, ReadId, SnapshotMeta, Storage, StorageError, Term,
    Write,
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

/// A leader that claims a snapshot of any length, and sends more and more of it.
#[test]
fn a_snapshot_that_is_too_large_is_refused_and_takes_no_memory() {
    let founding = Configuration::founding([1, 2, 3].map(NodeId));
    let config = Config { snapshot_bytes_max: 100, ..Config::new(NodeId(2), 1) };
    let storage = MemoryStorage::founding(founding.clone());
    let mut raft = Raft::new(config, storage, Index::ZERO).expect("a valid config");
    let part = |len: u64, offset: u64| {
        let last = Position { index: Index(9), term: Term(1) };
        let meta = Box::new(SnapshotMeta { last, configuration: founding.clone(), len });
        let data = Bytes::from(vec![7; 50]);
        let body = Body::InstallSnapshot { meta, offset, data, round: 1, session: 1 };
        let (from, to) = (NodeId(1), NodeId(2));
        Message { from, to, incarnation: Incarnation(0), term: Term(1), body }
    };
    for (len, offset) in [(101, 0), (101, 50), (u64::MAX, 0), (u64::MAX, 50)] {
        raft.step(part(len, offset));
        assert_eq!(raft.status().refused_snapshot, Some(len), "{len} bytes, at {offset}");
        let mut ready = raft.ready().expect("memory can be read");
        if let Some(write) = ready.write.take() {
            assert!(write.snapshot().is_none());
            ready.messages.extend(raft.persisted(write));
        }
        assert_eq!(ready.messages.len(), 1, "it is answered");
        for answer in ready.messages {
            let Body::SnapshotResponse { offset, .. } = answer.body else { panic!("{answer:?}") };
            assert_eq!(offset, 0, "nothing of it is kept");
        }
    }
    raft.step(part(100, 0));
    raft.step(part(100, 50));
    assert_eq!(raft.status().refused_snapshot, None);
    assert_eq!(raft.status().last.index, Index(9), "one that fits is taken");
}

/// A log whose device may read nothing any more.
struct Worn {
    disk: MemoryStorage,
    is_worn_out: bool,
}

impl Storage for Worn {
    fn hard_state(&self) -> HardState {
        self.disk.hard_state()
    }

    fn snapshot_meta(&self) -> &SnapshotMeta {
        self.disk.snapshot_meta()
    }

    fn snapshot_chunk(&self, offset: u64, len: u64) -> Result<Bytes, StorageError> {
        self.disk.snapshot_chunk(offset, len)
    }

    fn first_index(&self) -> Index {
        self.disk.first_index()
    }

    fn last_index(&self) -> Index {
        self.disk.last_index()
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.disk.term(index)
    }

    fn entries(&self, range: Range<Index>, bytes_max: u64) -> Result<Entries, StorageError> {
        if self.is_worn_out {
            return Err(StorageError::Failed { reason: "it is worn out".to_owned() });
        }
        self.disk.entries(range, bytes_max)
    }
}

/// It goes on leading, and whoever lacks what it cannot read lacks it until it can.
#[test]
fn leader_that_cannot_read_its_log_says_so() {
    let founding = Configuration::founding([1, 2, 3].map(NodeId));
    let mut disk = MemoryStorage::founding(founding);
    let entry = |index| {
        let payload = Payload::Command(Bytes::from("x"));
        Entry { index: Index(index), term: Term(1), payload }
    };
    let hard_state = HardState { term: Term(1), vote: None, commit: Index(0) };
    let entries = (1..=3).map(entry).collect();
    disk.write(&Write { sequence: 0, hard_state, snapshot: None, entries, promises: Vec::new() });
    let config = Config { pre_vote: false, ..Config::new(NodeId(1), 1) };
    let worn = Worn { disk, is_worn_out: false };
    let mut raft = Raft::new(config, worn, Index::ZERO).expect("a valid config");
    raft.storage_mut().is_worn_out = true;
    let of_2 = |body| {
        let (from, to, term) = (NodeId(2), NodeId(1), Term(2));
        Message { from, to, incarnation: Incarnation(0), term, body }
    };
    raft.campaign();
    let write = raft.ready().expect("nothing is to be read").write.expect("a vote is written");
    raft.storage_mut().disk.write(&write);
    raft.persisted(write);
    raft.step(of_2(Body::VoteResponse { pre: false, granted: true }));
    let ready = raft.ready().expect("its own entry is in memory");
    assert!(raft.is_leader() && !ready.messages.is_empty(), "it speaks, and sends no entries");
    assert_eq!(raft.status().read_errors, 1);
    let failed = raft.read_error().expect("it is known why");
    assert!(matches!(failed, StorageError::Failed { .. }), "{failed}");
    raft.storage_mut().is_worn_out = false;
    (0..2).for_each(|_| raft.tick());
    let ready = raft.ready().expect("a heartbeat is due");
    let is_sent = |it: &Message| match &it.body {
        Body::AppendEntries { entries, .. } => !entries.is_empty(),
        _ => false,
    };
    assert!(ready.messages.iter().any(is_sent), "{:?}", ready.messages);
    assert_eq!(raft.status().read_errors, 1);
}
