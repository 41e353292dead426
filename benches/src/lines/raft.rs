//! Lines of consensus.
//!
//! Workloads are `step/batch-<entries>/<bytes>/<nodes>`: `step/batch-64/64/3` proposes 64 entries
//! of 64 bytes to the leader of three nodes and steps the cores by function calls, all on one
//! thread and with logs in memory, until every node has applied them. No clock, queue or network
//! costs anything there; what is measured is what the protocol costs.
//!
//! raft-rs takes part as it comes, and with `batch_append` turned on.
//!
//! The lines of `cluster` are whole clusters; see there.

mod cluster;

use harness::contract::{ClusterSpec, Consensus, Unsupported};
use harness::duel::{Contender, Line, Make, Subject};
use harness::workload::Size;
use parking_lot::Mutex;

use crate::adapters::replica::Summed;
use crate::adapters::{raft, raft_rs, yours_cluster as yours};

const BUILD: &str = "raft";
const OURS: &str = env!("CARGO_PKG_VERSION");
const RAFT_RS: &str = "0.7.0";

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let line = |workload, contenders| Line::new(BUILD, workload, 1, contenders);
    let mut lines = vec![
        line("step/batch-1/64/3", steps::<1, 64, 3>()),
        line("step/batch-64/64/3", steps::<64, 64, 3>()),
        line("step/batch-1/1k/3", steps::<1, 1024, 3>()),
        line("step/batch-64/1k/3", steps::<64, 1024, 3>()),
        line("step/batch-1/64/5", steps::<1, 64, 5>()),
        line("step/batch-64/64/5", steps::<64, 64, 5>()),
    ];
    lines.extend(cluster::lines());
    lines
}

fn steps<const BATCH: u64, const LEN: usize, const NODES: usize>() -> Vec<Contender> {
    let mut contenders = vec![
        contender::<raft::Cluster<Summed>, BATCH, LEN, NODES>(OURS),
        contender::<yours::Cluster<Summed>, BATCH, LEN, NODES>(OURS),
        contender::<raft_rs::Cluster<Summed, false>, BATCH, LEN, NODES>(RAFT_RS),
        contender::<raft_rs::Cluster<Summed, true>, BATCH, LEN, NODES>(RAFT_RS),
    ];
    contenders.retain(|it| it.name != <yours::Cluster<Summed>>::NAME || yours::is_judged());
    contenders
}

fn contender<C, const BATCH: u64, const LEN: usize, const NODES: usize>(
    version: &'static str,
) -> Contender
where
    C: Consensus + Send + 'static,
{
    let make: Make = Stepped::<C, BATCH, LEN>::make::<NODES>;
    let ours = [BUILD, <yours::Cluster<Summed>>::NAME].contains(&C::NAME);
    Contender { name: C::NAME, version, ours, make }
}

/// Batch after batch, each applied by all nodes before the next is proposed.
struct Stepped<C, const BATCH: u64, const LEN: usize>(Mutex<Proposed<C>>);

struct Proposed<C> {
    cluster: C,
    count: u64,
}

impl<C: Consensus + Send + 'static, const BATCH: u64, const LEN: usize> Stepped<C, BATCH, LEN> {
    fn make<const NODES: usize>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
        let cluster = C::start(&ClusterSpec { nodes: NODES, durable: false })?;
        Ok(Box::new(Self(Mutex::new(Proposed { cluster, count: 0 }))))
    }
}

impl<C: Consensus> Proposed<C> {
    /// What the first node's machine sums up to.
    fn sum(&self) -> u64 {
        let payloads = self.cluster.applied(0);
        payloads[0].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

impl<C: Consensus + Send, const BATCH: u64, const LEN: usize> Subject for Stepped<C, BATCH, LEN> {
    fn run(&self, _: usize, round: u64, operations: u64) -> u64 {
        let it = &mut *self.0.lock();
        let (before, mut payload, mut left) = (it.sum(), [0; LEN], operations);
        while left > 0 {
            let batch = left.min(BATCH);
            for at in left - batch..left {
                payload[..8].copy_from_slice(&(round << 32 | at).to_le_bytes());
                it.cluster.propose(&payload).expect("it leads and has room");
            }
            it.count += batch;
            it.cluster.drive(it.count).expect("nothing is in the way");
            left -= batch;
        }
        it.sum().wrapping_sub(before)
    }
}
