//! Ours, by `raft-net`: nodes on a hub.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock};
use env::fs::OsFs;
use harness::contract::{StoreError, Unsupported};
use parking_lot::{ArcMutexGuard, RawMutex};
use raft::{
    Config, Configuration, DiskLog, GroupId, Incarnation, Index, NodeId, ReadMode, RoleName,
};
use raft_net::{
    Hub, HubTransport, MachineError, Make, Node, Options, Packet, Row, StateMachine, Transport,
    mailbox,
};
use tempfile::TempDir;

use super::{
    Cluster, ELECTION_TICKS, HEARTBEAT_TICKS, Log, Shared, TICK, Wire, client_runtime, end_apart,
};
use crate::adapters::replica::{LOG_KEPT, Machine, Stuck};

const GROUP: GroupId = GroupId(1);

/// Bytes of entries between two snapshots: about as many entries as the others compact at once,
/// and where it is on disk about a segment, which is what they give back at once there.
const COMPACT_BYTES: [u64; 2] = [1 << 20, 16 << 20];

/// Largest command.
const ENTRY_BYTES_MAX: u64 = 4 << 20;

/// A cluster.
#[derive(Debug)]
pub struct Ours<M> {
    machines: Vec<Shared<M>>,
    nodes: Vec<Node>,
    is_durable: bool,
    wire: Arc<Wire>,
    folder: TempDir,
}

impl<M> Drop for Ours<M> {
    fn drop(&mut self) {
        let nodes = &self.nodes;
        end_apart(|| {
            client_runtime().block_on(async {
                for node in nodes {
                    // One that has failed has ended.
                    node.stop().await.ok();
                }
            });
        });
    }
}

impl<M: Machine + 'static> Cluster<M> for Ours<M> {
    const NAME: &'static str = "raft";

    fn start(nodes: usize, log: Log) -> Result<Self, Unsupported> {
        let failed = |cause: StoreError| Unsupported(cause.to_string());
        let is_durable = match log {
            Log::Memory => false,
            Log::Wal => true,
            Log::File => return Err(Unsupported("it has a log of its own".to_owned())),
        };
        let folder = tempfile::tempdir().map_err(|cause| failed(cause.into()))?;
        let machines = (0..nodes).map(|_| Arc::default()).collect();
        let wire = Arc::default();
        let mut cluster = Self { machines, nodes: Vec::new(), is_durable, wire, folder };
        client_runtime().block_on(cluster.begin()).map_err(failed)?;
        Ok(cluster)
    }

    async fn submit(&self, command: Bytes) -> Result<(), StoreError> {
        self.nodes[0].propose(GROUP, command).await?;
        Ok(())
    }

    fn machines(&self) -> &[Shared<M>] {
        &self.machines
    }

    fn syncs(&self) -> Option<u64> {
        self.is_durable.then(|| self.nodes[0].stats().syncs)
    }

    fn wire(&self) -> Option<&Wire> {
        Some(&self.wire)
    }
}

impl<M: Machine + 'static> Ours<M> {
    async fn begin(&mut self) -> Result<(), StoreError> {
        let hub = Hub::new();
        let ids: Vec<_> = (1..=self.machines.len() as u64).map(NodeId).collect();
        for (id, machine) in ids.iter().zip(&self.machines) {
            let log = if self.is_durable {
                let folder = self.folder.path().join(id.to_string());
                DiskLog::open(Arc::new(OsFs), &folder, wal::Options::SYNCED)?
            } else {
                DiskLog::volatile()
            };
            let founders = Configuration::founding(ids.clone());
            let storage = log.create(GROUP, Incarnation(0), founders)?;
            let plain = Options::new(*id, id.0);
            let config = Config {
                election_ticks: ELECTION_TICKS,
                heartbeat_ticks: HEARTBEAT_TICKS,
                // The others have no limit.
                entry_bytes_max: ENTRY_BYTES_MAX,
                ..plain.config.clone()
            };
            let compact_bytes = COMPACT_BYTES[usize::from(self.is_durable)];
            let keep_entries = LOG_KEPT;
            let options = Options { config, tick: TICK, compact_bytes, keep_entries, ..plain };
            let mailbox = mailbox(1 << 28);
            let hub = hub.attach(*id, mailbox.inbox());
            let transport = Counted { hub, wire: Arc::clone(&self.wire) };
            let clock = Arc::new(MonotonicClock::new());
            let node = Node::start(options, log, transport, mailbox, clock);
            let machine = Applied { machine: Arc::clone(machine), batch: None };
            node.open(storage, machine).await?;
            self.nodes.push(node);
        }
        self.nodes[0].campaign(GROUP)?;
        let clock = MonotonicClock::new();
        let end = clock.now() + super::PATIENCE;
        while clock.now() < end {
            let status = self.nodes[0].status(GROUP).await?;
            if status.status.role == RoleName::Leader
                && self.nodes[0].barrier(GROUP, ReadMode::Quorum).await.is_ok()
            {
                return Ok(());
            }
        }
        Err(Stuck.into())
    }
}

/// The way to other nodes, and what would go over it.
struct Counted {
    hub: HubTransport,
    wire: Arc<Wire>,
}

impl Transport for Counted {
    fn send(&mut self, to: NodeId, packet: Packet) {
        self.wire.add(|| packet.wire_bytes());
        self.hub.send(to, packet);
    }
}

/// The machine as `raft-net` wants it: locked from the first command of a batch to its commit, as
/// the others lock theirs.
struct Applied<M> {
    machine: Shared<M>,
    batch: Option<ArcMutexGuard<RawMutex, M>>,
}

impl<M: Machine + 'static> StateMachine for Applied<M> {
    fn is_instant(&self) -> bool {
        true
    }

    fn applied(&self) -> Index {
        Index::ZERO
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _: Index, command: &[u8]) -> Result<Bytes, MachineError> {
        self.batch.get_or_insert_with(|| self.machine.lock_arc()).apply(command);
        Ok(Bytes::new())
    }

    fn commit(&mut self, _: Index, _: &[Row]) -> Result<(), MachineError> {
        self.batch = None;
        Ok(())
    }

    fn query(&self, _: &Bytes) -> Result<Bytes, MachineError> {
        Ok(Bytes::new())
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        let saved = self.machine.lock().save();
        Ok(Box::new(move |to| Ok(to.write_all(&saved)?)))
    }

    fn restore(
        &mut self,
        _: Index,
        data: &mut dyn Read,
        _: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        let mut saved = Vec::new();
        data.read_to_end(&mut saved)?;
        self.machine.lock().load(&saved);
        Ok(())
    }
}
