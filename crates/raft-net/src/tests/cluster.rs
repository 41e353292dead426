//! A cluster whose servers can be stopped, lose their power, and start again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::MonotonicClock;
use harness::sim::SimDisk;
use raft::{
    Config, Configuration, DiskError, DiskLog, GroupId, Incarnation, NodeId, ReadMode, RoleName,
};

use super::{Journal, within};
use crate::{Error, GroupStatus, Hub, Node, Options, mailbox};

pub(super) const GROUP: GroupId = GroupId(1);

const LOG: wal::Options =
    wal::Options { segment_len: 64 << 10, backend: wal::Backend::Written, spares_max: 1 };

pub(super) struct Cluster {
    pub(super) hub: Hub,
    pub(super) disks: Vec<SimDisk>,
    pub(super) servers: Vec<Option<Node>>,
    pub(super) options: fn(NodeId) -> Options,
}

/// Short ticks, so that elections take a fifth of a second.
pub(super) fn options(id: NodeId) -> Options {
    let config = Config { chunk_bytes: 1 << 10, ..Config::new(id, id.0 * 7 + 1) };
    let tick = Duration::from_millis(15);
    Options { config, tick, keep_entries: 4, ..Options::new(id, 0) }
}

impl Cluster {
    /// `servers` of which the first `founders` begin the group.
    pub(super) async fn new(servers: u64, founders: u64) -> Self {
        Self::with(servers, founders, options).await
    }

    /// Two servers that begin the group, and a witness that waits to be added.
    pub(super) async fn with_witness() -> Self {
        Self::of(3, 2, options, |id| Incarnation::witness(100 + id)).await
    }

    pub(super) async fn with(servers: u64, founders: u64, options: fn(NodeId) -> Options) -> Self {
        Self::of(servers, founders, options, |id| Incarnation(100 + id)).await
    }

    /// `newcomer` gives the disks of those that do not begin the group.
    async fn of(
        servers: u64,
        founders: u64,
        options: fn(NodeId) -> Options,
        newcomer: fn(u64) -> Incarnation,
    ) -> Self {
        let disks: Vec<_> = (1..=servers).map(SimDisk::new).collect();
        let none = (0..servers).map(|_| None).collect();
        let mut cluster = Self { hub: Hub::new(), disks, servers: none, options };
        for id in 1..=servers {
            let voters = (1..=founders).map(NodeId);
            let is_founder = id <= founders;
            let (incarnation, configuration) = if is_founder {
                (Incarnation(0), Configuration::founding(voters))
            } else {
                (newcomer(id), Configuration::default())
            };
            let log = cluster.log(id).expect("the disk is empty");
            drop(log.create(GROUP, incarnation, configuration).expect("the disk is empty"));
            drop(log);
            cluster.start(id).await;
        }
        cluster
    }

    pub(super) fn log(&self, id: u64) -> Result<DiskLog, DiskError> {
        DiskLog::open(self.disk(id).mount(), Path::new("/raft"), LOG)
    }

    pub(super) fn disk(&self, id: u64) -> &SimDisk {
        &self.disks[usize::try_from(id).expect("it is small") - 1]
    }

    fn place(&mut self, id: u64) -> &mut Option<Node> {
        &mut self.servers[usize::try_from(id).expect("it is small") - 1]
    }

    /// Starts a server from what its disk has.
    pub(super) async fn start(&mut self, id: u64) {
        let log = self.log(id).expect("the log is whole");
        let storage = log.group(GROUP).expect("it was created");
        let mailbox = mailbox(1 << 24);
        let transport = self.hub.attach(NodeId(id), mailbox.inbox());
        let options = (self.options)(NodeId(id));
        let clock = Arc::new(MonotonicClock::new());
        let node = Node::start(options, log, transport, mailbox, clock);
        // Every second machine is applied on the node thread, so that both kinds meet everything.
        let journal = Journal { is_instant: id.is_multiple_of(2), ..Journal::default() };
        node.open(storage, journal).await.expect("the group is whole");
        *self.place(id) = Some(node);
    }

    /// Ends a server in good order.
    pub(super) async fn stop(&mut self, id: u64) {
        let node = self.place(id).take().expect("it runs");
        node.stop().await.expect("it runs");
    }

    /// Cuts a server's power.
    pub(super) async fn crash(&mut self, id: u64) {
        self.disk(id).crash();
        self.hub.isolate(NodeId(id));
        self.stop(id).await;
        self.hub.heal();
    }

    pub(super) fn node(&self, id: u64) -> &Node {
        self.servers[usize::try_from(id).expect("it is small") - 1].as_ref().expect("it is up")
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.servers.iter().flatten()
    }

    pub(super) async fn status(&self, id: u64) -> GroupStatus {
        self.node(id).status(GROUP).await.expect("it runs")
    }

    /// Who leads, once somebody does whom a majority follows.
    pub(super) async fn leader(&self) -> u64 {
        within("somebody leads", async || {
            for node in self.nodes() {
                let Ok(found) = node.status(GROUP).await else { continue };
                let is_leader = found.status.role == RoleName::Leader;
                if is_leader && node.barrier(GROUP, ReadMode::Quorum).await.is_ok() {
                    return Some(found.status.id.0);
                }
            }
            None
        })
        .await
    }

    /// Proposes until it is taken. An uncertain command may be applied twice.
    pub(super) async fn propose(&self, command: &str) -> Bytes {
        let command = Bytes::copy_from_slice(command.as_bytes());
        within("a command is applied", async || {
            for node in self.nodes() {
                if let Ok(answer) = node.propose(GROUP, command.clone()).await {
                    return Some(answer);
                }
            }
            None
        })
        .await
    }

    pub(super) async fn read(&self, id: u64) -> String {
        let answer = within("a read is confirmed", async || {
            self.node(id).read(GROUP, Bytes::new(), ReadMode::Quorum).await.ok()
        });
        String::from_utf8(answer.await.to_vec()).expect("commands are text")
    }

    pub(super) async fn end(mut self) {
        for id in 1..=self.servers.len() as u64 {
            if self.place(id).is_some() {
                self.stop(id).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_applied_and_read_everywhere() {
    let cluster = Cluster::new(3, 3).await;
    let leader = cluster.leader().await;
    for number in 1..=20 {
        let answer = cluster.node(leader).propose(GROUP, format!("c{number}").into()).await;
        assert_eq!(answer.expect("it leads"), number.to_string());
    }
    let wanted: Vec<_> = (1..=20).map(|number| format!("c{number}")).collect();
    for id in 1..=3 {
        assert_eq!(cluster.read(id).await, wanted.join(","), "server {id}");
        let stale = cluster.node(id).read_stale(GROUP, Bytes::new()).await.expect("it runs");
        assert!(wanted.join(",").as_bytes().starts_with(&stale));
    }
    let follower = 1 + leader % 3;
    let refused = cluster.node(follower).propose(GROUP, "elsewhere".into()).await;
    assert_eq!(refused.expect_err("it follows").leader(), Some(NodeId(leader)));
    let nobody = cluster.node(1).propose(GroupId(9), "nowhere".into()).await;
    assert_eq!(nobody, Err(Error::NoGroup { group: GroupId(9) }));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commands_share_rounds_and_syncs() {
    let cluster = Cluster::new(3, 3).await;
    let leader = cluster.node(cluster.leader().await).clone();
    let before = leader.stats();
    let tasks: Vec<_> = (0..2_000)
        .map(|number: u32| {
            let leader = leader.clone();
            tokio::spawn(async move { leader.propose(GROUP, format!("{number}").into()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic").expect("the leader stays");
    }
    let after = leader.stats();
    assert!(after.applied - before.applied >= 2_000);
    let syncs = after.syncs - before.syncs;
    assert!(syncs < 1_500, "{syncs} syncs for 2,000 commands");
    drop(leader);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_given_away_when_asked_and_when_stopping() {
    let mut cluster = Cluster::new(3, 3).await;
    let first = cluster.leader().await;
    let second = 1 + first % 3;
    cluster.node(first).transfer(GROUP, NodeId(second)).await.expect("it leads");
    within("the transfer is done", async || (cluster.leader().await == second).then_some(())).await;
    let term = cluster.status(second).await.status.term;
    cluster.stop(second).await;
    let third = cluster.leader().await;
    assert_ne!(third, second);
    // Nobody had to wait for a timeout: the next term is the next leader's.
    assert_eq!(cluster.status(third).await.status.term, term + 1);
    cluster.propose("after").await;
    cluster.end().await;
}
