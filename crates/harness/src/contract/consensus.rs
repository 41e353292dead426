//! Replicated logs.

use super::{StoreError, Unsupported};

/// The cluster that a contender is to run, all of it in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClusterSpec {
    /// Voting members. Odd, at least one.
    pub nodes: usize,
    /// Whether each node's log is synced to disk before it acknowledges.
    pub durable: bool,
}

/// A cluster that agrees on one log.
pub trait Consensus: Sized {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// Starts a cluster and returns once it has a leader.
    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported>;

    /// Hands `payload` to the leader. Returns without waiting for the commit.
    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError>;

    /// Lets the cluster work until at least `entries` proposals of this run have been applied by
    /// every node that is up.
    fn drive(&mut self, entries: u64) -> Result<(), StoreError>;

    /// The payloads that node `node` has applied, in order. For checks; may be slow.
    fn applied(&self, node: usize) -> Vec<Vec<u8>>;

    /// Stops node `node` as a crash would and starts it again from what it had made durable.
    fn restart(&mut self, node: usize) -> Result<(), Unsupported>;
}
