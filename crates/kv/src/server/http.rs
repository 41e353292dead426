//! The requests of clients.
//!
//! | request                    | body                                   | answer                 |
//! |----------------------------|----------------------------------------|------------------------|
//! | `GET /kv/KEY`              | `?lease` or `?stale` in the path       | `value`                |
//! | `PUT /kv/KEY`              | `value`                                | `previous`             |
//! | `DELETE /kv/KEY`           |                                        | `previous`             |
//! | `POST /cas/KEY`            | `expected`, `value`: text or null      | `swapped`, `previous`  |
//! | `GET /scan?prefix=&limit=` |                                        | `entries`; stale       |
//! | `POST /session`            |                                        | `session`              |
//! | `GET /status`, `/cluster`  |                                        | of this server, of all |
//! | `POST /members`            | `id`, `incarnation`, `address`         |                        |
//! | `DELETE /members/ID`       |                                        |                        |
//! | `POST /change`             | `add`: as above, `remove`: numbers     |                        |
//! | `POST /transfer`           | `to`                                   |                        |
//! | `POST /snapshot`           |                                        | `index`                |
//! | `GET /backup`              |                                        | bytes                  |
//! | `POST /restore`            | `replace`                              | `restore`              |
//! | `PUT /restore/ID?block=N`  | bytes of the block                     |                        |
//! | `POST /restore/ID`         |                                        |                        |
//! | `GET /`                    |                                        | a page                 |
//!
//! A write may name a `session` and the number of the write in it, `sequence`; then it may be sent
//! again. One without the other is refused. A snapshot that takes longer than a request may goes on
//! all the same, and its end is seen in the status.
//!
//! What only the leader can do is answered elsewhere with a redirect to it (307). An error is
//! `{"error": .., "uncertain": ..}`; where it is uncertain the write may be done all the same.
//!
//! # What this module does not do
//!
//! It decides nothing about the cluster.

use std::num::NonZeroU64;
use std::time::Duration;

use axum::body::Bytes as Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use raft::{ChangeError, Incarnation, NodeId, ProposeError, TransferError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::members::Newcomer;
use super::status::mark_members;
use super::{GROUP, Server, backup, in_time};
use crate::backup::KEY_MAX;
use crate::http_client::{Content, request};
use crate::{Answer, Command, Consistency, Refused};

/// Longest body.
const BODY_MAX: usize = 2 << 20;

/// Most entries of a scan.
const SCAN_MAX: usize = 10_000;

pub(super) fn router(server: Server) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/kv/{*key}", get(read).put(put).delete(remove_key))
        .route("/cas/{*key}", post(swap))
        .route("/scan", get(scan))
        .route("/session", post(session))
        .route("/status", get(status))
        .route("/cluster", get(cluster))
        .route("/announce", post(announce))
        .route("/members", post(add))
        .route("/members/{id}", delete(remove))
        .route("/change", post(change))
        .route("/transfer", post(transfer))
        .route("/snapshot", post(snapshot))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .merge(backup::routes())
        .with_state(server)
}

/// What a request came to.
pub(super) type Answered = Result<Json<Value>, Refusal>;

/// An answer that is an error, or that sends the client elsewhere.
pub(super) struct Refusal {
    status: StatusCode,
    /// Where to ask instead.
    location: Option<String>,
    reason: String,
    /// Whether a write may be done all the same.
    uncertain: bool,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, location, reason, uncertain } = self;
        let body = Json(json!({ "error": reason, "uncertain": uncertain }));
        let location = location.map(|location| [(header::LOCATION, location)]);
        (status, location, body).into_response()
    }
}

pub(super) fn refused(status: StatusCode, reason: &impl ToString) -> Refusal {
    Refusal { status, location: None, reason: reason.to_string(), uncertain: false }
}

/// What an error is in HTTP.
pub(super) fn failed(server: &Server, uri: &Uri, error: &raft_net::Error) -> Refusal {
    use raft_net::Error as E;
    let leader = error.leader().and_then(|leader| server.address_of(leader));
    let status = match error {
        _ if leader.is_some() => StatusCode::TEMPORARY_REDIRECT,
        E::Propose(ProposeError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        E::Busy | E::Propose(ProposeError::Full { .. }) => StatusCode::TOO_MANY_REQUESTS,
        E::NoSession { .. } => StatusCode::GONE,
        E::OutOfOrder { .. } => StatusCode::CONFLICT,
        E::Change(ChangeError::Invalid(_))
        | E::Transfer(TransferError::NotVoter { .. } | TransferError::Witness { .. }) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let location = leader.map(|address| format!("http://{}{uri}", address.http()));
    let uncertain = error.is_uncertain();
    Refusal { status, location, reason: error.to_string(), uncertain }
}

/// A body, which may be missing where nothing in it is needed.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a Body) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { &body[..] };
    serde_json::from_slice(body)
        .map_err(|cause| refused(StatusCode::BAD_REQUEST, &format!("the body: {cause}")))
}

fn key_of(key: String) -> Result<Bytes, Refusal> {
    if key.len() > KEY_MAX {
        let reason = format!("the key has {} bytes, and {KEY_MAX} are the limit", key.len());
        return Err(refused(StatusCode::BAD_REQUEST, &reason));
    }
    Ok(key.into())
}

fn text(value: Option<&[u8]>) -> Value {
    value.map_or(Value::Null, |value| String::from_utf8_lossy(value).into())
}

/// The number of a write in a session.
#[derive(Default, Deserialize)]
pub(super) struct Once {
    session: Option<u64>,
    sequence: Option<u64>,
}

impl Once {
    /// One without the other would be a write that is done again when it is sent again.
    fn pair(&self) -> Result<Option<(u64, u64)>, Refusal> {
        let lacking = match (self.session, self.sequence) {
            (Some(session), Some(sequence)) => return Ok(Some((session, sequence))),
            (None, None) => return Ok(None),
            (Some(_), None) => "`sequence` is missing: a write in a session needs its number",
            (None, Some(_)) => "`session` is missing: `sequence` counts the writes of one",
        };
        Err(refused(StatusCode::BAD_REQUEST, &lacking))
    }
}

#[derive(Deserialize)]
struct ReadOptions {
    lease: Option<String>,
    stale: Option<String>,
}

impl ReadOptions {
    fn consistency(&self) -> Result<Consistency, Refusal> {
        match (&self.lease, &self.stale) {
            (None, None) => Ok(Consistency::Linearizable),
            (Some(_), None) => Ok(Consistency::Lease),
            (None, Some(_)) => Ok(Consistency::Stale),
            (Some(_), Some(_)) => {
                let reason = "a read is by `lease` or `stale`, not both";
                Err(refused(StatusCode::BAD_REQUEST, &reason))
            }
        }
    }
}

async fn read(
    State(server): State<Server>,
    uri: Uri,
    Path(key): Path<String>,
    Query(options): Query<ReadOptions>,
) -> Answered {
    let key = key_of(key)?;
    require_whole(&server)?;
    let value = server.get(&key, options.consistency()?).await;
    let value = value.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({ "key": text(Some(&key)), "value": text(value.as_deref()) })))
}

/// Refuses while what is there is a part of a backup.
pub(super) fn require_whole(server: &Server) -> Result<(), Refusal> {
    let is_loading = server.view.is_loading();
    let reason = Refused::Restoring;
    if is_loading { Err(refused(StatusCode::SERVICE_UNAVAILABLE, &reason)) } else { Ok(()) }
}

/// What came of a command that was not refused.
pub(super) async fn command(
    server: &Server,
    uri: &Uri,
    command: &Command,
    once: &Once,
) -> Result<Answer, Refusal> {
    let answer = server.propose(command, once.pair()?).await;
    match answer_of(answer.map_err(|cause| failed(server, uri, &cause))?)? {
        Answer::Refused(why) => Err(refused(StatusCode::CONFLICT, &why)),
        done => Ok(done),
    }
}

/// The former value of the key that a command changes.
async fn write(
    server: &Server,
    uri: &Uri,
    change: &Command,
    once: &Once,
) -> Result<Option<Bytes>, Refusal> {
    match command(server, uri, change, once).await? {
        Answer::Former(value) => Ok(value),
        Answer::Begun(_) | Answer::Refused(_) => Err(of_another_version()),
    }
}

/// The command is applied; what it answered another version may have kept in the session.
fn answer_of(bytes: Bytes) -> Result<Answer, Refusal> {
    Answer::decode(bytes).ok_or_else(of_another_version)
}

fn of_another_version() -> Refusal {
    let reason = "the write is done, and what it answered is not of this server's version";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Refusal { uncertain: true, ..refused(status, &reason) }
}

#[derive(Deserialize)]
struct PutBody {
    value: String,
    #[serde(flatten)]
    once: Once,
}

async fn put(
    State(server): State<Server>,
    uri: Uri,
    Path(key): Path<String>,
    body: Body,
) -> Answered {
    let PutBody { value, once } = parse(&body)?;
    let command = Command::Put { key: key_of(key)?, value: value.into() };
    let previous = write(&server, &uri, &command, &once).await?;
    Ok(Json(json!({ "previous": text(previous.as_deref()) })))
}

async fn remove_key(
    State(server): State<Server>,
    uri: Uri,
    Path(key): Path<String>,
    body: Body,
) -> Answered {
    let once: Once = parse(&body)?;
    let command = Command::Delete { key: key_of(key)? };
    let previous = write(&server, &uri, &command, &once).await?;
    Ok(Json(json!({ "previous": text(previous.as_deref()) })))
}

#[derive(Deserialize)]
struct SwapBody {
    expected: Option<String>,
    value: Option<String>,
    #[serde(flatten)]
    once: Once,
}

async fn swap(
    State(server): State<Server>,
    uri: Uri,
    Path(key): Path<String>,
    body: Body,
) -> Answered {
    let SwapBody { expected, value, once } = parse(&body)?;
    let (expected, value) = (expected.map(Bytes::from), value.map(Bytes::from));
    let command = Command::Swap { key: key_of(key)?, expected: expected.clone(), value };
    let previous = write(&server, &uri, &command, &once).await?;
    let swapped = previous == expected;
    Ok(Json(json!({ "swapped": swapped, "previous": text(previous.as_deref()) })))
}

#[derive(Deserialize)]
struct ScanOptions {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
}

async fn scan(
    State(server): State<Server>,
    uri: Uri,
    Query(options): Query<ScanOptions>,
) -> Answered {
    server.require_state().map_err(|cause| failed(&server, &uri, &cause))?;
    require_whole(&server)?;
    let limit = options.limit.unwrap_or(100).min(SCAN_MAX);
    let unavailable = |reason: &dyn std::fmt::Display| {
        refused(StatusCode::SERVICE_UNAVAILABLE, &reason.to_string())
    };
    let found = server.view.whole(|view| view.scan(options.prefix.as_bytes(), limit));
    let found = found.ok_or_else(|| unavailable(&"a snapshot is being brought in: try again"))?;
    let found = found.map_err(|cause| unavailable(&cause))?;
    let entry = |(key, value): &(Vec<u8>, Vec<u8>)| json!([text(Some(key)), text(Some(value))]);
    Ok(Json(json!({ "entries": found.iter().map(entry).collect::<Vec<_>>() })))
}

async fn session(State(server): State<Server>, uri: Uri) -> Answered {
    let opened = in_time(server.node.open_session(GROUP), raft_net::Error::Uncertain).await;
    let session = opened.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({ "session": session })))
}

async fn status(State(server): State<Server>, uri: Uri) -> Answered {
    server.status().await.map(Json).map_err(|cause| failed(&server, &uri, &cause))
}

/// The status of all servers that are known; of those that do not answer, why. Where there is a
/// leader, `member` says whether it counts them as one.
async fn cluster(State(server): State<Server>) -> Json<Value> {
    let mut servers = server.settings.peers.clone();
    servers.extend(server.view.servers());
    let asked: Vec<_> = servers
        .into_iter()
        .map(|(id, address)| {
            tokio::spawn(async move {
                let patience = Duration::from_millis(400);
                let reply =
                    request(&address.http(), "GET", "/status", Content::Nothing, patience).await;
                let mut entry = match reply {
                    Ok(reply) => reply.body,
                    Err(cause) => json!({ "error": cause.to_string() }),
                };
                entry["id"] = id.0.into();
                entry["address"] = address.to_string().into();
                entry
            })
        })
        .collect();
    let mut found = Vec::new();
    for task in asked {
        found.extend(task.await.ok());
    }
    mark_members(&mut found);
    Json(found.into())
}

#[derive(Deserialize)]
struct MemberBody {
    id: NonZeroU64,
    address: String,
    /// Text, since it does not fit a JavaScript number.
    incarnation: Option<String>,
}

impl MemberBody {
    fn address(&self) -> Result<crate::Address, Refusal> {
        let parsed = self.address.parse::<crate::Address>();
        parsed.map_err(|cause| refused(StatusCode::BAD_REQUEST, &cause))
    }

    fn newcomer(&self) -> Result<Newcomer, Refusal> {
        let incarnation = self.incarnation.as_deref().and_then(|text| text.parse().ok());
        let Some(incarnation) = incarnation.map(Incarnation) else {
            let reason =
                "`incarnation` is missing: take it from the status of the server to be added";
            return Err(refused(StatusCode::BAD_REQUEST, &reason));
        };
        Ok(Newcomer { id: NodeId(self.id.get()), incarnation, address: self.address()? })
    }
}

async fn announce(State(server): State<Server>, uri: Uri, body: Body) -> Answered {
    let member: MemberBody = parse(&body)?;
    let moved = server.move_to(NodeId(member.id.get()), Some(member.address()?)).await;
    moved.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({})))
}

async fn add(State(server): State<Server>, uri: Uri, body: Body) -> Answered {
    let newcomer = parse::<MemberBody>(&body)?.newcomer()?;
    server.add(newcomer).await.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct ChangeBody {
    #[serde(default)]
    add: Vec<MemberBody>,
    #[serde(default)]
    remove: Vec<u64>,
}

async fn change(State(server): State<Server>, uri: Uri, body: Body) -> Answered {
    let ChangeBody { add, remove } = parse(&body)?;
    let add: Vec<_> = add.iter().map(MemberBody::newcomer).collect::<Result<_, _>>()?;
    let remove: Vec<_> = remove.into_iter().map(NodeId).collect();
    let changed = server.change_jointly(add, &remove).await;
    changed.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({})))
}

async fn remove(State(server): State<Server>, uri: Uri, Path(id): Path<u64>) -> Answered {
    let removed = server.remove(NodeId(id)).await;
    removed.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct TransferBody {
    to: u64,
}

async fn transfer(State(server): State<Server>, uri: Uri, body: Body) -> Answered {
    let TransferBody { to } = parse(&body)?;
    let begun = in_time(server.node.transfer(GROUP, NodeId(to)), raft_net::Error::Busy).await;
    begun.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({})))
}

async fn snapshot(State(server): State<Server>, uri: Uri) -> Answered {
    // One that takes longer goes on, and its end is seen in the status.
    let made = in_time(server.node.snapshot(GROUP), raft_net::Error::Busy).await;
    let index = made.map_err(|cause| failed(&server, &uri, &cause))?;
    Ok(Json(json!({ "index": index.0 })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(body: &'static str) -> Result<Option<(u64, u64)>, String> {
        let once: Once = parse(&Body::from(body)).map_err(|it| it.reason)?;
        once.pair().map_err(|it| it.reason)
    }

    #[test]
    fn half_a_place_in_a_session_is_refused_and_says_which_half_is_missing() {
        assert_eq!(once(""), Ok(None));
        assert_eq!(once(r#"{"session": 3, "sequence": 1}"#), Ok(Some((3, 1))));
        for (body, lacking) in
            [(r#"{"session": 3}"#, "`sequence`"), (r#"{"sequence": 1}"#, "`session`")]
        {
            let reason = once(body).expect_err("it would be written twice when it is sent twice");
            assert!(reason.starts_with(lacking), "{reason}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_no_answer() {
        let none = answer_of(Answer::Former(None).encode()).map_err(|it| it.reason);
        assert_eq!(none, Ok(Answer::Former(None)));
        for bytes in [&b""[..], &[2], &[0, 0]] {
            let refusal = answer_of(Bytes::from_static(bytes)).expect_err("it is no answer");
            assert!(refusal.uncertain, "the write is done: {}", refusal.reason);
        }
    }

    #[test]
    fn keys_have_one_limit() {
        assert!(key_of("k".repeat(KEY_MAX)).is_ok());
        let refusal = key_of("k".repeat(KEY_MAX + 1)).expect_err("it is longer");
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    }
}
