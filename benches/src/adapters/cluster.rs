//! Whole clusters in one process, driven as their authors mean them to be driven.
//!
//! ```text
//!   client tasks, one thread --- submit ---> leader's node ---> machine --- answer ---> task
//!                                              |   ^  messages are handed over, not encoded
//!                                              v   |
//!                                           other nodes, each with a log and a machine
//! ```
//!
//! Every contender has the same client, the same machines behind the same locks, ticks of the same
//! length, and messages that cost no encoding. What differs is the consensus and what drives it.
//! [`floor`] has neither: it shows what the client and one hand-over to a thread cost.
//!
//! # What this module does not do
//!
//! It loses no message and stops no node: what that does is judged elsewhere.

pub mod floor;
pub mod journal;
pub mod openraft;
pub mod raft;
pub mod raft_rs;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use env::clock::{Clock, MonotonicClock};
use harness::contract::{ClusterSpec, Consensus, StoreError, Unsupported};
use parking_lot::Mutex;

use super::replica::{Machine, Stuck};

/// A tick of every contender, or what comes nearest to it.
pub const TICK: Duration = Duration::from_millis(100);
/// An election timeout, in ticks.
pub const ELECTION_TICKS: u32 = 10;
/// Time between two heartbeats, in ticks.
pub const HEARTBEAT_TICKS: u32 = 2;

/// What a node applies entries to; looked at by whoever compares.
pub type Shared<M> = Arc<Mutex<M>>;

/// What keeps a node's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Memory.
    Memory,
    /// The write-ahead log of this workspace, synced.
    Wal,
    /// A growing file, synced with `fdatasync`.
    File,
}

/// A running cluster whose first node leads.
pub trait Cluster<M>: Sized + Send + Sync + 'static {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// Starts nodes, and returns once the first one leads.
    fn start(nodes: usize, log: Log) -> Result<Self, Unsupported>;

    /// Hands a command to the leader; done once its machine has applied it.
    fn submit(&self, command: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The machines of all nodes, the leader's first.
    fn machines(&self) -> &[Shared<M>];

    /// How often the leader's log was synced, where it is on disk.
    fn syncs(&self) -> Option<u64>;

    /// What its nodes say to each other; `None` where it has no encoding of its own.
    fn wire(&self) -> Option<&Wire>;
}

/// Bytes that messages between nodes would take. All nodes are in one process and pass messages as
/// they are, so that these are encoded while somebody counts, and at no other time.
#[derive(Debug, Default)]
pub struct Wire {
    is_counting: AtomicBool,
    bytes: AtomicU64,
}

impl Wire {
    /// Adds the bytes of a message.
    pub fn add(&self, bytes: impl FnOnce() -> usize) {
        // Relaxed, here and below: counts.
        if self.is_counting.load(Ordering::Relaxed) {
            self.bytes.fetch_add(bytes() as u64, Ordering::Relaxed);
        }
    }

    /// Counts while `work` is done.
    pub fn during(&self, work: impl FnOnce()) -> u64 {
        self.bytes.store(0, Ordering::Relaxed);
        self.is_counting.store(true, Ordering::Relaxed);
        work();
        self.is_counting.store(false, Ordering::Relaxed);
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Ends what must not be waited for on a runtime, and waits for it: a client's task may be what
/// drops a cluster.
fn end_apart(work: impl FnOnce() + Send) {
    // What panics here has said so, and there is nothing left to lose.
    thread::scope(|scope| scope.spawn(work).join().ok());
}

/// A cluster under the family's contract.
#[derive(Debug)]
pub struct Conforming<C, M> {
    cluster: C,
    machine: PhantomData<M>,
    runtime: tokio::runtime::Runtime,
    waiting: Vec<Bytes>,
}

/// The runtime that clients run on: the calling thread.
pub fn client_runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("the system has room for a runtime")
}

/// How long a cluster may take to apply what was answered already.
pub const PATIENCE: Duration = Duration::from_secs(20);

impl<M: Machine + 'static, C: Cluster<M>> Consensus for Conforming<C, M> {
    const NAME: &'static str = C::NAME;

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        let log = if spec.durable { Log::Wal } else { Log::Memory };
        let cluster = C::start(spec.nodes, log)?;
        Ok(Self { cluster, machine: PhantomData, runtime: client_runtime(), waiting: Vec::new() })
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        self.waiting.push(Bytes::copy_from_slice(payload));
        Ok(())
    }

    fn drive(&mut self, entries: u64) -> Result<(), StoreError> {
        for command in std::mem::take(&mut self.waiting) {
            self.runtime.block_on(self.cluster.submit(command))?;
        }
        let clock = MonotonicClock::new();
        let end = clock.now() + PATIENCE;
        while self.cluster.machines().iter().any(|machine| machine.lock().count() < entries) {
            if clock.now() > end {
                return Err(Stuck.into());
            }
            thread::yield_now();
        }
        Ok(())
    }

    fn applied(&self, node: usize) -> Vec<Vec<u8>> {
        self.cluster.machines()[node].lock().payloads()
    }

    fn restart(&mut self, _: usize) -> Result<(), Unsupported> {
        Err(Unsupported("its driver here starts a node only once".to_owned()))
    }
}
