//! When time may stand still, and what is made up for afterwards.

use super::cluster::Cluster;
use crate::{Config, Configuration, MemoryStorage, NodeId, ReadMode, RoleName};

const LEADER: NodeId = NodeId(1);
const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];
/// An election timeout, as configured.
const TIMEOUT: u32 = 10;

/// Three servers, and all that the first one's election sends is delivered.
fn elected() -> Cluster {
    let mut cluster = Cluster::default();
    let ids = [1, 2, 3].map(NodeId);
    for id in ids {
        let plain = Config::new(id, 0);
        let config = Config { lease_margin_ticks: Some(1), pre_vote: false, ..plain };
        assert_eq!(config.election_ticks, TIMEOUT);
        cluster.add(config, MemoryStorage::founding(Configuration::founding(ids)));
        // Who has just started may have promised a lease.
        cluster.raft(id).pass_time(TIMEOUT, |_| None);
    }
    cluster.raft(LEADER).campaign();
    cluster.pump(LEADER);
    cluster.stabilise();
    assert!(cluster.raft(LEADER).is_leader());
    cluster
}

/// Time for a heartbeat, and its answers.
fn beat(cluster: &mut Cluster) {
    for _ in 0..2 {
        cluster.raft(LEADER).tick();
        cluster.pump(LEADER);
    }
    cluster.stabilise();
}

fn is_quiescent(cluster: &mut Cluster, id: NodeId) -> bool {
    cluster.raft(id).is_quiescent(|_| false)
}

#[test]
fn a_leader_rests_once_all_know_that_all_is_committed() {
    let mut cluster = elected();
    assert!(!is_quiescent(&mut cluster, LEADER), "nobody has said that it knows of the commit");
    beat(&mut cluster);
    assert!(is_quiescent(&mut cluster, LEADER));
    cluster.raft(LEADER).propose("x".into()).expect("it leads");
    assert!(!is_quiescent(&mut cluster, LEADER));
    // One follower gets the entry, and not what tells of its commit.
    cluster.pump(LEADER);
    cluster.deliver(|_| true);
    cluster.deliver(|_| true);
    cluster.cuts.insert((LEADER, OTHERS[0]));
    cluster.network.retain(|message| message.to != OTHERS[0]);
    cluster.stabilise();
    beat(&mut cluster);
    assert!(!is_quiescent(&mut cluster, LEADER), "a commit was lost");
    assert!(cluster.raft(LEADER).is_quiescent(|id| id == OTHERS[0]), "but for who is excused");
    cluster.cuts.clear();
    beat(&mut cluster);
    assert!(is_quiescent(&mut cluster, LEADER));
    let commit = cluster.raft(LEADER).hard_state().commit;
    for id in OTHERS {
        assert!(is_quiescent(&mut cluster, id));
        assert_eq!(cluster.raft(id).hard_state().commit, commit);
    }
}

#[test]
fn a_leader_that_was_heard_while_it_rested_still_leads_and_has_its_lease() {
    let mut cluster = elected();
    beat(&mut cluster);
    cluster.raft(LEADER).pass_time(1_000, |id| (id == OTHERS[0]).then_some(3));
    cluster.raft(LEADER).read(ReadMode::Lease).expect("it leads");
    cluster.take_lines();
    cluster.pump(LEADER);
    let lines = cluster.take_lines().join("\n");
    assert!(lines.contains("serves read"), "the lease began three ticks ago: {lines}");
    cluster.raft(LEADER).tick();
    assert!(cluster.raft(LEADER).is_leader(), "a majority has answered");
}

#[test]
fn a_leader_that_was_not_heard_has_no_lease_and_steps_down() {
    let mut cluster = elected();
    beat(&mut cluster);
    cluster.raft(LEADER).pass_time(TIMEOUT - 1, |_| None);
    cluster.raft(LEADER).read(ReadMode::Lease).expect("it leads");
    cluster.take_lines();
    cluster.cuts.extend(OTHERS.map(|id| (id, LEADER)));
    cluster.pump(LEADER);
    let lines = cluster.take_lines().join("\n");
    assert!(!lines.contains("serves read"), "the lease is over: {lines}");
    (0..2).for_each(|_| cluster.raft(LEADER).tick());
    assert!(!cluster.raft(LEADER).is_leader(), "nobody has answered for too long");
}

#[test]
fn a_follower_counts_from_when_its_leader_was_heard() {
    let mut cluster = elected();
    beat(&mut cluster);
    let follower = OTHERS[0];
    cluster.raft(follower).pass_time(1_000, |id| (id == LEADER).then_some(0));
    let mut ticks = 0;
    while cluster.raft(follower).status().role == RoleName::Follower {
        cluster.raft(follower).tick();
        ticks += 1;
    }
    assert!((TIMEOUT..2 * TIMEOUT).contains(&ticks), "it campaigns after {ticks} ticks");
    assert!(!is_quiescent(&mut cluster, follower));
}
