//! Groups that are left alone cost nothing, and are not forgotten.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock};
use harness::sim::SimDisk;
use raft::{Config, Configuration, DiskLog, GroupId, Incarnation, NodeId, ReadMode, RoleName};

use super::cluster::options;
use super::{Journal, within};
use crate::{Hub, Node, Options, Stats, mailbox};

const GROUPS: u64 = 40;
const TICK: Duration = Duration::from_millis(15);

struct World {
    hub: Hub,
    disks: Vec<SimDisk>,
    nodes: BTreeMap<u64, Node>,
}

impl World {
    /// Three nodes with many groups, left alone until none of them is awake.
    async fn at_rest() -> Self {
        let disks: Vec<_> = (0..=3).map(SimDisk::new).collect();
        let mut world = Self { hub: Hub::new(), disks, nodes: BTreeMap::new() };
        for id in 1..=3 {
            world.start(id).await;
        }
        world.rest().await;
        world
    }

    async fn start(&mut self, id: u64) {
        let disk = &self.disks[usize::try_from(id).expect("it is small")];
        let log = DiskLog::open(disk.mount(), Path::new("/raft"), wal::Options::SYNCED);
        let log = log.expect("it is whole");
        let mailbox = mailbox(1 << 24);
        let transport = self.hub.attach(NodeId(id), mailbox.inbox());
        let clock = Arc::new(MonotonicClock::new());
        let plain = options(NodeId(id));
        assert_eq!(plain.tick, TICK);
        let config = Config { lease_margin_ticks: Some(4), ..plain.config };
        let options = Options { config, ..plain };
        let node = Node::start(options, log.clone(), transport, mailbox, clock);
        let founders = Configuration::founding([1, 2, 3].map(NodeId));
        let known = log.groups();
        for group in (0..GROUPS).map(GroupId) {
            let storage = if known.contains(&group) {
                log.group(group)
            } else {
                log.create(group, Incarnation(0), founders.clone())
            };
            node.open(storage.expect("the log is whole"), Journal::default()).await.expect("new");
        }
        self.nodes.insert(id, node);
    }

    /// Waits until a while passes in which no group is looked at.
    async fn rest(&self) {
        within("all groups rest", async || {
            let before = self.sum(|it| it.touched);
            tokio::time::sleep(20 * TICK).await;
            let is_led = self.sum(|it| it.elections) >= GROUPS;
            (is_led && self.sum(|it| it.touched) == before).then_some(())
        })
        .await;
    }

    fn sum(&self, of: fn(&Stats) -> u64) -> u64 {
        self.nodes.values().map(|node| of(&node.stats())).sum()
    }

    /// Who leads each group.
    async fn leaders(&self) -> BTreeMap<GroupId, u64> {
        let mut leaders = BTreeMap::new();
        for group in (0..GROUPS).map(GroupId) {
            for (id, node) in &self.nodes {
                let status = node.status(group).await.expect("it runs").status;
                if status.role == RoleName::Leader {
                    leaders.insert(group, *id);
                }
            }
        }
        leaders
    }

    async fn end(self) {
        for node in self.nodes.into_values() {
            node.stop().await.expect("it runs");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_groups_send_nothing_and_are_not_looked_at() {
    let world = World::at_rest().await;
    let (sent, touched) = (world.sum(|it| it.sent), world.sum(|it| it.touched));
    let (pulses, elections) = (world.sum(|it| it.pulses), world.sum(|it| it.elections));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Where the machine stood still for a moment, nodes were silent, and all groups are awake for
    // a moment too: a few times as much as they number, and not 33 times.
    let sent = world.sum(|it| it.sent) - sent;
    assert!(sent <= 4 * GROUPS, "{sent} messages of idle groups in a second");
    let touched = world.sum(|it| it.touched) - touched;
    assert!(touched <= 12 * GROUPS, "idle groups were looked at {touched} times in a second");
    let pulses = world.sum(|it| it.pulses) - pulses;
    // Six ways between three nodes, a word and an echo for each heartbeat of two ticks.
    assert!((10..=6 * 2 * 40).contains(&pulses), "{pulses} pulses in a second");
    assert_eq!(world.sum(|it| it.elections), elections, "who led still leads");
    let leaders = world.leaders().await;
    assert_eq!(leaders.len() as u64, GROUPS);
    // Each still takes commands at once, and followers learn of them.
    for (group, leader) in leaders {
        let answer = world.nodes[&leader].propose(group, Bytes::from_static(b"x")).await;
        assert_eq!(answer.expect("it leads"), "1");
        within("a follower has it", async || {
            let read =
                world.nodes[&(1 + leader % 3)].read(group, Bytes::new(), ReadMode::Lease).await;
            (read.ok()? == "x").then_some(())
        })
        .await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_of_resting_groups_is_noticed_in_time() {
    let world = World::at_rest().await;
    let before = world.leaders().await;
    let dead = before[&GroupId(0)];
    let clock = MonotonicClock::new();
    let died = clock.now();
    world.hub.isolate(NodeId(dead));
    let others: Vec<_> = (1..=3).filter(|id| *id != dead).collect();
    let orphans: Vec<_> = before.iter().filter(|(_, id)| **id == dead).collect();
    for &(&group, _) in &orphans {
        within("an orphan is led again", async || {
            for id in &others {
                let status = world.nodes[id].status(group).await.expect("it runs").status;
                if status.role == RoleName::Leader {
                    return Some(());
                }
            }
            None
        })
        .await;
    }
    // Two election timeouts at most until somebody campaigns, and as much again where votes split.
    let limit = 4 * 10 * TICK + Duration::from_secs(1);
    let took = clock.now().saturating_since(died);
    assert!(took < limit, "{} groups were without a leader for {took:?}", orphans.len());
    // Whoever led there and is cut off knows it by now, and serves no read by its lease.
    for &(&group, _) in &orphans {
        within("it has stepped down", async || {
            let status = world.nodes[&dead].status(group).await.expect("it runs").status;
            (status.role != RoleName::Leader).then_some(())
        })
        .await;
        let read = world.nodes[&dead].read(group, Bytes::new(), ReadMode::Lease).await;
        assert!(read.is_err(), "a read of {group} where nobody can confirm it");
    }
    // All others rest, though one node is missing.
    let _at_rest = within("the others rest", async || {
        let touched = |id: &u64| world.nodes[id].stats().touched;
        let before: Vec<_> = others.iter().map(touched).collect();
        tokio::time::sleep(10 * TICK).await;
        (others.iter().map(touched).collect::<Vec<_>>() == before).then_some(())
    })
    .await;
    world.hub.heal();
    world.rest().await;
    assert_eq!(world.leaders().await.len() as u64, GROUPS);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_is_looked_after() {
    let mut world = World::at_rest().await;
    let leaders = world.leaders().await;
    let (group, leader) = leaders.first_key_value().map(|(group, id)| (*group, *id)).expect("one");
    let away = 1 + leader % 3;
    world.nodes.remove(&away).expect("it runs").stop().await.expect("it runs");
    let command = Bytes::from_static(b"missed");
    world.nodes[&leader].propose(group, command).await.expect("two are a majority");
    tokio::time::sleep(40 * TICK).await;
    world.start(away).await;
    within("it has what it missed", async || {
        let found = world.nodes[&away].read_stale(group, Bytes::new()).await.expect("it runs");
        (found == "missed").then_some(())
    })
    .await;
    world.rest().await;
    assert_eq!(world.leaders().await.len() as u64, GROUPS);
    world.end().await;
}
