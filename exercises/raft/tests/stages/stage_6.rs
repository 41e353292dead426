//! Reads: as of now, without an entry for each.

use exercise_raft::scaffold::Body;
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, append_to, disk};

/// A leader, and the round that it asks at present.
fn leader() -> (Server, u64, u64) {
    let mut leader = Server::with(disk(&THREE, 0, &[]));
    let term = leader.lead();
    let round = append_to(1, &leader.run()).3;
    (leader, term, round)
}

fn accepted(matched: u64, round: u64) -> Body {
    Body::Accepted { matched, round }
}

/// A new leader does not know what its predecessor has committed, until an entry of its own is.
#[test]
fn no_read_before_the_first_commit() {
    let (mut leader, term, _) = leader();
    assert!(leader.node.read(1));
    let round = append_to(1, &leader.run()).3;
    // Server 1 answers the question, and has nothing of the log.
    leader.hear(1, term, accepted(0, round));
    assert!(leader.reads.is_empty(), "what is committed is not known yet");
    leader.hear(1, term, accepted(1, round));
    assert_eq!(leader.reads, [1]);
}

/// An answer to a question that was asked before the read came proves nothing about now.
#[test]
fn a_read_needs_an_answer_to_a_later_question() {
    let (mut leader, term, first) = leader();
    let before = append_to(2, &leader.hear(1, term, accepted(1, first))).3;
    assert!(leader.node.read(1));
    let after = append_to(1, &leader.run()).3;
    assert!(after > before, "a read asks anew");
    leader.hear(2, term, accepted(1, before));
    assert!(leader.reads.is_empty(), "server 2 has answered the question before");
    leader.hear(2, term, accepted(1, after));
    assert_eq!(leader.reads, [1]);
    assert!(leader.run().is_empty() || leader.reads == [1], "a read is answered once");
}

/// Many reads share one question.
#[test]
fn reads_share_a_question() {
    let (mut leader, term, before) = leader();
    leader.hear(1, term, accepted(1, before));
    for read in 0..50 {
        assert!(leader.node.read(read));
    }
    let messages = leader.run();
    assert_eq!(messages.len(), 2, "fifty reads, one message to each");
    leader.hear(1, term, accepted(1, append_to(1, &messages).3));
    assert_eq!(leader.reads.len(), 50);
}

/// Reads are lost with the leadership, and followers take none.
#[test]
fn who_does_not_lead_answers_nothing() {
    let (mut leader, term, before) = leader();
    leader.hear(1, term, accepted(1, before));
    assert!(leader.node.read(1));
    let round = append_to(1, &leader.run()).3;
    leader.hear(2, term + 1, Body::Vote { granted: false });
    leader.hear(1, term, accepted(1, round));
    assert!(leader.reads.is_empty(), "it leads no more");
    assert!(!leader.node.read(2));
}

#[test]
fn reads_are_fresh_whatever_happens() {
    let mut answered = 0;
    with_seeds("stage_6::reads_are_fresh_whatever_happens", 250, |seed| {
        let weather = Weather {
            lost: 5,
            doubled: 10,
            delay: 6,
            partitions: true,
            crashes: seed % 2 == 0,
            reads: true,
            ..Weather::default()
        };
        let mut cluster = Cluster::new(seed, 3, 3, weather);
        cluster.run(600);
        answered += cluster.answered;
    });
    assert!(answered > 100, "only {answered} reads were answered");
}
