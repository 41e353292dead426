//! The one dispatcher: what kind of message goes to which part. No rules here.
//!
//! | message            | follower         | candidate            | leader             |
//! |--------------------|------------------|----------------------|--------------------|
//! | `Request(Pre)Vote` | `election`       | `election`           | `election`         |
//! | `VoteResponse`     | ignored there    | `election`           | ignored there      |
//! | `AppendEntries`    | `replication`    | steps down, the same | impossible         |
//! | `AppendResponse`   | ignored there    | ignored there        | `replication`      |
//! | `InstallSnapshot`  | `snapshot`       | steps down, the same | impossible         |
//! | `SnapshotResponse` | ignored there    | ignored there        | `snapshot`         |
//! | `TimeoutNow`       | `transfer`       | `transfer`           | ignored there      |
//! | `ReadIndex`        | ignored there    | ignored there        | `read_index`       |
//!
//! # What this module does not do
//!
//! Anything else.

use crate::core::Core;
use crate::message::{Body, Message};
use crate::storage::Storage;
use crate::{election, read_index, replication, snapshot, transfer};

/// A message has come.
pub(crate) fn step<S: Storage>(core: &mut Core<S>, message: Message) {
    if !core.observe_term(&message) {
        return;
    }
    match message.body {
        Body::RequestPreVote { last } | Body::RequestVote { last, .. } => {
            election::on_request(core, &message, last);
        }
        Body::VoteResponse { pre, granted } => election::on_response(core, &message, pre, granted),
        Body::AppendEntries { .. } => replication::on_append(core, message),
        Body::AppendResponse { .. } => replication::on_response(core, &message),
        Body::InstallSnapshot { .. } => snapshot::on_part(core, message),
        Body::SnapshotResponse { .. } => snapshot::on_response(core, &message),
        Body::TimeoutNow => transfer::on_timeout_now(core),
        Body::ReadIndex { id, mode } => read_index::on_request(core, message.from, id, mode),
        Body::ReadIndexResponse { id, index } => read_index::on_response(core, id, index),
    }
}
