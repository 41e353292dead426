//! Disks that fail, power that is cut, machines that cannot go on, links that are cut.

use std::time::Duration;

use bytes::Bytes;
use harness::sim::{DiskFault, Dose};
use raft::{
    Body, Entries, GroupId, Incarnation, Index, Message, NodeId, Position, ReadMode, RoleName,
};

use super::cluster::{Cluster, GROUP, options};
use super::within;
use crate::{Envelope, Error, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_cut_of_all() {
    let mut cluster = Cluster::new(3, 3).await;
    let mut wanted = Vec::new();
    for round in 0..4 {
        for number in 0..10 {
            let command = format!("{round}.{number}");
            let leader = cluster.leader().await;
            cluster.node(leader).propose(GROUP, command.clone().into()).await.expect("it leads");
            wanted.push(command);
        }
        if round == 2 {
            cluster.node(1).snapshot(GROUP).await.expect("it is made");
        }
        for id in 1..=3 {
            cluster.disk(id).crash();
        }
        for id in 1..=3 {
            cluster.stop(id).await;
        }
        for id in 1..=3 {
            cluster.start(id).await;
        }
        assert_eq!(cluster.read(1 + round % 3).await, wanted.join(","));
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_fails_ends_and_the_others_go_on() {
    let mut cluster = Cluster::new(3, 3).await;
    cluster.propose("before").await;
    let leader = cluster.leader().await;
    cluster.disk(leader).inject(&DiskFault::SyncError(Dose::Times(1)));
    let lost = cluster.node(leader).propose(GROUP, "perhaps".into()).await;
    assert!(matches!(lost, Err(Error::Failed { .. } | Error::Uncertain)), "{lost:?}");
    within("its group has ended", async || {
        let status = cluster.node(leader).status(GROUP).await;
        matches!(status, Err(Error::Failed { .. })).then_some(())
    })
    .await;
    cluster.disk(leader).heal();
    cluster.propose("after").await;
    cluster.stop(leader).await;
    cluster.start(leader).await;
    let all = cluster.read(leader).await;
    assert!(all.starts_with("before") && all.ends_with("after"), "{all}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_cannot_go_on_ends_its_group() {
    // Two, so that what the leader commits the other one has, and is told of.
    let cluster = Cluster::new(2, 2).await;
    cluster.propose("before").await;
    let leader = cluster.leader().await;
    let lost = cluster.node(leader).propose(GROUP, "boom".into()).await;
    assert!(lost.expect_err("it is lost").is_uncertain());
    for id in 1..=2 {
        // Both kinds of machines fail, where they are.
        within("its group has ended", async || {
            let status = cluster.node(id).status(GROUP).await;
            let ended = |reason: &str| reason.contains("cannot be applied");
            matches!(status, Err(Error::Failed { reason, .. }) if ended(&reason)).then_some(())
        })
        .await;
    }
    cluster.end().await;
}

/// A peer that does not follow the protocol: the core finds a contradiction and the group ends,
/// loudly; the node, and its other groups, go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_lies_ends_a_group_and_not_the_node() {
    let cluster = Cluster::new(1, 1).await;
    cluster.propose("before").await;
    let status = cluster.status(1).await.status;
    let (from, to, term) = (NodeId(2), NodeId(1), status.term);
    let body = Body::AppendEntries {
        prev: Position::default(),
        entries: Entries::default(),
        commit: Index(0),
        round: 1,
        session: 1,
    };
    let message = Message { from, to, incarnation: Incarnation(0), term, body };
    let envelope = Envelope { group: GROUP, message };
    let unknown = Envelope { group: GroupId(99), ..envelope.clone() };
    let inbox = cluster.hub.inbox(to).expect("it is attached");
    assert!(inbox.deliver(from, vec![unknown, envelope].into()));
    let reason =
        within("its group has ended", async || match cluster.node(1).status(GROUP).await {
            Err(Error::Failed { reason, .. }) => Some(reason),
            _ => None,
        })
        .await;
    assert!(reason.contains("contradicts itself"), "{reason}");
    assert_eq!(cluster.node(1).groups().await, Ok(Vec::new()));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_answers_no_read_and_steps_down() {
    let cluster = Cluster::new(3, 3).await;
    cluster.propose("before").await;
    let old = cluster.leader().await;
    cluster.hub.isolate(NodeId(old));
    let lost = cluster.node(old).read(GROUP, Bytes::new(), ReadMode::Quorum).await;
    assert_eq!(lost, Err(Error::ReadLost));
    let uncertain = cluster.node(old).propose(GROUP, "nobody hears".into()).await;
    assert!(uncertain.is_err(), "{uncertain:?}");
    assert_ne!(cluster.status(old).await.status.role, RoleName::Leader);
    let stale = cluster.node(old).read_stale(GROUP, Bytes::new()).await;
    assert_eq!(stale.expect("it runs"), "before");
    within("others have elected", async || (cluster.leader().await != old).then_some(())).await;
    cluster.hub.heal();
    cluster.propose("after").await;
    assert_eq!(cluster.read(old).await, "before,after");
    cluster.end().await;
}

/// A follower that was away for longer than the log reaches back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_gets_a_snapshot() {
    fn small(id: NodeId) -> Options {
        Options { compact_bytes: 2_000, ..options(id) }
    }
    let cluster = Cluster::with(3, 3, small).await;
    let leader = cluster.leader().await;
    // The second machine is applied on the node thread, where it is to be restored too.
    let away = if leader == 2 { 3 } else { 2 };
    cluster.hub.isolate(NodeId(away));
    for number in 0..200 {
        cluster.propose(&number.to_string()).await;
    }
    cluster.hub.heal();
    let known = cluster.read(leader).await;
    within("it has it all", async || (cluster.read(away).await == known).then_some(())).await;
    assert!(cluster.node(away).stats().restores >= 1);
    let snapshots = cluster.node(leader).stats().snapshots;
    assert!(snapshots >= 2, "{snapshots} snapshots");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_dropped_ends() {
    let mut cluster = Cluster::new(1, 1).await;
    cluster.propose("before").await;
    drop(cluster.servers[0].take());
    let again = within("the log is free", async || cluster.log(1).ok());
    drop(again.await);
    tokio::time::sleep(Duration::from_millis(1)).await;
    cluster.start(1).await;
    assert_eq!(cluster.read(1).await, "before");
    cluster.end().await;
}
