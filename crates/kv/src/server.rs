//! A server: its log, its store, its connections, and the requests of clients.
//!
//! # What this module does not do
//!
//! It knows no HTTP (`http` does) and no protocol (`raft-net` does): it puts them together.

mod backup;
mod connections;
mod http;
mod members;
mod status;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::MonotonicClock;
use env::fs::{Fs, OsFs};
use env::random::{OsRandom, Random};
use raft::{
    Config, Configuration, DiskError, DiskLog, DiskStorage, GroupId, Incarnation, NodeId,
    ProposeError, ReadMode,
};
use raft_net::{MachineError, Node, Options, TcpOptions, TcpTransport, mailbox};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use connections::Connections;

use crate::command::{COMMAND_MAX, COMMAND_ROOM};
use crate::machine::{Machine, View};
use crate::{Address, Command, Consistency, recover};

/// The only group.
pub(crate) const GROUP: GroupId = GroupId(1);

/// How much may wait for the node.
const MAILBOX_BYTES: usize = 256 << 20;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often members' addresses are compared with those that are replicated.
const LOOK: Duration = Duration::from_millis(200);

/// Of the ten ticks of an election timeout, by how many clocks may differ where reads rely on a
/// lease.
const LEASE_MARGIN_TICKS: u32 = 3;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub id: NodeId,
    /// Where its files are.
    pub dir: PathBuf,
    /// All servers that it knows of, itself included.
    pub peers: BTreeMap<NodeId, Address>,
    /// Where it listens for peers, `HOST:PORT`, where that is not where they reach it.
    pub listen_raft: Option<String>,
    /// Whether it waits to be added to a cluster that there is. Where its folder has a log already
    /// this does not matter.
    pub join: bool,
    /// As `join`, and it keeps no values: it votes as a witness.
    pub witness: bool,
    /// The number of the cluster, which keeps clusters on one network apart.
    pub cluster: u64,
    /// The length of a tick; an election takes 10 to 20 of them.
    pub tick: Duration,
    /// The log is compacted after so many bytes.
    pub compact_bytes: u64,
    /// So many entries stay then, for servers that are a little behind.
    pub keep_entries: u64,
}

/// Why a server does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It is not among its peers.
    #[error("--peers does not name server {id} itself: add {id}=HOST:HTTP_PORT:RAFT_PORT")]
    NoAddress {
        /// Its name.
        id: NodeId,
    },
    /// Its folder is empty, though it has been a member.
    #[error(
        "server {id} is a member with a disk that is not this one: remove it from the cluster \
             (strata-kv remove {id}), start it with --join, and add it again"
    )]
    DiskLost {
        /// Its name.
        id: NodeId,
    },
    /// It was recovered, and must not meet its old cluster.
    #[error(
        "server {id} was recovered into cluster {wanted}, and {given} was given: start it with \
         --cluster {wanted}"
    )]
    OtherCluster {
        /// Its name.
        id: NodeId,
        /// Of the recovery.
        wanted: u64,
        /// `--cluster`.
        given: u64,
    },
    /// Its log.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its store.
    #[error("the store cannot be opened: {0}")]
    Store(MachineError),
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] env::fs::FsError),
    /// Its ports.
    #[error("cannot listen at {address}: {cause}; choose another port")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// Its group.
    #[error(transparent)]
    Group(#[from] raft_net::Error),
    /// The connection of clients.
    #[error("requests cannot be served: {0}")]
    Http(std::io::Error),
}

/// A running server. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) node: Node,
    pub(crate) view: View,
    pub(crate) transport: TcpTransport,
    is_witness: bool,
    /// Places for backups that are sent.
    backups: Arc<Semaphore>,
    pub(crate) settings: Arc<Settings>,
}

impl Server {
    /// Serves until `until` is done, then gives leadership away and ends in good order. Returns
    /// earlier, with an error, where the server cannot go on.
    pub async fn serve(
        settings: Settings,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let own = settings.peers.get(&settings.id).cloned();
        let own = own.ok_or(ServeError::NoAddress { id: settings.id })?;
        let storage = open_log(&settings).await?;
        let machine = Machine::open(&settings.dir.join("store")).map_err(ServeError::Store)?;
        let mailbox = mailbox(MAILBOX_BYTES);
        let address = settings.listen_raft.clone().unwrap_or_else(|| own.raft());
        let inbox = mailbox.inbox();
        let (id, cluster) = (settings.id, settings.cluster);
        let bound = TcpTransport::bind(id, cluster, &address, inbox, TcpOptions::default()).await;
        let transport = bound.map_err(|cause| ServeError::Listen { address, cause })?;
        let options = Options {
            tick: settings.tick,
            compact_bytes: settings.compact_bytes,
            keep_entries: settings.keep_entries,
            ..Options::new(id, OsRandom.next_u64())
        };
        let entry_bytes_max = (COMMAND_MAX + COMMAND_ROOM) as u64;
        let lease_margin_ticks = Some(LEASE_MARGIN_TICKS);
        let config = Config { entry_bytes_max, lease_margin_ticks, ..options.config };
        let options = Options { config, ..options };
        let clock = Arc::new(MonotonicClock::new());
        let (log, storage) = storage;
        let node = Node::start(options, log, transport.clone(), mailbox, clock);
        let view = machine.view();
        let is_witness = storage.incarnation().is_witness();
        let backups = Arc::new(Semaphore::new(backup::BACKUPS_MAX));
        let settings = Arc::new(settings);
        let server = Self { node, view, transport, is_witness, backups, settings };
        server.meet();
        server.node.open(storage, machine).await?;
        server.listen(own.http(), until).await
    }

    async fn listen(
        self,
        address: String,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let listener = TcpListener::bind(&address).await;
        let listener = listener.map_err(|cause| ServeError::Listen { address, cause })?;
        let served = axum::serve(Connections::new(listener), http::router(self.clone()));
        let outcome = tokio::select! {
            served = async { served.await } => served.map_err(ServeError::Http),
            failed = self.watch() => Err(failed),
            () = until => Ok(()),
        };
        self.node.stop().await.ok();
        self.transport.close();
        outcome
    }

    /// Keeps addresses up to date; returns once the group has ended.
    async fn watch(&self) -> ServeError {
        loop {
            self.meet();
            self.announce().await;
            if let Err(failed @ raft_net::Error::Failed { .. }) = self.node.status(GROUP).await {
                return failed.into();
            }
            sleep(LOOK).await;
        }
    }

    /// What is applied once, or once and for all where it comes in a session. The bytes are those
    /// of an [`Answer`](crate::Answer).
    pub(crate) async fn propose(
        &self,
        command: &Command,
        session: Option<(u64, u64)>,
    ) -> Result<Bytes, raft_net::Error> {
        let changes_key = !matches!(command, Command::Load { .. });
        let command = command.encode();
        if changes_key && command.len() > COMMAND_MAX {
            let (len, max) = (command.len() as u64, COMMAND_MAX as u64);
            return Err(ProposeError::TooLarge { len, max }.into());
        }
        let proposed = async {
            match session {
                None => self.node.propose(GROUP, command).await,
                Some((session, sequence)) => {
                    self.node.propose_in(GROUP, session, sequence, command).await
                }
            }
        };
        in_time(proposed, raft_net::Error::Uncertain).await
    }

    /// Refuses where there is nothing to read.
    pub(crate) const fn require_state(&self) -> Result<(), raft_net::Error> {
        if self.is_witness { Err(raft_net::Error::Witness) } else { Ok(()) }
    }

    /// The value of a key.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        consistency: Consistency,
    ) -> Result<Option<Bytes>, raft_net::Error> {
        self.require_state()?;
        let mode = match consistency {
            Consistency::Linearizable => Some(ReadMode::Quorum),
            Consistency::Lease => Some(ReadMode::Lease),
            Consistency::Stale => None,
        };
        if let Some(mode) = mode {
            in_time(self.node.barrier(GROUP, mode), raft_net::Error::ReadLost).await?;
        }
        let failed = |cause: lsm::Error| {
            let reason = cause.to_string();
            raft_net::Error::Failed { group: GROUP, reason }
        };
        // A snapshot that begins to be brought in after the barrier takes the key away for a while.
        let found = self.view.whole(|view| view.get(key)).ok_or(raft_net::Error::ReadLost)?;
        Ok(found.map_err(failed)?.map(Bytes::from))
    }
}

/// Waits for `work`, but not for ever.
pub(crate) async fn in_time<T>(
    work: impl Future<Output = Result<T, raft_net::Error>>,
    late: raft_net::Error,
) -> Result<T, raft_net::Error> {
    timeout(PATIENCE, work).await.unwrap_or(Err(late))
}

/// Opens the log, or begins it: as a founding member, or as one that waits to be added.
async fn open_log(settings: &Settings) -> Result<(DiskLog, DiskStorage), ServeError> {
    let fs = OsFs;
    fs.create_dir_all(&settings.dir)?;
    let (id, given) = (settings.id, settings.cluster);
    if let Some(wanted) = recover::cluster_of(&settings.dir)?.filter(|it| *it != given) {
        return Err(ServeError::OtherCluster { id, wanted, given });
    }
    let log = DiskLog::open(Arc::new(fs), &settings.dir.join("raft"), wal::Options::SYNCED)?;
    if log.groups().contains(&GROUP) {
        let storage = log.group(GROUP)?;
        return Ok((log, storage));
    }
    let number = OsRandom.next_u64().max(1);
    let (incarnation, configuration) = if settings.witness {
        (Incarnation::witness(number), Configuration::default())
    } else if settings.join {
        (Incarnation::full(number), Configuration::default())
    } else {
        members::require_new(settings).await?;
        (Incarnation(0), Configuration::founding(settings.peers.keys().copied()))
    };
    let storage = log.create(GROUP, incarnation, configuration)?;
    Ok((log, storage))
}
