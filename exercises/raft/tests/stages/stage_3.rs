//! The commit rule: what a majority has is not always safe.

use exercise_raft::scaffold::Body;
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, append_to, at, disk};

const FIVE: [u32; 5] = [0, 1, 2, 3, 4];

/// Figure 8: an entry of an earlier term is on a majority, and is not committed, for a server with
/// an entry of a later term could still be elected and overwrite it.
#[test]
fn entries_of_earlier_terms_are_not_committed_by_counting() {
    let mut leader = Server::with(disk(&FIVE, 3, &[1, 2]));
    let term = leader.lead_of_five();
    assert_eq!(term, 4);
    let round = append_to(1, &leader.run()).3;
    for from in [1, 2, 3] {
        leader.hear(from, term, Body::Accepted { matched: 2, round });
    }
    assert!(leader.commands().is_empty(), "entry 2 is of term 2, and this is term 4");
    // Once an entry of its own term is on a majority, all before it is safe.
    leader.hear(1, term, Body::Accepted { matched: 3, round });
    assert!(leader.commands().is_empty(), "two copies of five");
    leader.hear(2, term, Body::Accepted { matched: 3, round });
    assert_eq!(leader.commands(), ["entry 1 of term 1", "entry 2 of term 2"]);
}

#[test]
fn a_majority_is_counted_by_servers() {
    let mut leader = Server::with(disk(&FIVE, 0, &[]));
    let term = leader.lead_of_five();
    for text in ["a", "b", "c"] {
        leader.node.propose(bytes::Bytes::from(text));
    }
    let round = append_to(1, &leader.run()).3;
    // Entries 2, 3, 4 after the first of its own. One server far ahead is one server.
    leader.hear(1, term, Body::Accepted { matched: 4, round });
    leader.hear(1, term, Body::Accepted { matched: 4, round });
    assert!(leader.commands().is_empty(), "one follower has said it twice");
    leader.hear(2, term, Body::Accepted { matched: 3, round });
    assert_eq!(leader.commands(), ["a", "b"], "three of five have entry 3");
    // What comes late and says less takes nothing back.
    leader.hear(1, term, Body::Accepted { matched: 2, round });
    leader.hear(3, term, Body::Accepted { matched: 4, round });
    assert_eq!(leader.commands(), ["a", "b", "c"], "servers 0, 1 and 3 have entry 4");
}

/// A new leader is not told by anybody what is committed: its own first entry shows it.
#[test]
fn a_new_leader_finds_out_what_is_committed() {
    let mut leader = Server::with(disk(&FIVE, 3, &[1, 2, 2]));
    let term = leader.lead_of_five();
    let (prev, entries, ..) = append_to(1, &leader.run());
    assert_eq!((prev, entries.len()), (at(2, 3), 1), "an entry of its own, behind all others");
    let round = append_to(2, &tick_until_beat(&mut leader)).3;
    leader.hear(1, term, Body::Accepted { matched: 4, round });
    leader.hear(2, term, Body::Accepted { matched: 4, round });
    assert_eq!(leader.commands().len(), 3);
}

fn tick_until_beat(leader: &mut Server) -> Vec<exercise_raft::scaffold::Message> {
    loop {
        leader.node.tick();
        let messages = leader.run();
        if !messages.is_empty() {
            return messages;
        }
    }
}

#[test]
fn nothing_committed_is_undone_when_the_network_is_divided() {
    with_seeds("stage_3::nothing_committed_is_undone_when_the_network_is_divided", 250, |seed| {
        let weather =
            Weather { lost: 5, doubled: 5, delay: 4, partitions: true, ..Weather::default() };
        Cluster::new(seed, 5, 5, weather).run(500);
    });
}
