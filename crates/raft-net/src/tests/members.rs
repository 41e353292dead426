//! Members come and go; a newcomer gets what it needs.

use std::time::Duration;

use bytes::Bytes;
use raft::{Change, ChangeError, Incarnation, NodeId, ReadMode, Way};
use tokio::time::sleep;

use super::cluster::{Cluster, GROUP};
use super::within;
use crate::Error;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_added_by_a_snapshot_and_the_leader_removed() {
    let mut cluster = Cluster::new(4, 3).await;
    let leader = cluster.leader().await;
    // More than a part of a snapshot takes.
    let long = "x".repeat(300);
    for _ in 0..20 {
        cluster.propose(&long).await;
    }
    let until = cluster.node(leader).snapshot(GROUP).await.expect("it is made");
    let status = cluster.status(leader).await;
    assert!(status.first.0 > 1 && status.snapshot == until, "{status:?}");
    let again = cluster.node(leader).snapshot(GROUP).await.expect("it is there");
    assert_eq!(again, until, "nothing has happened since");

    let newcomer = (NodeId(4), Incarnation(104));
    let learn = vec![Change::AddLearner(newcomer.0, newcomer.1)];
    cluster.node(leader).change(GROUP, learn, Way::Simple).await.expect("it leads");
    within("the newcomer has it all", async || {
        (cluster.read(4).await.len() == 20 * 301 - 1).then_some(())
    })
    .await;
    assert_eq!(cluster.node(4).stats().restores, 1);
    let swap = vec![Change::AddVoter(newcomer.0, newcomer.1), Change::Remove(NodeId(leader))];
    cluster.node(leader).change(GROUP, swap, Way::Joint).await.expect("it leads");
    let next = within("another one leads", async || {
        let next = cluster.leader().await;
        (next != leader).then_some(next)
    })
    .await;
    within("the joint configuration is left", async || {
        (!cluster.status(next).await.configuration.is_joint()).then_some(())
    })
    .await;
    let voters = cluster.status(next).await.configuration.voters;
    let wanted: Vec<_> = (1..=4).filter(|id| *id != leader).map(NodeId).collect();
    assert_eq!(voters, wanted);
    cluster.stop(leader).await;
    cluster.propose("without it").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joint_configuration_is_stayed_in_until_it_is_left() {
    let cluster = Cluster::new(4, 3).await;
    let leader = cluster.leader().await;
    let gone = NodeId(leader % 3 + 1);
    let swap = vec![Change::AddVoter(NodeId(4), Incarnation(104)), Change::Remove(gone)];
    let node = cluster.node(leader);
    node.change(GROUP, swap, Way::JointUntilLeft).await.expect("it leads");
    cluster.propose("within").await;
    let found = cluster.status(leader).await.configuration;
    assert!(found.is_joint(), "it is stayed in: {found:?}");
    let refused = cluster.node(gone.0).leave_joint(GROUP).await.expect_err("it only follows");
    assert_eq!(refused.leader(), Some(NodeId(leader)), "{refused}");
    let left = cluster.node(leader).leave_joint(GROUP).await.expect("it leads");
    let found = cluster.status(leader).await;
    assert!(found.status.commit >= left && !found.configuration.is_joint(), "{found:?}");
    assert!(found.configuration.is_voter(NodeId(4)) && !found.configuration.is_voter(gone));
    let again = cluster.node(leader).leave_joint(GROUP).await;
    assert!(matches!(again, Err(Error::Change(ChangeError::Invalid(_)))), "{again:?}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_votes_for_one_of_two() {
    let mut cluster = Cluster::with_witness().await;
    let leader = cluster.leader().await;
    let witness = Change::AddVoter(NodeId(3), Incarnation::witness(103));
    cluster.node(leader).change(GROUP, vec![witness], Way::Simple).await.expect("it leads");
    cluster.propose(&"secret ".repeat(50)).await;
    // The other server, without the leader; the witness without a state.
    cluster.stop(leader).await;
    let other = 3 - leader;
    within("the other one leads", async || {
        (cluster.status(other).await.status.leader == Some(NodeId(other))).then_some(())
    })
    .await;
    cluster.propose("and more").await;
    assert!(cluster.read(other).await.contains("and more"));
    let query = Bytes::new();
    let refused = cluster.node(3).read(GROUP, query.clone(), ReadMode::Quorum).await;
    assert_eq!(refused, Err(Error::Witness));
    assert_eq!(cluster.node(3).read_stale(GROUP, query).await, Err(Error::Witness));
    let last = cluster.status(other).await.status.commit;
    within("the witness knows of all", async || {
        (cluster.status(3).await.status.applied >= last).then_some(())
    })
    .await;
    let until = cluster.node(3).snapshot(GROUP).await.expect("it shortens its log");
    assert!(until >= last && cluster.status(3).await.snapshot == until);
    cluster.stop(3).await;
    let found = cluster.disk(3).mount();
    let folder = std::path::Path::new("/raft/log");
    for entry in env::fs::Fs::list(&*found, folder).expect("it is there") {
        let bytes = env::fs::FsExt::read(&*found, &folder.join(entry.name)).expect("it is there");
        assert!(!bytes.windows(6).any(|part| part == b"secret"), "a witness keeps no command");
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_is_started_again_is_noticed_though_it_has_nothing_to_say() {
    let mut cluster = Cluster::new(4, 3).await;
    let leader = cluster.leader().await;
    cluster.stop(4).await;
    let learn = vec![Change::AddLearner(NodeId(4), Incarnation(104))];
    cluster.node(leader).change(GROUP, learn, Way::Simple).await.expect("it leads");
    cluster.propose("before").await;
    // Until nobody waits for it any more: a leader at rest says nothing of its own.
    let mut sent = cluster.node(leader).stats().sent;
    within("the group rests", async || {
        sleep(Duration::from_millis(300)).await;
        let before = std::mem::replace(&mut sent, cluster.node(leader).stats().sent);
        (before == sent).then_some(())
    })
    .await;
    // It belongs to no configuration that it knows, and so would never campaign.
    cluster.start(4).await;
    within("it is told", async || {
        let found = cluster.node(4).read_stale(GROUP, Bytes::new()).await.expect("it runs");
        (found == "before").then_some(())
    })
    .await;
    cluster.end().await;
}
