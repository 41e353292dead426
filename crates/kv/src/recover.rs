//! Having one server go on alone, where a majority is lost for good: `strata-kv recover`.
//!
//! ```text
//!   peers ----- who answers, how far is its log? -----.
//!   log ------- who is a member? ---------------------+--> refused, or: what may be lost
//!   operator -- who is given up, by name -------------'      |
//!                       1. the number of the cluster is written down; a server with another one
//!                          does not start here any more
//!                       2. the log: raft::Recovery
//! ```
//!
//! # What this module does not do
//!
//! It cannot know whether a server that does not answer is lost. Who calls it must.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use env::fs::{FsError, FsErrorKind, FsExt, OsFs};
use env::random::{OsRandom, Random};
use raft::{
    DiskError, DiskLog, Incarnation, Index, NodeId, Recovery, RecoveryError, Storage, Survivor,
    Term,
};
use thiserror::Error;

use crate::Address;
use crate::http_client::{Content, request};
use crate::server::GROUP;

/// How long a peer is given.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file with the number of the cluster that a server was recovered into.
const CLUSTER: &str = "cluster";

/// What is left, and what an operator says of it.
#[derive(Clone, Debug)]
pub struct Lost {
    /// Who goes on.
    pub id: NodeId,
    /// Where its files are.
    pub dir: PathBuf,
    /// All servers that there were.
    pub peers: BTreeMap<NodeId, Address>,
    /// The number of the cluster as it was.
    pub cluster: u64,
    /// Its number from now on.
    pub new_cluster: u64,
    /// All other members.
    pub given_up: Vec<NodeId>,
}

/// Why a server does not go on alone. Nothing is changed, then, unless the disk failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// There is a better survivor.
    #[error(
        "server {id} answers and has a later log, which ends at entry {index} of term {term}: \
             recover that one"
    )]
    LaterLog {
        /// Who.
        id: NodeId,
        /// The end of its log.
        index: Index,
        /// The end of its log.
        term: Term,
    },
    /// The old members could speak to it.
    #[error("the cluster's number is {0} now: give another one with --new-cluster")]
    SameCluster(u64),
    /// The protocol.
    #[error(transparent)]
    Refused(#[from] RecoveryError),
    /// The log.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FsError),
}

/// The number of the cluster that the server of a folder was recovered into.
pub(crate) fn cluster_of(dir: &Path) -> Result<Option<u64>, FsError> {
    match OsFs.read_to_string(&dir.join(CLUSTER)) {
        // A file that somebody has damaged names no cluster: no number is that one.
        Ok(text) => Ok(Some(text.trim().parse().unwrap_or(u64::MAX))),
        Err(cause) if cause.kind == FsErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Has a server that is down go on alone; returns what was done, in words to be shown.
pub async fn recover(lost: &Lost) -> Result<String, RecoverError> {
    if lost.new_cluster == lost.cluster {
        return Err(RecoverError::SameCluster(lost.cluster));
    }
    let folder = lost.dir.join("raft");
    let log = DiskLog::open(Arc::new(OsFs), &folder, wal::Options::SYNCED)?;
    let mut storage = log.group(GROUP)?;
    let last = storage.last_index();
    let end = (storage.term(last).unwrap_or_default(), last);
    let mut reachable = Vec::new();
    for (id, address) in lost.peers.iter().filter(|(id, _)| **id != lost.id) {
        let reply = request(&address.http(), "GET", "/status", Content::Nothing, PATIENCE).await;
        let Ok(reply) = reply else { continue };
        let number = |name: &str| reply.body[name].as_u64();
        if number("id") != Some(id.0) {
            continue;
        }
        reachable.push(*id);
        let other = number("last_term").zip(number("last"));
        let (term, index) = other.map_or(end, |(term, index)| (Term(term), Index(index)));
        if (term, index) > end {
            return Err(RecoverError::LaterLog { id: *id, index, term });
        }
    }
    let new_disk = Incarnation::full(OsRandom.next_u64().max(1));
    let (id, disk, given_up) = (lost.id, storage.incarnation(), &lost.given_up[..]);
    let survivor = Survivor { id, disk, new_disk, given_up, reachable: &reachable };
    let recovery = Recovery::plan(&storage, &survivor)?;
    OsFs.write_atomic(&lost.dir.join(CLUSTER), lost.new_cluster.to_string().as_bytes())?;
    storage.recover(&recovery)?;
    Ok(recovery.to_string())
}
