//! Members: one more or one fewer, while it runs.

use exercise_raft::scaffold::{Body, Payload};
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, append_to, disk};

/// A leader that has committed its first entry.
fn leader() -> (Server, u64, u64) {
    let mut leader = Server::with(disk(&THREE, 0, &[]));
    let term = leader.lead();
    let round = append_to(1, &leader.run()).3;
    leader.hear(1, term, Body::Accepted { matched: 1, round });
    (leader, term, round)
}

#[test]
fn voters_count_from_the_log_on() {
    let (mut leader, term, _) = leader();
    assert!(leader.node.change(&[0, 1, 2, 3]));
    let messages = leader.run();
    let (_, entries, _, round) = append_to(3, &messages);
    assert!(!entries.is_empty(), "the new one gets the log");
    assert_eq!(leader.disk.voters(), (2, &[0, 1, 2, 3][..]));
    // Two of three would be a majority of the old ones; of four it takes three.
    leader.hear(1, term, Body::Accepted { matched: 2, round });
    assert!(leader.applied.len() == 1, "two of four");
    leader.hear(3, term, Body::Accepted { matched: 2, round });
    let payload = leader.applied.last().cloned();
    let expected = exercise_raft::scaffold::Apply::Entry(2, Payload::Voters(vec![0, 1, 2, 3]));
    assert_eq!(payload, Some(expected), "three of four");
}

#[test]
fn one_change_at_a_time_by_one_server() {
    let (mut leader, term, _) = leader();
    assert!(!leader.node.change(&[0, 1, 2, 3, 4]), "two at once: majorities need not meet");
    assert!(!leader.node.change(&[0, 1, 2]), "no change");
    assert!(!leader.node.change(&[0, 1, 3]), "an exchange is two changes");
    assert!(leader.node.change(&[0, 1]));
    assert!(!leader.node.change(&[0, 1, 3]), "the last one is not committed");
    let round = append_to(1, &leader.run()).3;
    leader.hear(1, term, Body::Accepted { matched: 2, round });
    assert!(leader.node.change(&[0, 1, 3]), "now it is");
    let mut follower = Server::with(disk(&THREE, 0, &[]));
    assert!(!follower.node.change(&[0, 1]), "it does not lead");
}

/// The correction of 2015: without it two leaders of different terms may each change one server,
/// and their majorities do not meet.
#[test]
fn no_change_before_the_first_commit() {
    let mut leader = Server::with(disk(&THREE, 0, &[]));
    let term = leader.lead();
    assert!(!leader.node.change(&[0, 1]), "a change of an earlier term may be under way");
    let round = append_to(1, &leader.run()).3;
    leader.hear(1, term, Body::Accepted { matched: 1, round });
    assert!(leader.node.change(&[0, 1]));
}

/// Who leads and is removed goes on until that is committed, and does not count itself.
#[test]
fn a_leader_may_remove_itself() {
    let (mut leader, term, _) = leader();
    assert!(leader.node.change(&[1, 2]));
    let round = append_to(1, &leader.run()).3;
    leader.hear(1, term, Body::Accepted { matched: 2, round });
    assert!(leader.node.is_leader(), "one of two");
    assert_eq!(leader.applied.len(), 1);
    leader.hear(2, term, Body::Accepted { matched: 2, round });
    assert!(!leader.node.is_leader(), "it is out");
    assert_eq!(leader.applied.len(), 2, "and it was committed");
    for _ in 0..100 {
        leader.node.tick();
        let says = leader.run();
        assert!(says.is_empty(), "who does not vote does not campaign: {says:?}");
    }
}

#[test]
fn nothing_is_undone_while_members_change() {
    with_seeds("stage_7::nothing_is_undone_while_members_change", 250, |seed| {
        let weather =
            Weather { lost: 5, doubled: 5, delay: 3, changes: true, ..Weather::default() };
        Cluster::changes(seed, 5, 3, weather, 600);
    });
}
