//! The connection to a peer: made, greeted, written to, and made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use raft::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{FrameError, Greeting, PeerStatus, Shared, TcpOptions, frame};

/// The way to a peer. Dropped, it closes the connection.
#[derive(Debug)]
pub(super) struct Peer {
    queue: Sender<Bytes>,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    address: String,
    is_connected: AtomicBool,
    dropped: AtomicU64,
    error: Mutex<Option<String>>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(super) fn new(shared: &Arc<Shared>, id: NodeId, address: &str) -> Self {
        let (queue, frames) = channel(shared.options.queue_frames.max(1));
        let state = Arc::new(State {
            address: address.to_owned(),
            is_connected: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            error: Mutex::new(None),
        });
        let greeting = Greeting { cluster: shared.cluster, from: shared.id, to: id };
        let options = shared.options.clone();
        let task = shared.runtime.spawn(keep(Arc::clone(&state), greeting, frames, options));
        Self { queue, state, task }
    }

    pub(super) fn address(&self) -> &str {
        &self.state.address
    }

    /// Queues frames; what does not fit is dropped, and counted with what was dropped already.
    pub(super) fn send(&self, frames: Vec<Bytes>, mut dropped: usize) {
        for frame in frames {
            dropped += usize::from(self.queue.try_send(frame).is_err());
        }
        // Relaxed: a count orders nothing.
        self.state.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
    }

    pub(super) fn status(&self, id: NodeId) -> PeerStatus {
        // Relaxed: for a look from outside.
        PeerStatus {
            id,
            address: self.state.address.clone(),
            is_connected: self.state.is_connected.load(Ordering::Relaxed),
            dropped: self.state.dropped.load(Ordering::Relaxed),
            error: self.state.error.lock().clone(),
        }
    }
}

/// Keeps a connection for as long as anybody holds the queue.
async fn keep(
    state: Arc<State>,
    greeting: Greeting,
    mut frames: Receiver<Bytes>,
    options: TcpOptions,
) {
    let mut wait = options.retry_min;
    while !frames.is_closed() {
        let outcome = match open(&state.address, greeting, &options).await {
            Ok(stream) => {
                wait = options.retry_min;
                *state.error.lock() = None;
                // What has waited is older than anything that the other end needs.
                while frames.try_recv().is_ok() {}
                state.is_connected.store(true, Ordering::Relaxed);
                let outcome = write(stream, &mut frames, &options).await;
                state.is_connected.store(false, Ordering::Relaxed);
                outcome
            }
            Err(cause) => Err(cause),
        };
        if let Err(cause) = outcome {
            *state.error.lock() = Some(cause);
        }
        sleep(wait).await;
        wait = (wait * 2).min(options.retry_max);
    }
}

async fn open(
    address: &str,
    greeting: Greeting,
    options: &TcpOptions,
) -> Result<TcpStream, String> {
    let connect = async {
        let mut stream = TcpStream::connect(address).await.map_err(|it| it.to_string())?;
        stream.set_nodelay(true).map_err(|it| it.to_string())?;
        stream.write_all(&greeting.encode()).await.map_err(|it| it.to_string())?;
        let mut answer = [0; frame::ANSWER];
        stream.read_exact(&mut answer).await.map_err(|it| it.to_string())?;
        frame::decode_answer(&answer).map_err(|it: FrameError| it.to_string())?;
        Ok(stream)
    };
    let late = |_| format!("{address} does not answer; see whether the server runs there");
    timeout(options.patience, connect).await.map_err(late)?
}

/// Writes frames until the queue or the connection ends. Whatever the peer says is not read: it
/// has a connection of its own for that.
async fn write(
    mut stream: TcpStream,
    frames: &mut Receiver<Bytes>,
    options: &TcpOptions,
) -> Result<(), String> {
    loop {
        let frame = match timeout(options.silence_max / 3, frames.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(_) => frame::empty(),
        };
        let written = timeout(options.patience, stream.write_all(&frame)).await;
        let written = written.map_err(|_| "the other end takes no more".to_owned())?;
        written.map_err(|it| it.to_string())?;
    }
}
