//! Messages over TCP: one connection from each node to each peer, made again when it is lost.
//!
//! ```text
//!   node thread -- frames --> bounded queue --> task of a peer: connect, greet, write
//!                     (what does not fit is dropped)      '-- lost: wait, longer each time
//!   task of the listener --> task of a connection: greeting, frames --> inbox
//!                     (so many at once, each with deadlines)   (what does not fit is dropped)
//! ```
//!
//! What a stranger can make this end hold is bounded: [`TcpOptions::connections_max`] connections,
//! one frame each, which grows only as its bytes arrive; who says nothing is cut off.
//!
//! # What this module does not do
//!
//! It does not know who may speak for a server: whoever knows the cluster's number can.

mod incoming;
mod outgoing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raft::NodeId;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::frame::{self, FrameError, Greeting};
use super::{Packet, Transport};
use crate::Inbox;
use outgoing::Peer;

/// Limits and deadlines.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// Longest frame in bytes; longer ones close the connection. It must take the largest message:
    /// `message_bytes_max` or one entry, and `chunk_bytes`, with a little room.
    pub frame_bytes_max: usize,
    /// Frames that wait for a peer before more are dropped.
    pub queue_frames: usize,
    /// Connections that peers, or strangers, may have here at once.
    pub connections_max: usize,
    /// How long a connection may take to be made, a greeting to arrive, or a write to be taken.
    pub patience: Duration,
    /// A silent connection is closed after this; who has nothing to say speaks thrice as often.
    pub silence_max: Duration,
    /// The wait before a connection is tried again; it doubles up to `retry_max`.
    pub retry_min: Duration,
    /// The longest wait.
    pub retry_max: Duration,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            frame_bytes_max: 8 << 20,
            queue_frames: 256,
            connections_max: 64,
            patience: Duration::from_secs(3),
            silence_max: Duration::from_secs(15),
            retry_min: Duration::from_millis(20),
            retry_max: Duration::from_secs(1),
        }
    }
}

/// A peer as its connection sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub id: NodeId,
    /// Where.
    pub address: String,
    /// Whether frames are being sent there.
    pub is_connected: bool,
    /// Frames and messages that were dropped since its address was set.
    pub dropped: u64,
    /// Why the last connection was lost or not made.
    pub error: Option<String>,
}

/// The transport over TCP. Copies are the same transport; the last one that is dropped does not
/// close it, [`TcpTransport::close`] does.
#[derive(Clone, Debug)]
pub struct TcpTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    id: NodeId,
    cluster: u64,
    options: TcpOptions,
    runtime: Handle,
    address: SocketAddr,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl TcpTransport {
    /// Listens at `address` (`host:port`; port 0 for any) for peers of the cluster. To be called
    /// within a tokio runtime, which runs the connections.
    pub async fn bind(
        id: NodeId,
        cluster: u64,
        address: &str,
        inbox: Inbox,
        options: TcpOptions,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            id,
            cluster,
            options,
            runtime: Handle::current(),
            address: listener.local_addr()?,
            peers: Mutex::default(),
            listener: Mutex::default(),
        });
        let task = tokio::spawn(incoming::listen(listener, Arc::clone(&shared), inbox));
        *shared.listener.lock() = Some(task);
        Ok(Self { shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Says where a peer is. Nothing happens where that is known.
    pub fn set_peer(&self, id: NodeId, address: &str) {
        let mut peers = self.shared.peers.lock();
        if id != self.shared.id && peers.get(&id).is_none_or(|peer| peer.address() != address) {
            peers.insert(id, Peer::new(&self.shared, id, address));
        }
    }

    /// Forgets a peer.
    pub fn remove_peer(&self, id: NodeId) {
        self.shared.peers.lock().remove(&id);
    }

    /// All peers whose addresses are known.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.peers.lock().iter().map(|(id, peer)| peer.status(*id)).collect()
    }

    /// Closes all connections and listens no more.
    pub fn close(&self) {
        self.shared.peers.lock().clear();
        if let Some(task) = self.shared.listener.lock().take() {
            task.abort();
        }
    }
}

impl Transport for TcpTransport {
    fn send(&mut self, to: NodeId, packet: Packet) {
        if let Some(peer) = self.shared.peers.lock().get(&to) {
            let (frames, dropped) = frame::encode(&packet, self.shared.options.frame_bytes_max);
            peer.send(frames, dropped);
        }
    }
}

#[cfg(test)]
mod tests;
