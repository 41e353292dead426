//! Reads that wait, and how many of them do.

use super::cluster::Cluster;
use crate::{Config, Configuration, Index, MemoryStorage, NodeId, ReadError, ReadMode};

const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// Three servers, the first of which leads, also where it is alone.
fn cluster(reads_max: usize) -> Cluster {
    let mut cluster = Cluster::default();
    let founding = Configuration::founding(ALL);
    for id in ALL {
        let config = Config { reads_max, check_quorum: false, ..Config::new(id, 0) };
        cluster.add(config, MemoryStorage::founding(founding.clone()));
    }
    cluster.raft(NodeId(1)).campaign();
    cluster.pump(NodeId(1));
    cluster.stabilise();
    cluster.take_lines();
    cluster
}

fn served(cluster: &mut Cluster, id: NodeId) -> usize {
    let wanted = format!("{id} serves read");
    cluster.take_lines().iter().filter(|line| line.starts_with(&wanted)).count()
}

#[test]
fn a_leader_that_is_cut_off_keeps_so_many_reads_and_no_more() {
    let mut cluster = cluster(3);
    for other in &ALL[1..] {
        cluster.cuts.extend([(NodeId(1), *other), (*other, NodeId(1))]);
    }
    for _ in 0..3 {
        cluster.raft(NodeId(1)).read(ReadMode::Quorum).expect("there is room");
    }
    let refused = cluster.raft(NodeId(1)).read(ReadMode::Quorum);
    assert_eq!(refused, Err(ReadError::Full { waiting: 3, max: 3 }));
    cluster.pump(NodeId(1));
    cluster.stabilise();
    assert_eq!(served(&mut cluster, NodeId(1)), 0);
    cluster.cuts.clear();
    (0..2).for_each(|_| cluster.raft(NodeId(1)).tick());
    cluster.pump(NodeId(1));
    cluster.stabilise();
    assert_eq!(served(&mut cluster, NodeId(1)), 3);
    assert!(cluster.raft(NodeId(1)).read(ReadMode::Quorum).is_ok(), "there is room again");
}

#[test]
fn reads_of_a_follower_are_served_whatever_the_order_of_answers() {
    let mut cluster = cluster(4);
    for _ in 0..4 {
        cluster.raft(NodeId(2)).read(ReadMode::Quorum).expect("there is room");
    }
    let refused = cluster.raft(NodeId(2)).read(ReadMode::Quorum);
    assert_eq!(refused, Err(ReadError::Full { waiting: 4, max: 4 }));
    cluster.pump(NodeId(2));
    cluster.network.make_contiguous().reverse();
    cluster.stabilise();
    assert_eq!(served(&mut cluster, NodeId(2)), 4);
    let status = cluster.raft(NodeId(2)).status();
    assert_eq!(status.applied, Index(1));
    assert!(cluster.raft(NodeId(2)).read(ReadMode::Quorum).is_ok(), "there is room again");
}
