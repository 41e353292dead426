//! Consensus without anything to agree on: one log that all nodes read.

use std::collections::BTreeSet;

use crate::contract::{ClusterSpec, Consensus, StoreError, Unsupported};

/// One log, which cannot diverge from itself, and how much of it each node has applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCluster {
    log: Vec<Vec<u8>>,
    /// Entries that each node has applied, from the front of the log.
    ///
    /// Invariant: none exceeds the length of the log.
    applied: Vec<usize>,
}

/// More proposals are waited for than were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} entries are waited for, but only {proposed} were proposed; propose the rest")]
struct NotProposed {
    wanted: u64,
    proposed: usize,
}

impl Consensus for ModelCluster {
    const NAME: &'static str = "model";

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        Ok(Self { log: Vec::new(), applied: vec![0; spec.nodes] })
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        self.log.push(payload.to_vec());
        Ok(())
    }

    fn drive(&mut self, entries: u64) -> Result<(), StoreError> {
        let proposed = self.log.len();
        if entries > proposed as u64 {
            return Err(NotProposed { wanted: entries, proposed }.into());
        }
        self.applied.fill(proposed);
        Ok(())
    }

    fn applied(&self, node: usize) -> Vec<Vec<u8>> {
        self.log[..self.applied[node]].to_vec()
    }

    fn restart(&mut self, node: usize) -> Result<(), Unsupported> {
        // The log is the durable state, and applying it again starts from its front.
        self.applied[node] = 0;
        Ok(())
    }
}

/// Whether `logs` could all come from one log: each of them is a beginning of the longest, and no
/// entry appears twice in it. Payloads must be distinct.
pub(crate) fn agree(logs: &[Vec<Vec<u8>>]) -> bool {
    let Some(longest) = logs.iter().max_by_key(|log| log.len()) else {
        return true;
    };
    let distinct: BTreeSet<&Vec<u8>> = longest.iter().collect();
    distinct.len() == longest.len() && logs.iter().all(|log| longest.starts_with(log))
}
