//! Replication: logs become the same, from wherever they begin.

use exercise_raft::scaffold::{Body, Entry, Payload, Position};
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, append_to, at, command, disk, entry};

fn append(prev: Position, entries: Vec<Entry>, commit: u64) -> Body {
    Body::Append { prev, entries, commit, round: 1 }
}

#[test]
fn a_majority_decides_and_all_apply() {
    let mut leader = Server::with(disk(&THREE, 0, &[]));
    let term = leader.lead();
    let index = leader.node.propose(bytes::Bytes::from_static(b"x = 1")).expect("it leads");
    let (prev, entries, _, round) = append_to(1, &leader.run());
    assert_eq!(prev, at(0, 0));
    assert_eq!(entries.last().map(|it| &it.payload), Some(&command("x = 1")));
    assert!(leader.commands().is_empty(), "one copy of three is no majority");
    let messages = leader.hear(1, term, Body::Accepted { matched: index, round });
    assert_eq!(leader.commands(), ["x = 1"]);
    let commit = append_to(2, &messages).2;
    assert_eq!(commit, index, "the others hear of it");
    // A follower takes it over.
    let mut follower = Server::with(disk(&THREE, 0, &[]));
    follower.hear(2, term, append(prev, entries, 0));
    assert!(follower.commands().is_empty(), "it does not know yet that it is committed");
    follower.hear(2, term, append(at(term, index), vec![], index));
    assert_eq!(follower.commands(), ["x = 1"]);
    assert_eq!(follower.node.propose(bytes::Bytes::new()), None, "a follower takes no commands");
}

#[test]
fn what_is_in_the_way_goes_and_nothing_else() {
    let log = disk(&THREE, 3, &[1, 1, 2, 2]);
    let mut server = Server::with(log.clone());
    // Another entry at 3: what follows goes with it.
    let answer = server.ask(1, 4, append(at(1, 2), vec![entry(4, "new")], 0)).body;
    assert_eq!(answer, Body::Accepted { matched: 3, round: 1 });
    assert_eq!(server.disk.last(), at(4, 3));
    // The same entries again, and fewer of them: nothing goes.
    let mut server = Server::with(log.clone());
    let old = log.entry(2).expect("it is there").clone();
    let answer = server.ask(1, 4, append(at(1, 1), vec![old], 0)).body;
    assert_eq!(answer, Body::Accepted { matched: 2, round: 1 });
    assert_eq!(server.disk.last(), at(2, 4), "a late message has cut off what came after it");
    // A gap is refused, and so is another entry at `prev`.
    for prev in [at(4, 9), at(3, 4)] {
        let answer = server.ask(1, 4, append(prev, vec![entry(4, "behind")], 9)).body;
        assert!(matches!(answer, Body::Rejected { .. }), "{prev:?}: {answer:?}");
        assert_eq!(server.disk.last(), at(2, 4));
        assert!(server.commands().is_empty(), "nothing is known to be committed");
    }
}

#[test]
fn only_what_matches_is_committed() {
    let mut server = Server::with(disk(&THREE, 3, &[1, 1, 2, 2]));
    server.hear(1, 4, append(at(1, 2), vec![], 4));
    let expected = ["entry 1 of term 1", "entry 2 of term 1"];
    assert_eq!(server.commands(), expected, "entries 3 and 4 may be other ones at the leader");
}

/// Figure 7: whatever a follower has, it gets the leader's log, and in few messages.
#[test]
fn logs_that_differ_become_the_same_in_few_steps() {
    let leaders = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let long: Vec<u64> = [1].into_iter().chain([2; 500]).collect();
    let followers = [
        vec![1, 1, 1, 4, 4, 5, 5, 6, 6],
        vec![1, 1, 1, 4],
        vec![1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        vec![1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        vec![1, 1, 1, 4, 4, 4, 4],
        vec![1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        long,
    ];
    for log in followers {
        let mut leader = Server::with(disk(&THREE, 7, &leaders));
        let mut follower = Server::with(disk(&THREE, 7, &log));
        let term = leader.lead();
        let mut messages = leader.run();
        let mut steps = 0;
        while follower.disk.last() != leader.disk.last() {
            steps += 1;
            assert!(steps <= 10, "{steps} messages to bring {log:?} into line");
            let (prev, entries, commit, round) = append_to(1, &messages);
            let answer = follower.ask(1, term, Body::Append { prev, entries, commit, round });
            messages = leader.hear(1, term, answer.body);
        }
        for index in 1..=leader.disk.last().index {
            assert_eq!(leader.disk.entry(index), follower.disk.entry(index), "entry {index}");
        }
        let noop = leader.disk.entry(leaders.len() as u64 + 1).map(|it| it.payload.clone());
        assert_eq!(noop, Some(Payload::Noop), "a leader begins with an entry of its own");
    }
}

#[test]
fn all_apply_the_same_whatever_the_network_does() {
    with_seeds("stage_2::all_apply_the_same_whatever_the_network_does", 250, |seed| {
        let weather = Weather { lost: 10, doubled: 10, delay: 6, ..Weather::default() };
        Cluster::new(seed, 3, 3, weather).run(300);
    });
}
