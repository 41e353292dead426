//! Three nodes in one process, each with a log on the disk: how many commands a second are
//! committed, with so many on their way at once?
//!
//! `cargo run --release -p raft-net --example in_flight`, perhaps with `-- tcp`: then the nodes
//! speak over loopback instead of memory. The folder is a temporary one; set `TMPDIR` to choose
//! the disk.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock};
use env::fs::OsFs;
use raft::{Configuration, DiskLog, GroupId, Incarnation, Index, NodeId, ReadMode, RoleName};
use raft_net::{
    Hub, MachineError, Make, Node, Options, Row, StateMachine, TcpOptions, TcpTransport, mailbox,
};

const GROUP: GroupId = GroupId(1);
const NODES: u64 = 3;
const SECONDS: u64 = 3;

/// Counts commands.
struct Counter(u64);

impl StateMachine for Counter {
    fn applied(&self) -> Index {
        Index::ZERO
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _index: Index, _command: &[u8]) -> Result<Bytes, MachineError> {
        self.0 += 1;
        Ok(Bytes::new())
    }

    fn commit(&mut self, _index: Index, _rows: &[Row]) -> Result<(), MachineError> {
        Ok(())
    }

    fn query(&self, _query: &Bytes) -> Result<Bytes, MachineError> {
        Ok(self.0.to_string().into())
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        let count = self.0;
        Ok(Box::new(move |to| Ok(to.write_all(&count.to_le_bytes())?)))
    }

    fn restore(
        &mut self,
        _index: Index,
        data: &mut dyn Read,
        _rows: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        let mut bytes = [0; 8];
        data.read_exact(&mut bytes)?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn start(folder: &std::path::Path, over_tcp: bool) -> Result<Vec<Node>, Failure> {
    let (hub, mut nodes, mut transports) = (Hub::new(), Vec::new(), Vec::new());
    for id in (1..=NODES).map(NodeId) {
        let folder = folder.join(id.to_string());
        let log = DiskLog::open(Arc::new(OsFs), &folder, wal::Options::SYNCED)?;
        let founders = Configuration::founding((1..=NODES).map(NodeId));
        let storage = log.create(GROUP, Incarnation(0), founders)?;
        let mailbox = mailbox(1 << 28);
        let (options, clock) = (Options::new(id, id.0), Arc::new(MonotonicClock::new()));
        let node = if over_tcp {
            let (inbox, limits) = (mailbox.inbox(), TcpOptions::default());
            let tcp = TcpTransport::bind(id, 1, "127.0.0.1:0", inbox, limits).await?;
            transports.push(tcp.clone());
            Node::start(options, log, tcp, mailbox, clock)
        } else {
            let transport = hub.attach(id, mailbox.inbox());
            Node::start(options, log, transport, mailbox, clock)
        };
        node.open(storage, Counter(0)).await?;
        nodes.push(node);
    }
    for one in &transports {
        for (id, other) in (1..).zip(&transports) {
            one.set_peer(NodeId(id), &other.address().to_string());
        }
    }
    Ok(nodes)
}

async fn leader(nodes: &[Node]) -> Result<Node, Failure> {
    loop {
        for node in nodes {
            let is_leader = node.status(GROUP).await?.status.role == RoleName::Leader;
            if is_leader && node.barrier(GROUP, ReadMode::Quorum).await.is_ok() {
                return Ok(node.clone());
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let over_tcp = std::env::args().any(|it| it == "tcp");
    let folder = tempfile::tempdir()?;
    let nodes = start(folder.path(), over_tcp).await?;
    let leader = leader(&nodes).await?;
    let clock = MonotonicClock::new();
    for in_flight in [1, 64, 1_024] {
        let (before, done) = (leader.stats(), Arc::new(AtomicU64::new(0)));
        let end = clock.now() + Duration::from_secs(SECONDS);
        let mut clients = Vec::new();
        for _ in 0..in_flight {
            let (leader, done) = (leader.clone(), Arc::clone(&done));
            clients.push(tokio::spawn(async move {
                while clock.now() < end {
                    leader.propose(GROUP, Bytes::from_static(&[7; 64])).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, raft_net::Error>(())
            }));
        }
        for client in clients {
            client.await??;
        }
        let (after, count) = (leader.stats(), done.load(Ordering::Relaxed));
        let syncs = after.syncs - before.syncs;
        let micros = (after.sync_nanos - before.sync_nanos) / syncs.max(1) / 1_000;
        writeln!(
            io::stdout(),
            "{in_flight:>5} in flight: {:>7} commands/s; the leader: {:.1} a sync of {micros} us",
            count / SECONDS,
            count as f64 / syncs.max(1) as f64,
        )?;
    }
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}
