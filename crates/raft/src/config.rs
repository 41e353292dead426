//! The knobs of one server, checked when it starts.
//!
//! # What this module does not do
//!
//! It knows nothing of the cluster: who votes is in the log.

use crate::types::{Incarnation, NodeId};

/// How a leader convinces itself that a read is not stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// It asks a majority, once for all reads that wait (D§6.4).
    Quorum,
    /// It relies on a majority having answered lately (D§6.4.1), where
    /// [`Config::lease_margin_ticks`] lets it; else it asks.
    ///
    /// Assumes of clocks: while one server counts `election_ticks`, no other one counts fewer than
    /// `election_ticks - lease_margin_ticks`. Where a process may stand still, its driver must
    /// deliver the ticks that it missed before it asks for a read, and before what came meanwhile.
    Lease,
}

/// The knobs. [`Config::new`] has sensible values for a tick of 10 to 100 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who this is.
    pub id: NodeId,
    /// The disk that it has; another one where the disk is new.
    pub incarnation: Incarnation,
    /// Decides election timeouts. Must differ between servers and between starts of one server.
    pub seed: u64,
    /// A follower campaigns after `election_ticks ..< 2 * election_ticks` without a leader (§5.2).
    pub election_ticks: u32,
    /// A leader speaks at least so often.
    pub heartbeat_ticks: u32,
    /// Ask before disturbing (D§9.6).
    pub pre_vote: bool,
    /// A leader without a majority steps down, and nobody votes while a leader is near (D§6.2).
    pub check_quorum: bool,
    /// A leader whose own disk makes nothing durable for so many election timeouts, while entries
    /// wait for it, steps down: it would speak and be answered, and apply nothing. 0: it never
    /// does. A disk that is only slow should take a small part of that for a write.
    pub stall_timeouts: u32,
    /// By how many ticks clocks may differ within an election timeout, where reads may be served by
    /// a lease; none are where there is none. All servers of a cluster must have one, or none: what
    /// is promised to one that has it is kept by others also when they are started again.
    pub lease_margin_ticks: Option<u32>,
    /// Most reads that wait at once, for a round, for the leader, or for what is to be applied. A
    /// leader passes over what followers ask beyond that, and they give up in time.
    pub reads_max: usize,
    /// 0 campaigns first; each further rank waits another half election timeout.
    pub rank: u32,
    /// Largest command.
    pub entry_bytes_max: u64,
    /// Most bytes of entries in one message; one entry is always sent.
    pub message_bytes_max: u64,
    /// Most bytes that a leader takes in before they are committed.
    pub uncommitted_bytes_max: u64,
    /// Most messages on their way to one follower.
    pub inflight_max: usize,
    /// Most bytes on their way to one follower.
    pub inflight_bytes_max: u64,
    /// Most bytes that are handed out at once to be applied; one entry always is.
    pub apply_bytes_max: u64,
    /// Size of a part of a snapshot.
    pub chunk_bytes: u64,
    /// Largest snapshot that is taken from a leader: all of it is gathered in memory before it is
    /// written. One that is larger is refused, and [`Status::refused_snapshot`] says so.
    ///
    /// [`Status::refused_snapshot`]: crate::Status::refused_snapshot
    pub snapshot_bytes_max: u64,
}

/// What is wrong with a [`Config`], and what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Heartbeats too rare.
    #[error(
        "heartbeat_ticks is {heartbeat} and election_ticks {election}, so that followers would \
         campaign against a healthy leader: make election_ticks at least twice heartbeat_ticks, \
         and neither zero"
    )]
    Ticks {
        /// As given.
        heartbeat: u32,
        /// As given.
        election: u32,
    },
    /// A lease that nobody keeps.
    #[error("leases need check_quorum, for without it voters do not wait: turn it on")]
    LeaseWithoutCheckQuorum,
    /// A lease of no length.
    #[error(
        "lease_margin_ticks is {margin}, but must be below election_ticks, which is {election}"
    )]
    LeaseMargin {
        /// As given.
        margin: u32,
        /// As given.
        election: u32,
    },
    /// A limit of nothing.
    #[error("{limit} is zero, so that nothing could ever be done: raise it")]
    Zero {
        /// Which.
        limit: &'static str,
    },
}

impl Config {
    /// Sensible values.
    pub const fn new(id: NodeId, seed: u64) -> Self {
        Self {
            id,
            incarnation: Incarnation(0),
            seed,
            election_ticks: 10,
            heartbeat_ticks: 2,
            pre_vote: true,
            check_quorum: true,
            stall_timeouts: 20,
            lease_margin_ticks: None,
            reads_max: 100_000,
            rank: 0,
            entry_bytes_max: 1 << 20,
            message_bytes_max: 1 << 20,
            uncommitted_bytes_max: 64 << 20,
            inflight_max: 64,
            inflight_bytes_max: 8 << 20,
            apply_bytes_max: 4 << 20,
            chunk_bytes: 256 << 10,
            snapshot_bytes_max: 1 << 30,
        }
    }

    /// Says what is wrong, if anything is.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (heartbeat, election) = (self.heartbeat_ticks, self.election_ticks);
        if heartbeat == 0 || election / 2 < heartbeat {
            return Err(ConfigError::Ticks { heartbeat, election });
        }
        if let Some(margin) = self.lease_margin_ticks {
            if !self.check_quorum {
                return Err(ConfigError::LeaseWithoutCheckQuorum);
            }
            if margin >= election {
                return Err(ConfigError::LeaseMargin { margin, election });
            }
        }
        let limits = [
            ("reads_max", self.reads_max as u64),
            ("entry_bytes_max", self.entry_bytes_max),
            ("message_bytes_max", self.message_bytes_max),
            ("uncommitted_bytes_max", self.uncommitted_bytes_max),
            ("inflight_max", self.inflight_max as u64),
            ("inflight_bytes_max", self.inflight_bytes_max),
            ("apply_bytes_max", self.apply_bytes_max),
            ("chunk_bytes", self.chunk_bytes),
            ("snapshot_bytes_max", self.snapshot_bytes_max),
        ];
        match limits.into_iter().find(|(_, value)| *value == 0) {
            Some((limit, _)) => Err(ConfigError::Zero { limit }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
