//! Connections of peers, and of whoever else finds the port.

use std::sync::Arc;

use bytes::BytesMut;
use raft::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{FrameError, Greeting, Shared, TcpOptions, frame};
use crate::{Inbox, Packet};

/// How much a frame grows before its bytes are there.
const STEP: usize = 64 << 10;

/// Takes connections, so many at once, until it is aborted; they end with it.
pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>, inbox: Inbox) {
    let places = Arc::new(Semaphore::new(shared.options.connections_max));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        // Out of descriptors, for one: better soon than never.
        let Ok((stream, _)) = listener.accept().await else {
            sleep(shared.options.retry_min).await;
            continue;
        };
        // Where all places are taken the connection is closed at once.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (shared, inbox) = (Arc::clone(&shared), inbox.clone());
        tasks.spawn(async move {
            let _place = place;
            // Why a connection ended is known at its other end.
            serve(stream, &shared, &inbox).await.ok();
        });
    }
}

/// Why a connection ended.
enum End {
    Frame,
    Io,
}

impl From<FrameError> for End {
    fn from(_: FrameError) -> Self {
        Self::Frame
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Io
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared, inbox: &Inbox) -> Result<(), End> {
    let mut greeting = [0; frame::GREETING];
    let patience = shared.options.patience;
    timeout(patience, stream.read_exact(&mut greeting)).await.map_err(|_| End::Io)??;
    let verdict = judge(&greeting, shared);
    let answer = frame::encode_answer(verdict.map(drop));
    timeout(patience, stream.write_all(&answer)).await.map_err(|_| End::Io)??;
    let from = verdict?;
    // It is there, which counts though it may have nothing to say: so do empty frames below.
    inbox.deliver(from, Packet::default());
    loop {
        let silence = shared.options.silence_max;
        let read = read_frame(&mut stream, (from, shared.id), &shared.options);
        let packet = timeout(silence, read).await.map_err(|_| End::Io)??;
        inbox.deliver(from, packet);
    }
}

fn judge(greeting: &[u8], shared: &Shared) -> Result<NodeId, FrameError> {
    let Greeting { cluster, from, to } = Greeting::decode(greeting)?;
    if cluster != shared.cluster {
        return Err(FrameError::Cluster);
    }
    if to != shared.id || from == shared.id {
        return Err(FrameError::Name);
    }
    Ok(from)
}

async fn read_frame(
    stream: &mut TcpStream,
    ends: (NodeId, NodeId),
    options: &TcpOptions,
) -> Result<Packet, End> {
    let mut head = [0; frame::HEAD];
    stream.read_exact(&mut head).await?;
    let head = frame::decode_head(head, options.frame_bytes_max)?;
    let mut left = head.0 as usize;
    let mut payload = BytesMut::new();
    let mut stream = stream.take(u64::from(head.0));
    while left > 0 {
        payload.reserve(left.min(STEP));
        match stream.read_buf(&mut payload).await? {
            0 => return Err(End::Io),
            count => left -= count,
        }
    }
    Ok(frame::decode(head, payload.freeze(), ends)?)
}
