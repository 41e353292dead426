//! The world: everything at once, and the whole suite.

use exercise_raft::Judged;
use exercise_raft::scaffold::{Body, ELECTION_TICKS};
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, append_to, at, disk};

harness::consensus_suite!(suite, Judged);

/// A leader that no majority answers steps down, so that its clients go elsewhere.
#[test]
fn a_leader_that_is_alone_doubts() {
    let mut leader = Server::with(disk(&THREE, 0, &[]));
    let term = leader.lead();
    for _ in 0..20 {
        leader.node.tick();
        let round = append_to(1, &[leader.run(), beat(&mut leader)].concat()).3;
        leader.hear(1, term, Body::Accepted { matched: 1, round });
        assert!(leader.node.is_leader(), "one of two followers answers");
    }
    for _ in 0..4 * ELECTION_TICKS {
        leader.node.tick();
        leader.run();
    }
    assert!(!leader.node.is_leader(), "nobody has answered for four election timeouts");
}

fn beat(leader: &mut Server) -> Vec<exercise_raft::scaffold::Message> {
    (0..4)
        .flat_map(|_| {
            leader.node.tick();
            leader.run()
        })
        .collect()
}

/// A server that was cut off, or removed, comes with a high term. While a leader is near, nobody
/// listens.
#[test]
fn who_hears_a_leader_is_not_disturbed() {
    let mut server = Server::with(disk(&THREE, 3, &[1]));
    server.hear(1, 3, Body::Append { prev: at(1, 1), entries: vec![], commit: 1, round: 1 });
    server.hear(2, 9, Body::RequestVote { last: at(1, 1) });
    assert_eq!(server.node.term(), 3, "a leader was heard of a moment ago");
    for _ in 0..ELECTION_TICKS {
        server.node.tick();
    }
    server.hear(2, 9, Body::RequestVote { last: at(1, 1) });
    assert!(server.node.term() >= 9, "now none is near");
}

pub(crate) fn all_at_once(name: &str, seeds: u64) {
    with_seeds(name, seeds, |seed| {
        let weather = Weather {
            lost: 8,
            doubled: 8,
            delay: 5,
            partitions: true,
            crashes: true,
            snapshots: true,
            reads: true,
            changes: seed % 3 == 0,
        };
        if weather.changes {
            Cluster::changes(seed, 5, 3, weather, 800);
        } else {
            Cluster::new(seed, 5, 5, weather).run(800);
        }
    });
}

#[test]
fn survives_everything_at_once() {
    all_at_once("stage_8::survives_everything_at_once", 300);
}
