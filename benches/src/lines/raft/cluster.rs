//! Whole clusters under a closed load.
//!
//! Workloads are `cluster/inflight-<count>/<bytes>/<nodes>` with logs in memory, and `durable/...`
//! with logs that are synced: `cluster/inflight-64/64/3` keeps 64 commands of 64 bytes on their way
//! to the leader of three nodes, by as many tasks on one thread, each of which sends its next
//! command when the last one was answered. A command is answered when the leader has applied it.
//!
//! In a durable line ours, raft-rs and openraft have the same write-ahead log, that of this
//! workspace, so that what remains is what drives it; the contenders with `-file` have a growing
//! file instead, as one would write it first. The floor commits nothing: it is the client, and one
//! thread that applies; where logs are durable, it first writes what waits over a part of a file
//! that has all its blocks, and syncs that. Each contender has a process of its own, and is charged
//! for all of it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock};
use harness::contract::Unsupported;
use harness::duel::{Contender, LatencyLog, Line, Make, OwnFigures, Subject};
use harness::workload::Size;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{BUILD, OURS, RAFT_RS};
use crate::adapters::cluster::floor::Floor;
use crate::adapters::cluster::openraft::OpenRaft;
use crate::adapters::cluster::raft::Ours;
use crate::adapters::cluster::raft_rs::RaftRs;
use crate::adapters::cluster::{Cluster, Log, PATIENCE, client_runtime};
use crate::adapters::replica::{Machine, Summed};

const OPENRAFT: &str = "0.9.25";

/// So many commands of each client are sent while bytes on the wire are counted.
const TOLD: u64 = 64;

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let line = |workload, contenders| {
        Line::new(BUILD, workload, 1, contenders).separate().costly().long_parts()
    };
    vec![
        line("cluster/inflight-1/64/3", memory::<1, 64, 3>()),
        line("cluster/inflight-64/64/3", memory::<64, 64, 3>()),
        line("cluster/inflight-1024/64/3", memory::<1_024, 64, 3>()),
        line("durable/inflight-1/64/3", durable::<1, 64, 3>()),
        line("durable/inflight-64/64/3", durable::<64, 64, 3>()),
        line("durable/inflight-1024/64/3", durable::<1_024, 64, 3>()),
        line("cluster/inflight-1/64/5", memory::<1, 64, 5>()).full_only(),
        line("cluster/inflight-64/64/5", memory::<64, 64, 5>()).full_only(),
        line("cluster/inflight-1024/64/5", memory::<1_024, 64, 5>()).full_only(),
        line("cluster/inflight-64/1k/3", memory::<64, 1_024, 3>()).full_only(),
        line("durable/inflight-64/1k/3", durable::<64, 1_024, 3>()).full_only(),
        line("durable/inflight-64/64/5", durable::<64, 64, 5>()).full_only(),
    ]
}

fn memory<const IN_FLIGHT: u64, const LEN: usize, const NODES: usize>() -> Vec<Contender> {
    vec![
        contender::<Ours<Summed>, IN_FLIGHT, LEN, NODES, false>(OURS),
        contender::<RaftRs<Summed, false>, IN_FLIGHT, LEN, NODES, false>(RAFT_RS),
        contender::<OpenRaft<Summed, false>, IN_FLIGHT, LEN, NODES, false>(OPENRAFT),
        contender::<Floor<Summed>, IN_FLIGHT, LEN, NODES, false>(OURS),
    ]
}

fn durable<const IN_FLIGHT: u64, const LEN: usize, const NODES: usize>() -> Vec<Contender> {
    vec![
        contender::<Ours<Summed>, IN_FLIGHT, LEN, NODES, true>(OURS),
        contender::<RaftRs<Summed, false>, IN_FLIGHT, LEN, NODES, true>(RAFT_RS),
        contender::<OpenRaft<Summed, false>, IN_FLIGHT, LEN, NODES, true>(OPENRAFT),
        contender::<RaftRs<Summed, true>, IN_FLIGHT, LEN, NODES, true>(RAFT_RS),
        contender::<OpenRaft<Summed, true>, IN_FLIGHT, LEN, NODES, true>(OPENRAFT),
        contender::<Floor<Summed>, IN_FLIGHT, LEN, NODES, true>(OURS),
    ]
}

fn contender<
    C: Cluster<Summed>,
    const IN_FLIGHT: u64,
    const LEN: usize,
    const NODES: usize,
    const DURABLE: bool,
>(
    version: &'static str,
) -> Contender {
    let make: Make = Served::<C, IN_FLIGHT, LEN>::make::<NODES, DURABLE>;
    Contender { name: C::NAME, version, ours: C::NAME == BUILD, make }
}

/// A cluster and its client.
struct Served<C, const IN_FLIGHT: u64, const LEN: usize> {
    cluster: Arc<C>,
    runtime: Mutex<Runtime>,
    latencies: LatencyLog,
    /// Operations and syncs that were counted in figures already.
    counted: Mutex<(u64, u64)>,
    operations: AtomicU64,
    _machine: PhantomData<Summed>,
}

impl<C: Cluster<Summed>, const IN_FLIGHT: u64, const LEN: usize> Served<C, IN_FLIGHT, LEN> {
    fn make<const NODES: usize, const DURABLE: bool>(
        _: Size,
    ) -> Result<Box<dyn Subject>, Unsupported> {
        let log = if DURABLE { Log::Wal } else { Log::Memory };
        Ok(Box::new(Self {
            cluster: Arc::new(C::start(NODES, log)?),
            runtime: Mutex::new(client_runtime()),
            latencies: LatencyLog::default(),
            counted: Mutex::default(),
            operations: AtomicU64::new(0),
            _machine: PhantomData,
        }))
    }

    /// Has clients send commands until all are answered, and returns how long each one took.
    fn submit(&self, round: u64, operations: u64) -> Vec<u64> {
        self.runtime.lock().block_on(async {
            let (mut clients, next) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
            for _ in 0..IN_FLIGHT.min(operations) {
                let (cluster, next) = (Arc::clone(&self.cluster), Arc::clone(&next));
                clients.spawn(send_all::<C, LEN>(cluster, round, next, operations));
            }
            let mut latencies = Vec::new();
            while let Some(client) = clients.join_next().await {
                latencies.extend(client.expect("a client does not fail"));
            }
            latencies
        })
    }

    /// Waits for the nodes that are behind: a majority answers, and all are told.
    ///
    /// Panics where one stays behind.
    fn wait_for_all(&self) {
        let machines = self.cluster.machines();
        let count = machines[0].lock().count();
        let clock = MonotonicClock::new();
        let end = clock.now() + PATIENCE;
        while machines.iter().any(|it| it.lock().count() < count) {
            assert!(clock.now() < end, "a node has not applied what another answered");
            std::thread::yield_now();
        }
    }

    /// What the leader's machine sums up to.
    fn sum(&self) -> u64 {
        let payloads = self.cluster.machines()[0].lock().payloads();
        payloads[0].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

/// One client: command after command, until all are sent. Returns how long each one took.
async fn send_all<C: Cluster<Summed>, const LEN: usize>(
    cluster: Arc<C>,
    round: u64,
    next: Arc<AtomicU64>,
    end: u64,
) -> Vec<u64> {
    let clock = MonotonicClock::new();
    let mut latencies = Vec::new();
    let mut payload = [0; LEN];
    loop {
        // Relaxed: each number goes to one client, whichever.
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= end {
            return latencies;
        }
        payload[..8].copy_from_slice(&(round << 32 | at).to_le_bytes());
        let sent = clock.now();
        cluster.submit(Bytes::copy_from_slice(&payload)).await.expect("the leader stays");
        let took = clock.now().saturating_since(sent).as_nanos();
        latencies.push(u64::try_from(took).unwrap_or(u64::MAX));
    }
}

impl<C: Cluster<Summed>, const IN_FLIGHT: u64, const LEN: usize> Subject
    for Served<C, IN_FLIGHT, LEN>
{
    fn run(&self, _: usize, round: u64, operations: u64) -> u64 {
        let before = self.sum();
        self.latencies.add(self.submit(round, operations));
        // Relaxed: one thread runs.
        self.operations.fetch_add(operations, Ordering::Relaxed);
        self.sum().wrapping_sub(before)
    }

    fn own_figures(&self) -> OwnFigures {
        let mut counted = self.counted.lock();
        let operations = self.operations.load(Ordering::Relaxed);
        let syncs = self.cluster.syncs();
        let more = operations.saturating_sub(counted.0).max(1) as f64;
        let syncs_per_op = syncs.map(|syncs| (syncs - counted.1) as f64 / more);
        let told = self.cluster.wire().map(|wire| {
            wire.during(|| {
                self.submit(u64::from(u32::MAX), TOLD * IN_FLIGHT);
                self.wait_for_all();
            })
        });
        let wire_bytes_per_op = told.map(|bytes| bytes as f64 / (TOLD * IN_FLIGHT) as f64);
        *counted = (operations, self.cluster.syncs().unwrap_or(0));
        let latency = self.latencies.take();
        OwnFigures { latency, syncs_per_op, wire_bytes_per_op, ..OwnFigures::default() }
    }
}
