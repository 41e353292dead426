//! What many groups cost while nobody asks anything of them.
//!
//! `cargo run --release -p raft-net --example idle`, perhaps with `-- 5000`: that many groups
//! instead of a thousand, on three nodes in one process, each with a log on the disk.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock};
use env::fs::OsFs;
use env::random::{OsRandom, Random};
use raft::{Configuration, DiskLog, GroupId, Incarnation, Index, NodeId};
use raft_net::{Hub, MachineError, Make, Node, Options, Row, StateMachine, Stats, mailbox};
use rustix::time::{ClockId, clock_gettime};

const NODES: u64 = 3;
const SECONDS: u64 = 10;

/// Nothing is ever asked of it.
struct Idle;

impl StateMachine for Idle {
    fn applied(&self) -> Index {
        Index::ZERO
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _index: Index, _command: &[u8]) -> Result<Bytes, MachineError> {
        Ok(Bytes::new())
    }

    fn commit(&mut self, _index: Index, _rows: &[Row]) -> Result<(), MachineError> {
        Ok(())
    }

    fn query(&self, _query: &Bytes) -> Result<Bytes, MachineError> {
        Ok(Bytes::new())
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        Ok(Box::new(|_| Ok(())))
    }

    fn restore(
        &mut self,
        _index: Index,
        _data: &mut dyn Read,
        _rows: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        Ok(())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn start(folder: &std::path::Path, groups: u64) -> Result<Vec<Node>, Failure> {
    let (hub, mut nodes) = (Hub::new(), Vec::new());
    for id in (1..=NODES).map(NodeId) {
        let folder = folder.join(id.to_string());
        let log = DiskLog::open(Arc::new(OsFs), &folder, wal::Options::SYNCED)?;
        let mailbox = mailbox(1 << 28);
        let transport = hub.attach(id, mailbox.inbox());
        let clock = Arc::new(MonotonicClock::new());
        let options = Options::new(id, OsRandom.next_u64());
        let node = Node::start(options, log.clone(), transport, mailbox, clock);
        for group in (1..=groups).map(GroupId) {
            let founders = Configuration::founding((1..=NODES).map(NodeId));
            node.open(log.create(group, Incarnation(0), founders)?, Idle).await?;
        }
        nodes.push(node);
    }
    Ok(nodes)
}

fn sum(nodes: &[Node], of: fn(&Stats) -> u64) -> u64 {
    nodes.iter().map(|node| of(&node.stats())).sum()
}

/// Processor time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("it is not negative");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("it is below a second"))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let given = std::env::args().nth(1);
    let outcome = match given.as_deref().map_or(Ok(1_000), str::parse) {
        Ok(groups) => measure(groups).await.map_err(|cause| cause.to_string()),
        Err(_) => Err(format!("{} is no number of groups", given.unwrap_or_default())),
    };
    outcome.map_or_else(
        |reason| {
            // Where not even that can be shown there is nothing left to do.
            writeln!(io::stderr(), "idle: {reason}").ok();
            ExitCode::from(2)
        },
        |()| ExitCode::SUCCESS,
    )
}

async fn measure(groups: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let nodes = start(folder.path(), groups).await?;
    while sum(&nodes, |it| it.elections) < groups {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let clock = MonotonicClock::new();
    let before = (clock.now(), cpu(), sum(&nodes, |it| it.sent), sum(&nodes, |it| it.batches));
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let seconds = clock.now().saturating_since(before.0).as_secs_f64();
    let share = (cpu().as_secs_f64() - before.1.as_secs_f64()) / seconds * 100.0;
    let a_second = |now: u64, before: u64| (now - before) as f64 / seconds;
    writeln!(
        io::stdout(),
        "{groups} idle groups on {NODES} nodes: {share:.2} % of a core, {:.0} messages of groups \
         in {:.0} batches a second",
        a_second(sum(&nodes, |it| it.sent), before.2),
        a_second(sum(&nodes, |it| it.batches), before.3),
    )?;
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}
