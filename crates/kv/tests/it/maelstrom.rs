//! Nodes of the `lin-kv` workload as processes: their lines are delayed, lost and cut, they are
//! killed, stopped and started again, and what clients saw must be linearizable.
//!
//! ```text
//!   node 1 --stdout--> reader --> router: cut? lost? wait a little --> writer --stdin--> node 2
//!                                   |
//!                                   '--> a client, whose name begins with c
//! ```
//!
//! This is a driver of our own for that protocol, with faults that Maelstrom does not have. A node
//! that is told to answer reads from its local state is found out.

mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use env::random::{Random, SeededRandom};
use harness::check::history::{History, Operation};
use harness::check::linearizable::check;
use harness::check::model::{Register, RegisterOp, RegisterRet};
use network::Network;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// How long faults last.
const FAULTS: Duration = Duration::from_secs(9);

const CLIENTS: usize = 6;

const KEYS: u64 = 3;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(800);

type Seen = (u64, Operation<RegisterOp, RegisterRet>);

/// What an answer says. `None` where nothing has happened for certain; an error where nobody knows.
fn meaning(op: &RegisterOp, body: &Value) -> Result<Option<RegisterRet>, ()> {
    let code = body["code"].as_u64();
    match (op, body["type"].as_str().unwrap_or_default()) {
        (RegisterOp::Read, "read_ok") => {
            Ok(Some(RegisterRet::Value(body["value"].as_u64().expect("clients write numbers"))))
        }
        (RegisterOp::Read, "error") if code == Some(20) => Ok(Some(RegisterRet::Value(0))),
        (RegisterOp::Write(_), "write_ok") => Ok(Some(RegisterRet::Written)),
        (RegisterOp::CompareExchange { .. }, "cas_ok") => Ok(Some(RegisterRet::Exchanged(true))),
        (RegisterOp::CompareExchange { .. }, "error") if matches!(code, Some(20 | 22)) => {
            Ok(Some(RegisterRet::Exchanged(false)))
        }
        (_, "error") if code == Some(0) => Err(()),
        (_, "error") if code == Some(11) => Ok(None),
        _ => panic!("{op:?} is answered by {body}"),
    }
}

fn body_of(key: u64, op: &RegisterOp) -> Value {
    match op {
        RegisterOp::Read => json!({ "type": "read", "key": key }),
        RegisterOp::Write(value) => json!({ "type": "write", "key": key, "value": value }),
        RegisterOp::CompareExchange { current, new } => {
            json!({ "type": "cas", "key": key, "from": current, "to": new })
        }
    }
}

/// One client: it asks any node, one request at a time, until `end`.
async fn ask(network: Network, client: usize, end: Instant) -> Vec<Seen> {
    let mut random = SeededRandom::new(client as u64);
    let (mut seen, mut last, mut written) = (Vec::new(), 1, client as u64 * 1_000_000);
    while Instant::now() < end {
        let key = random.below(KEYS);
        written += 1;
        let op = match random.below(10) {
            0..5 => RegisterOp::Read,
            5..8 => RegisterOp::Write(written),
            _ => RegisterOp::CompareExchange { current: last, new: written },
        };
        let node = 1 + random.below(network.nodes() as u64);
        let invoked = network.stamp();
        let answer = network.request(client, node, body_of(key, &op), PATIENCE).await;
        let returned = network.stamp();
        match answer.map_or(Err(()), |body| meaning(&op, &body)) {
            Ok(Some(ret)) => {
                if let RegisterRet::Value(value @ 1..) = ret {
                    last = value;
                }
                seen.push((key, Operation::done(client, invoked..returned, op, ret)));
            }
            // A read without an answer says nothing.
            Err(()) if op != RegisterOp::Read => {
                seen.push((key, Operation::pending(client, invoked, op)));
            }
            Ok(None) | Err(()) => sleep(Duration::from_millis(10)).await,
        }
        sleep(Duration::from_millis(random.below(6))).await;
    }
    seen
}

/// Strikes until `end`; returns how often it cut, killed and stopped.
async fn strike(network: &Network, seed: u64, end: Instant) -> [u32; 3] {
    let mut random = SeededRandom::new(seed);
    let nodes = network.nodes() as u64;
    let mut struck = [0; 3];
    while Instant::now() < end {
        sleep(Duration::from_millis(100 + random.below(300))).await;
        let victim = 1 + random.below(nodes);
        let pause = Duration::from_millis(300 + random.below(900));
        let kind = usize::try_from(random.below(3)).expect("it is small");
        match kind {
            0 => {
                // A node, or a minority, from the others; one way or both.
                let other = 1 + random.below(nodes);
                let group = if nodes > 3 { vec![victim, other] } else { vec![victim] };
                network.cut(&group, random.below(2) == 0);
                sleep(pause).await;
                network.heal();
            }
            1 => {
                network.kill(victim);
                sleep(pause / 2).await;
                network.start(victim).await;
            }
            _ => {
                network.stop(victim);
                sleep(pause).await;
                network.go_on(victim);
            }
        }
        struck[kind] += 1;
    }
    struck
}

struct Outcome {
    operations: usize,
    answered: usize,
    struck: [u32; 3],
    /// What is wrong with the history of a key.
    violation: Option<String>,
}

async fn run(nodes: usize, seed: u64, arguments: &[&str]) -> Outcome {
    let network = Network::new(nodes, seed, arguments).await;
    let faults = Instant::now() + FAULTS;
    let end = faults + Duration::from_secs(3);
    let clients: Vec<_> =
        (1..=CLIENTS).map(|client| tokio::spawn(ask(network.clone(), client, end))).collect();
    let struck = strike(&network, seed, faults).await;
    let mut by_key = BTreeMap::<u64, Vec<_>>::new();
    for client in clients {
        for (key, operation) in client.await.expect("a client does not panic") {
            by_key.entry(key).or_default().push(operation);
        }
    }
    network.end();
    let all = || by_key.values().flatten();
    let (operations, answered) = (all().count(), all().filter(|it| it.response.is_some()).count());
    let mut violation = None;
    for (key, operations) in by_key {
        let verdict = check(&Register(0), &History::from_operations(operations));
        if !verdict.is_linearizable() {
            violation = Some(format!("key {key}: {verdict}"));
        }
    }
    Outcome { operations, answered, struck, violation }
}

fn require(outcome: &Outcome) {
    let Outcome { operations, answered, struck, violation } = outcome;
    assert_eq!(*violation, None);
    assert!(*answered > 300 && *operations < 2 * *answered, "{operations}, {answered}");
    assert!(struck.iter().all(|count| *count > 0), "{struck:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_linearizable_under_cuts_kills_and_pauses() {
    require(&run(3, 1, &[]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_are_linearizable_under_cuts_kills_and_pauses() {
    require(&run(5, 2, &[]).await);
}

/// The planted bug: reads that ask nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_read_what_is_stale_are_found_out() {
    let outcome = run(3, 1, &["--stale-reads"]).await;
    assert!(outcome.violation.is_some(), "{} operations", outcome.operations);
}
