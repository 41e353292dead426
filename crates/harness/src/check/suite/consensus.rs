//! What a replicated log must do.
//!
//! | property                    | the contract demands                                           |
//! |-----------------------------|----------------------------------------------------------------|
//! | [`applies_in_order`]        | every node applies every proposal, once, in one order          |
//! | [`odd_payloads`]            | empty, binary and long payloads arrive as they are             |
//! | [`survives_restarts`]       | a node that comes back has the same beginning, and catches up  |
//! | [`survives_restart_of_all`] | what was applied is there after each node was restarted        |
//!
//! Payloads are distinct, so that a loss, a repetition and a change of order all show.
//!
//! # What this suite does not do
//!
//! It breaks nothing but nodes, one at a time and between calls. Partitions, clocks that drift and
//! messages that are lost or doubled belong to the simulated network of [`crate::sim`], where a
//! seed decides them, in the build's own tests.

use super::{Examination, Finding, Mismatch, Report};
use crate::contract::{ClusterSpec, Consensus, StoreError};
use crate::model::agree;
use crate::rng::SplitMix64;

/// Makes a module of tests for a replicated log: `consensus_suite!(name, Cluster)`.
#[macro_export]
macro_rules! consensus_suite {
    ($name:ident, $cluster:ty) => {
        mod $name {
            use super::*;

            $crate::suite_properties!(consensus, $cluster:
                applies_in_order, odd_payloads, survives_restarts, survives_restart_of_all,
            );
        }
    };
}

/// Examines a replicated log by every property.
pub fn examine<C: Consensus>() -> Report {
    let mut examination = Examination::new();
    applies_in_order::<C>(&mut examination);
    odd_payloads::<C>(&mut examination);
    survives_restarts::<C>(&mut examination);
    survives_restart_of_all::<C>(&mut examination);
    examination.into_report()
}

/// The findings of [`examine`] alone.
pub fn findings<C: Consensus>() -> Vec<Finding> {
    examine::<C>().findings
}

const NODES: [usize; 3] = [1, 3, 5];

/// A running cluster and what was proposed to it.
struct Run<C> {
    cluster: C,
    nodes: usize,
    proposed: Vec<Vec<u8>>,
}

impl<C: Consensus> Run<C> {
    fn propose(&mut self, payload: Vec<u8>) -> Result<(), Mismatch> {
        self.cluster.propose(&payload).map_err(|cause| failure("a proposal", &cause))?;
        self.proposed.push(payload);
        Ok(())
    }

    fn restart(&mut self, node: usize) -> Result<(), Mismatch> {
        self.cluster.restart(node).map_err(|reason| {
            Mismatch::new(format!("node {node} to restart as another did"), reason.to_string())
        })
    }

    /// Proposes `count` payloads of different lengths that no other call makes.
    fn propose_many(&mut self, count: usize) -> Result<(), Mismatch> {
        for _ in 0..count {
            let number = self.proposed.len();
            let mut payload = format!("proposal {number} ").into_bytes();
            payload.resize(payload.len() + number % 50, b'.');
            self.propose(payload)?;
        }
        Ok(())
    }

    /// Lets the cluster work and compares what each node applied with what was proposed.
    fn settle(&mut self) -> Result<(), Mismatch> {
        let count = self.proposed.len();
        self.cluster.drive(count as u64).map_err(|cause| failure("driving", &cause))?;
        for node in 0..self.nodes {
            let applied = self.cluster.applied(node);
            if applied != self.proposed {
                let same = applied.iter().zip(&self.proposed).take_while(|(a, b)| a == b).count();
                let expected =
                    format!("{count} entries applied by node {node} in the order of proposals");
                let got = format!("{} entries, of which the first {same} are right", applied.len());
                return Err(Mismatch::new(expected, got));
            }
        }
        Ok(())
    }

    fn check_agreement(&self) -> Result<(), Mismatch> {
        let logs: Vec<_> = (0..self.nodes).map(|node| self.cluster.applied(node)).collect();
        if agree(&logs) {
            return Ok(());
        }
        let lengths: Vec<_> = logs.iter().map(Vec::len).collect();
        let got = format!("logs of {lengths:?} entries that differ or repeat");
        Err(Mismatch::new("logs that are beginnings of one log", got))
    }
}

/// Runs `check` on clusters of each size, with and without durable logs.
fn with_clusters<C: Consensus>(
    examination: &mut Examination,
    check: impl Fn(&mut Run<C>) -> Result<(), Mismatch>,
) {
    for nodes in NODES {
        for durable in [false, true] {
            let spec = ClusterSpec { nodes, durable };
            match C::start(&spec) {
                Ok(cluster) => examination.once(describe(&spec), || {
                    check(&mut Run { cluster, nodes, proposed: Vec::new() })
                }),
                Err(reason) => examination.refuse(describe(&spec), reason),
            }
        }
    }
}

/// Runs `check` on durable clusters of each size whose nodes can be restarted. A cluster that is
/// not durable promises nothing about a node that comes back.
fn with_restarts<C: Consensus>(
    examination: &mut Examination,
    check: impl Fn(&mut Run<C>) -> Result<(), Mismatch>,
) {
    for nodes in NODES {
        let spec = ClusterSpec { nodes, durable: true };
        match C::start(&spec).and_then(|mut cluster| cluster.restart(0).map(|()| cluster)) {
            Ok(cluster) => examination
                .once(describe(&spec), || check(&mut Run { cluster, nodes, proposed: Vec::new() })),
            Err(reason) => examination.refuse(describe(&spec), reason),
        }
    }
}

/// `3 nodes, durable`.
fn describe(spec: &ClusterSpec) -> String {
    format!("{} nodes, {}", spec.nodes, if spec.durable { "durable" } else { "volatile" })
}

/// All proposals are applied by every node in the order in which they were made, batch after
/// batch.
pub fn applies_in_order<C: Consensus>(examination: &mut Examination) {
    examination.begin("applies_in_order");
    with_clusters::<C>(examination, |run| {
        run.settle()?;
        for batch in [1, 2, 100, 500] {
            run.propose_many(batch)?;
            run.check_agreement()?;
            run.settle()?;
        }
        Ok(())
    });
}

/// A payload of no bytes, of all bytes, and of a megabyte arrives unchanged.
pub fn odd_payloads<C: Consensus>(examination: &mut Examination) {
    examination.begin("odd_payloads");
    with_clusters::<C>(examination, |run| {
        run.propose(Vec::new())?;
        run.propose((0..=255).collect())?;
        run.propose(vec![0; 64])?;
        run.propose(vec![0xFF; 1 << 20])?;
        run.settle()
    });
}

/// Nodes are restarted between batches, at random; each comes back with a beginning of the log
/// and catches up.
pub fn survives_restarts<C: Consensus>(examination: &mut Examination) {
    let seed = examination.seed();
    examination.begin("survives_restarts");
    with_restarts::<C>(examination, |run| {
        let mut rng = SplitMix64::new(seed);
        for _ in 0..8 {
            run.propose_many(20)?;
            run.settle()?;
            let node = usize::try_from(rng.below(run.nodes as u64)).expect("a node number");
            run.restart(node)?;
            run.check_agreement()?;
        }
        run.settle()
    });
}

/// Each node in turn is restarted. What every node had applied before is applied after, and the
/// cluster takes new proposals.
pub fn survives_restart_of_all<C: Consensus>(examination: &mut Examination) {
    examination.begin("survives_restart_of_all");
    with_restarts::<C>(examination, |run| {
        run.propose_many(100)?;
        run.settle()?;
        for node in 0..run.nodes {
            run.restart(node)?;
            run.settle()?;
        }
        run.propose_many(10)?;
        run.settle()
    });
}

/// An error where none was called for.
fn failure(doing: &str, cause: &StoreError) -> Mismatch {
    Mismatch::new(format!("{doing} to succeed"), format!("the error: {cause}"))
}

#[cfg(test)]
mod tests;
