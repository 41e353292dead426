//! Backups over HTTP: one taken in a stream, and one restored block by block.
//!
//! # What this module does not do
//!
//! It knows no file: a client keeps what it is sent, and sends it again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_core::Stream;
use raft::{Index, ReadMode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::http::{Answered, Once, Refusal, command, failed, parse, refused, require_whole};
use super::{GROUP, Server, in_time};
use crate::backup::{Block, ENTRIES_MAX, end, head};
use crate::{Answer, Command};

/// Longest body with a block.
const BLOCK_MAX: usize = ENTRIES_MAX + 1024;

/// Backups that are sent at once. Each holds on to a moment of the store, and to what was
/// overwritten since.
pub(super) const BACKUPS_MAX: usize = 4;

/// How long a client may take none of a backup.
const STALL: Duration = Duration::from_secs(30);

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/backup", get(take))
        .route("/restore", post(begin))
        .route("/restore/{id}", post(finish).put(load))
        .layer(DefaultBodyLimit::max(BLOCK_MAX))
}

/// A backup on its way to a client.
struct Sent(Receiver<lsm::Result<Bytes>>);

impl Stream for Sent {
    type Item = lsm::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

async fn take(State(server): State<Server>, uri: Uri) -> Result<Response, Refusal> {
    let or_failed = |cause| failed(&server, &uri, &cause);
    server.require_state().map_err(or_failed)?;
    let place = Arc::clone(&server.backups).try_acquire_owned();
    let place = place.map_err(|_| or_failed(raft_net::Error::Busy))?;
    in_time(server.node.barrier(GROUP, ReadMode::Quorum), raft_net::Error::ReadLost)
        .await
        .map_err(or_failed)?;
    require_whole(&server)?;
    let moment = server.view.entries().ok_or_else(|| or_failed(raft_net::Error::ReadLost))?;
    let moment = moment.map_err(|cause| refused(StatusCode::SERVICE_UNAVAILABLE, &cause))?;
    let (pieces, sent) = channel(1);
    tokio::spawn(async move {
        // A client that goes, or takes nothing, has a backup without an end, and knows it.
        send(moment, &pieces).await;
        drop(place);
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(Sent(sent))).into_response())
}

/// Sends all of a moment of the store; `None` where nobody takes it.
async fn send(
    (applied, entries): (Index, lsm::Iter),
    to: &Sender<lsm::Result<Bytes>>,
) -> Option<()> {
    let give = async |piece| timeout(STALL, to.send(piece)).await.ok()?.ok();
    give(Ok(head(applied))).await?;
    let (mut entries, mut blocks, mut total) = (entries.peekable(), 0, 0);
    loop {
        let taken = spawn_blocking(move || {
            let block = Block::take(blocks, &mut entries);
            (entries, block)
        });
        let block;
        (entries, block) = taken.await.ok()?;
        match block {
            Ok(Some((block, count))) => {
                total += count;
                give(Ok(block.encode())).await?;
            }
            Ok(None) => return give(Ok(end(blocks, total))).await,
            Err(cause) => return give(Err(cause)).await,
        }
        blocks += 1;
    }
}

#[derive(Deserialize)]
struct BeginBody {
    #[serde(default)]
    replace: bool,
    #[serde(flatten)]
    once: Once,
}

async fn begin(State(server): State<Server>, uri: Uri, body: Bytes) -> Answered {
    let BeginBody { replace, once } = parse(&body)?;
    match command(&server, &uri, &Command::Begin { replace }, &once).await? {
        Answer::Begun(restore) => Ok(Json(json!({ "restore": restore }))),
        other => {
            let reason = format!("{other:?} is no number of a restore");
            Err(refused(StatusCode::INTERNAL_SERVER_ERROR, &reason))
        }
    }
}

#[derive(Deserialize)]
struct LoadOptions {
    /// The number of the block.
    block: u64,
}

async fn load(
    State(server): State<Server>,
    uri: Uri,
    Path(restore): Path<u64>,
    Query(LoadOptions { block }): Query<LoadOptions>,
    body: Bytes,
) -> Answered {
    let bad = |cause| refused(StatusCode::BAD_REQUEST, &cause);
    // What is replicated is applied by everybody, and must be right.
    let Block { entries, .. } = Block::decode(block, body).map_err(bad)?;
    // It may be sent again as it is: a block sets the same keys to the same values.
    command(&server, &uri, &Command::Load { restore, entries }, &Once::default()).await?;
    Ok(Json(json!({})))
}

async fn finish(
    State(server): State<Server>,
    uri: Uri,
    Path(restore): Path<u64>,
    body: Bytes,
) -> Answered {
    let once: Once = parse(&body)?;
    command(&server, &uri, &Command::End { restore }, &once).await?;
    Ok(Json(json!({})))
}
