//! Members come and go; a newcomer gets what it needs.

use raft::{Change, Incarnation, NodeId, Way};

use super::cluster::{Cluster, GROUP};
use super::within;

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
