//! openraft, with its second storage API, on a runtime of its own.
//!
//! Appends are acknowledged by its callback, from a thread that makes one sync for all that wait,
//! so that its core never waits for a disk; its network calls the peer's handle.

mod store;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use harness::contract::{StoreError, Unsupported};
use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Config, Raft, SnapshotPolicy};
use tokio::runtime::{Builder, Runtime};

use super::journal::Journal;
use super::{Cluster, ELECTION_TICKS, HEARTBEAT_TICKS, Log, Shared, TICK, Wire, end_apart};
use crate::adapters::replica::Machine;
use store::{LogStore, MachineStore};

openraft::declare_raft_types!(
    /// Commands are bytes, and nothing is answered.
    pub Types: D = Bytes, R = ()
);

/// Entries between two snapshots; nobody falls so far behind that it needs one.
const SNAPSHOT_EVERY: u64 = 50_000;
/// Entries before a snapshot that stay.
const KEPT: u64 = 10_000;

/// A cluster; `ON_FILE` where its durable logs are growing files.
pub struct OpenRaft<M, const ON_FILE: bool> {
    machines: Vec<Shared<M>>,
    nodes: Nodes,
    syncs: Option<Arc<AtomicU64>>,
    /// None once it ends.
    runtime: Option<Runtime>,
    /// The threads that make the nodes' logs durable. They end with what the runtime runs.
    journals: Vec<JoinHandle<()>>,
}

/// The handles of all nodes, once they are started.
type Nodes = Arc<OnceLock<Vec<Raft<Types>>>>;

impl<M, const ON_FILE: bool> std::fmt::Debug for OpenRaft<M, ON_FILE> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenRaft").field("syncs", &self.syncs).finish_non_exhaustive()
    }
}

impl<M, const ON_FILE: bool> Drop for OpenRaft<M, ON_FILE> {
    fn drop(&mut self) {
        let runtime = self.runtime.take();
        end_apart(|| drop(runtime));
        self.journals.drain(..).for_each(|it| drop(it.join()));
    }
}

impl<M: Machine + 'static, const ON_FILE: bool> Cluster<M> for OpenRaft<M, ON_FILE> {
    const NAME: &'static str = if ON_FILE { "openraft-file" } else { "openraft" };

    fn start(nodes: usize, log: Log) -> Result<Self, Unsupported> {
        let log = if ON_FILE && log == Log::Wal { Log::File } else { log };
        let failed = |cause: StoreError| Unsupported(cause.to_string());
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|cause| failed(cause.into()))?;
        let machines: Vec<Shared<M>> = (0..nodes).map(|_| Arc::default()).collect();
        let syncs = Arc::new(AtomicU64::new(0));
        let begun = runtime.block_on(begin(&machines, log, &syncs));
        let (handles, journals) = begun.map_err(failed)?;
        let syncs = (log != Log::Memory).then_some(syncs);
        Ok(Self { machines, nodes: handles, syncs, runtime: Some(runtime), journals })
    }

    async fn submit(&self, command: Bytes) -> Result<(), StoreError> {
        let nodes = self.nodes.get().expect("a cluster has started");
        nodes[0].client_write(command).await?;
        Ok(())
    }

    fn machines(&self) -> &[Shared<M>] {
        &self.machines
    }

    fn syncs(&self) -> Option<u64> {
        // Relaxed: a count orders nothing.
        self.syncs.as_ref().map(|syncs| syncs.load(Ordering::Relaxed))
    }

    fn wire(&self) -> Option<&Wire> {
        None
    }
}

fn config() -> Result<Arc<Config>, StoreError> {
    let tick = u64::try_from(TICK.as_millis())?;
    let election = tick * u64::from(ELECTION_TICKS);
    let config = Config {
        heartbeat_interval: tick * u64::from(HEARTBEAT_TICKS),
        election_timeout_min: election,
        election_timeout_max: 2 * election,
        max_payload_entries: 1_024,
        replication_lag_threshold: u64::MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
        max_in_snapshot_log_to_keep: KEPT,
        purge_batch_size: 1_024,
        ..Config::default()
    };
    Ok(Arc::new(config.validate()?))
}

async fn begin<M: Machine + 'static>(
    machines: &[Shared<M>],
    log: Log,
    syncs: &Arc<AtomicU64>,
) -> Result<(Nodes, Vec<JoinHandle<()>>), StoreError> {
    let (nodes, mut journals) = (Nodes::default(), Vec::new());
    let (mut handles, mut members) = (Vec::new(), BTreeMap::new());
    for (id, machine) in (1..).zip(machines) {
        let counted = if id == 1 { Arc::clone(syncs) } else { Arc::default() };
        let (store, journal) = LogStore::new(Journal::new(log)?, counted);
        journals.extend(journal);
        let network = Network { nodes: Arc::clone(&nodes), target: 0 };
        let machine = MachineStore::new(Arc::clone(machine));
        handles.push(Raft::new(id, config()?, network, store, machine).await?);
        members.insert(id, BasicNode::default());
    }
    let first = handles[0].clone();
    nodes.set(handles).map_err(|_| "a cluster starts once")?;
    first.initialize(members).await?;
    let patience = Some(Duration::from_secs(20));
    first.wait(patience).current_leader(1, "the first node leads").await?;
    Ok((nodes, journals))
}

/// The way to a node, or to all of them.
struct Network {
    nodes: Nodes,
    target: u64,
}

impl Network {
    fn target(&self) -> &Raft<Types> {
        let nodes = self.nodes.get().expect("nobody speaks before all have started");
        &nodes[usize::try_from(self.target).expect("64-bit targets only") - 1]
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Self;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Self {
        Self { nodes: Arc::clone(&self.nodes), target }
    }
}

type Failed<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

impl RaftNetwork<Types> for Network {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        let answer = self.target().append_entries(rpc).await;
        answer.map_err(|cause| RemoteError::new(self.target, cause).into())
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        let answer = self.target().install_snapshot(rpc).await;
        answer.map_err(|cause| RemoteError::new(self.target, cause).into())
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed> {
        let answer = self.target().vote(rpc).await;
        answer.map_err(|cause| RemoteError::new(self.target, cause).into())
    }
}
