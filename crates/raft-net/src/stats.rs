//! What a node has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        /// Numbers since the node's start; they only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])+ pub $name: u64,)+
        }

        /// The numbers as they grow.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn get(&self) -> Stats {
                Stats { $($name: self.$name.get(),)+ }
            }
        }
    };
}

stats! {
    /// Commands that groups took.
    proposals,
    /// Entries that state machines have applied.
    applied,
    /// Linearizable reads that were confirmed.
    reads,
    /// Messages from peers that reached a group.
    received,
    /// Messages of groups that were handed to the transport.
    sent,
    /// What one node said to another for all of its quiescent groups.
    pulses,
    /// Packets of messages and pulses: one a peer a round.
    batches,
    /// Groups that were looked at, once each round that something had to do with them.
    touched,
    /// Writes of groups to the log.
    writes,
    /// Syncs of the log; each is for all writes before it.
    syncs,
    /// Nanoseconds that they took.
    sync_nanos,
    /// Terms in which a group of this node became the leader.
    elections,
    /// Snapshots made.
    snapshots,
    /// Snapshots of others that were taken over.
    restores,
    /// What was refused because too much was waiting.
    refused,
}

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        // Relaxed: a count orders nothing.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}
