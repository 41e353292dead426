//! Persistence: what was said stays true after a crash.

use exercise_raft::scaffold::Body;
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, at, disk, entry};

/// A server that forgot its vote would vote twice.
#[test]
fn a_vote_survives() {
    let mut server = Server::with(disk(&THREE, 4, &[1]));
    let ask = Body::RequestVote { last: at(1, 1) };
    // The term is known already, and saved: the vote is all that is new.
    server.hear(2, 5, Body::Vote { granted: false });
    assert_eq!(server.ask(1, 5, ask.clone()).body, Body::Vote { granted: true });
    let mut again = Server::with(server.disk);
    assert_eq!(again.node.term(), 5, "the term was not saved");
    let answer = again.ask(2, 5, ask).body;
    assert_eq!(answer, Body::Vote { granted: false }, "it has voted for server 1");
}

/// Also where the message brings nothing but a later term.
#[test]
fn a_term_survives() {
    let mut server = Server::with(disk(&THREE, 4, &[1]));
    server.hear(1, 9, Body::Vote { granted: false });
    assert_eq!(server.disk.term, 9);
    assert_eq!(server.disk.vote, None);
}

#[test]
fn what_was_acknowledged_survives() {
    let mut server = Server::with(disk(&THREE, 1, &[]));
    let entries = vec![entry(2, "a"), entry(2, "b")];
    let body = Body::Append { prev: at(0, 0), entries, commit: 0, round: 1 };
    assert_eq!(server.ask(1, 2, body).body, Body::Accepted { matched: 2, round: 1 });
    assert_eq!(server.disk.last(), at(2, 2));
    // Nothing new, nothing to save.
    let body = Body::Append { prev: at(2, 2), entries: vec![], commit: 2, round: 2 };
    server.node.step(exercise_raft::scaffold::Message { from: 1, to: 0, term: 2, body });
    assert_eq!(server.node.ready().save, None, "a heartbeat changes nothing that must survive");
}

/// After a restart all is applied again, from what is committed.
#[test]
fn a_restart_begins_from_the_disk() {
    let mut server = Server::with(disk(&THREE, 2, &[1, 2]));
    let term = server.lead();
    assert_eq!(term, 3, "it goes on in the next term");
    assert!(server.commands().is_empty(), "it does not know yet what is committed");
    let round = crate::kit::append_to(1, &server.run()).3;
    server.hear(1, term, Body::Accepted { matched: 3, round });
    assert_eq!(server.commands(), ["entry 1 of term 1", "entry 2 of term 2"]);
}

#[test]
fn nothing_committed_is_undone_by_crashes() {
    with_seeds("stage_4::nothing_committed_is_undone_by_crashes", 250, |seed| {
        let weather = Weather {
            lost: 5,
            doubled: 5,
            delay: 4,
            partitions: true,
            crashes: true,
            ..Weather::default()
        };
        let servers = if seed % 2 == 0 { 3 } else { 5 };
        Cluster::new(seed, servers, servers, weather).run(500);
    });
}
