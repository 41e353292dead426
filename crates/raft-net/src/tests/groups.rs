//! Many groups on one node share its thread, its log and its syncs.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::clock::MonotonicClock;
use harness::sim::SimDisk;
use raft::{Configuration, DiskLog, GroupId, Incarnation, NodeId, ReadMode};

use super::cluster::options;
use super::{Journal, within};
use crate::{Error, Hub, Node, mailbox};

const GROUPS: u64 = 60;

async fn start(hub: &Hub, id: u64) -> Node {
    let log = DiskLog::open(SimDisk::new(id).mount(), Path::new("/raft"), wal::Options::SYNCED);
    let log = log.expect("the disk is empty");
    let mailbox = mailbox(1 << 24);
    let transport = hub.attach(NodeId(id), mailbox.inbox());
    let clock = Arc::new(MonotonicClock::new());
    let node = Node::start(options(NodeId(id)), log.clone(), transport, mailbox, clock);
    for group in (0..GROUPS).map(GroupId) {
        let founders = Configuration::founding([1, 2, 3].map(NodeId));
        let storage = log.create(group, Incarnation(0), founders).expect("it is the first");
        node.open(storage, Journal::default()).await.expect("it is whole");
    }
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_share_syncs_and_batches() {
    let hub = Hub::new();
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push(start(&hub, id).await);
    }
    assert_eq!(nodes[0].groups().await, Ok((0..GROUPS).map(GroupId).collect()));
    for group in (0..GROUPS).map(GroupId) {
        let command = Bytes::from(group.to_string());
        within("each group works", async || {
            for node in &nodes {
                if node.propose(group, command.clone()).await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    }
    for group in (0..GROUPS).map(GroupId) {
        let read = within("each group is read", async || {
            nodes[0].read(group, Bytes::new(), ReadMode::Quorum).await.ok()
        });
        // A command may have been uncertain, and be there twice.
        assert!(read.await.starts_with(group.to_string().as_bytes()));
    }
    for node in &nodes {
        let stats = node.stats();
        assert!(stats.syncs < stats.writes, "{stats:?}");
        assert!(stats.batches * 2 < stats.sent, "{stats:?}");
    }
    let (log, journal) = (DiskLog::open, Journal::default());
    let other = log(SimDisk::new(9).mount(), Path::new("/raft"), wal::Options::SYNCED);
    let other = other.expect("the disk is empty");
    let storage = other.create(GroupId(1), Incarnation(0), Configuration::default());
    let twice = nodes[0].open(storage.expect("it is the first"), journal).await;
    assert_eq!(twice, Err(Error::Exists { group: GroupId(1) }));
    for node in nodes {
        node.stop().await.expect("it runs");
        assert_eq!(node.groups().await, Err(Error::Stopped));
    }
}
