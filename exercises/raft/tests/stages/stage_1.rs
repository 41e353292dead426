//! Elections.

use exercise_raft::scaffold::{Body, ELECTION_TICKS, HEARTBEAT_TICKS, Position};
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, append_to, at, disk};

#[test]
fn it_campaigns_when_it_is_quiet_and_leads_by_a_majority() {
    let mut server = Server::with(disk(&THREE, 0, &[]));
    let term = server.lead();
    assert_eq!(term, 1);
    // A leader speaks at once, and then now and then.
    append_to(1, &server.run());
    let mut beats = 0;
    for _ in 0..10 * HEARTBEAT_TICKS {
        server.node.tick();
        beats += server.run().iter().filter(|it| it.to == 2).count();
    }
    assert!((5..=20).contains(&beats), "{beats} messages in {} ticks", 10 * HEARTBEAT_TICKS);
}

#[test]
fn timeouts_are_neither_short_nor_all_the_same() {
    let mut timeouts = Vec::new();
    for seed in 0..30 {
        let mut node = exercise_raft::exercise::Node::new(0, disk(&THREE, 0, &[]), seed);
        let mut ticks = 0;
        while node.ready().messages.is_empty() {
            node.tick();
            ticks += 1;
            assert!(ticks <= 2 * ELECTION_TICKS, "no campaign after {ticks} ticks");
        }
        timeouts.push(ticks);
    }
    assert!(timeouts.iter().all(|it| *it >= ELECTION_TICKS), "{timeouts:?}");
    timeouts.sort_unstable();
    timeouts.dedup();
    assert!(timeouts.len() > 3, "thirty servers have the timeouts {timeouts:?} alone");
}

#[test]
fn it_votes_once_a_term_and_not_for_an_older_log() {
    let ask = |last: Position| Body::RequestVote { last };
    let cases = [
        ("the same log", at(3, 3), true),
        ("a longer log", at(3, 5), true),
        ("a later term, though shorter", at(4, 1), true),
        ("a shorter log", at(3, 2), false),
        ("an earlier term, though longer", at(2, 9), false),
    ];
    for (what, last, expected) in cases {
        let mut server = Server::with(disk(&THREE, 4, &[1, 3, 3]));
        let answer = server.ask(1, 5, ask(last));
        assert_eq!(answer.body, Body::Vote { granted: expected }, "{what}");
        let vote = expected.then_some(1);
        assert_eq!((server.disk.term, server.disk.vote), (5, vote), "{what}: what is saved");
    }
    let mut server = Server::with(disk(&THREE, 4, &[1, 3, 3]));
    assert_eq!(server.ask(1, 5, ask(at(3, 3))).body, Body::Vote { granted: true });
    let twice = server.ask(2, 5, ask(at(4, 9))).body;
    assert_eq!(twice, Body::Vote { granted: false }, "another candidate of the same term");
    let again = server.ask(1, 5, ask(at(3, 3))).body;
    assert_eq!(again, Body::Vote { granted: true }, "the answer was lost, and it asks again");
    let old = server.ask(2, 4, ask(at(4, 9)));
    assert_eq!((old.term, old.body), (5, Body::Vote { granted: false }), "an earlier term");
}

#[test]
fn votes_of_other_terms_do_not_count() {
    let mut server = Server::with(disk(&[0, 1, 2, 3, 4], 0, &[]));
    while server.node.term() == 0 {
        server.node.tick();
    }
    let term = server.node.term();
    server.hear(1, term, Body::Vote { granted: true });
    server.hear(1, term, Body::Vote { granted: true });
    assert!(!server.node.is_leader(), "one server has voted twice");
    server.hear(2, term - 1, Body::Vote { granted: true });
    assert!(!server.node.is_leader(), "a vote of an earlier term");
    server.hear(2, term, Body::Vote { granted: false });
    assert!(!server.node.is_leader(), "a refusal");
    server.hear(3, term, Body::Vote { granted: true });
    assert!(server.node.is_leader(), "three votes of five, its own among them");
}

#[test]
fn a_leader_of_an_earlier_term_steps_down() {
    let mut server = Server::with(disk(&THREE, 0, &[]));
    let term = server.lead();
    let append = |round| Body::Append { prev: at(0, 0), entries: vec![], commit: 0, round };
    server.hear(2, term + 3, append(1));
    assert!(!server.node.is_leader() && server.node.term() == term + 3);
    // And one of an earlier term is told so.
    assert_eq!(server.ask(1, term, append(2)).term, term + 3);
}

#[test]
fn one_leader_a_term_whatever_the_network_does() {
    with_seeds("stage_1::one_leader_a_term_whatever_the_network_does", 250, |seed| {
        let weather =
            Weather { lost: 20, doubled: 20, delay: 8, partitions: true, ..Weather::default() };
        let servers = if seed % 2 == 0 { 3 } else { 5 };
        Cluster::elections(seed, servers, weather, 400);
    });
}
