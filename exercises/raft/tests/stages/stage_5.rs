//! Snapshots.

use bytes::Bytes;
use exercise_raft::scaffold::{Apply, Body, Snapshot};
use harness::check::replay::with_seeds;

use crate::cluster::{Cluster, Weather};
use crate::kit::{Server, THREE, append_to, at, disk, entry};

fn snapshot(term: u64, index: u64) -> Snapshot {
    Snapshot { position: at(term, index), voters: THREE.to_vec(), state: Bytes::from("state") }
}

#[test]
fn a_follower_that_needs_what_is_gone_gets_a_snapshot() {
    let mut leader = Server::with(disk(&THREE, 1, &[1, 1, 1]));
    let term = leader.lead();
    let round = append_to(1, &leader.run()).3;
    leader.hear(1, term, Body::Accepted { matched: 4, round });
    assert_eq!(leader.commands().len(), 3);
    leader.node.compact(3, Bytes::from("state"));
    leader.run();
    assert_eq!(leader.disk.snapshot().position, at(1, 3));
    assert_eq!(leader.disk.last(), at(term, 4), "what follows stays");
    // Server 2 has nothing of it.
    let hint = at(0, 0);
    let messages = leader.hear(2, term, Body::Rejected { hint, round });
    let install = messages.iter().find(|it| it.to == 2).expect("it is sent something");
    let Body::Install { snapshot, round } = &install.body else {
        panic!("a snapshot is needed: {install:?}")
    };
    assert_eq!((snapshot.position, &snapshot.state[..]), (at(1, 3), &b"state"[..]));
    // And then the entries behind it.
    let body = Body::Accepted { matched: 3, round: *round };
    let (prev, entries, ..) = append_to(2, &leader.hear(2, term, body));
    assert_eq!((prev, entries.len()), (at(1, 3), 1));
}

#[test]
fn a_snapshot_replaces_what_it_contradicts_and_nothing_else() {
    let install = |it: &Snapshot| Body::Install { snapshot: it.clone(), round: 1 };
    let accepted = |matched| Body::Accepted { matched, round: 1 };
    // It has less.
    let mut server = Server::with(disk(&THREE, 2, &[1]));
    assert_eq!(server.ask(1, 2, install(&snapshot(2, 5))).body, accepted(5));
    assert_eq!(server.applied, [Apply::Snapshot(snapshot(2, 5))]);
    assert_eq!(server.disk.last(), at(2, 5));
    // It has all of it and more: what follows stays, and the entries are applied one by one.
    let mut server = Server::with(disk(&THREE, 2, &[1, 1, 2, 2]));
    assert_eq!(server.ask(1, 2, install(&snapshot(2, 3))).body, accepted(3));
    assert_eq!(server.disk.last(), at(2, 4), "figure 13, step 6");
    assert_eq!(server.commands().len(), 3);
    // An old one comes late: nothing happens.
    let before = server.disk.clone();
    server.ask(1, 2, install(&snapshot(1, 2)));
    assert_eq!(server.disk, before);
    assert_eq!(server.applied.len(), 3);
    let mut server = Server::with(disk(&THREE, 2, &[1]));
    server.ask(1, 2, install(&snapshot(2, 5)));
    let before = server.disk.clone();
    server.ask(1, 2, install(&snapshot(1, 3)));
    assert_eq!(server.disk, before, "a later snapshot was there");
    // It has another entry there.
    let mut server = Server::with(disk(&THREE, 2, &[1, 1, 1, 1]));
    assert_eq!(server.ask(1, 2, install(&snapshot(2, 3))).body, accepted(3));
    assert_eq!(server.disk.last(), at(2, 3), "entries behind another entry are of another log");
}

#[test]
fn a_restart_begins_from_the_snapshot() {
    let mut saved = disk(&THREE, 2, &[1, 2]);
    saved.install(snapshot(2, 5));
    saved.push(entry(2, "behind"));
    let mut server = Server::with(saved);
    server.run();
    assert_eq!(server.applied, [Apply::Snapshot(snapshot(2, 5))]);
    let body = Body::Append { prev: at(2, 6), entries: vec![], commit: 6, round: 1 };
    server.hear(1, 2, body);
    assert_eq!(server.commands(), ["behind"]);
}

#[test]
fn all_apply_the_same_while_logs_are_compacted() {
    with_seeds("stage_5::all_apply_the_same_while_logs_are_compacted", 250, |seed| {
        let weather = Weather {
            lost: 10,
            doubled: 5,
            delay: 4,
            partitions: true,
            crashes: true,
            snapshots: true,
            ..Weather::default()
        };
        Cluster::new(seed, 3, 3, weather).run(500);
    });
}
