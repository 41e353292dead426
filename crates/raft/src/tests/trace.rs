//! Messages and entries as short lines.

use crate::{
    AppendOutcome, Body, Configuration, Entry, Message, NodeId, Payload, Position, ReadMode,
};

pub(super) fn position(at: Position) -> String {
    format!("{}.{}", at.index, at.term)
}

/// Index, term, and what it says.
pub(super) fn entry(entry: &Entry) -> String {
    let text = match &entry.payload {
        Payload::Noop => "-".to_owned(),
        Payload::Command(command) => String::from_utf8_lossy(command).into_owned(),
        Payload::Configuration(it) => configuration(it),
        Payload::Withheld => "~".to_owned(),
    };
    format!("{}:{text}", position(entry.position()))
}

pub(super) fn entries(entries: &[Entry]) -> String {
    format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
}

pub(super) fn configuration(it: &Configuration) -> String {
    let mark = |id: NodeId| if it.is_witness(id) { "w" } else { "" };
    let name = |id: &NodeId| format!("{id}{}", mark(*id));
    let list = |ids: &[NodeId]| ids.iter().map(name).collect::<Vec<_>>().join(",");
    let outgoing =
        if it.is_joint() { format!("&{{{}}}", list(&it.outgoing)) } else { String::new() };
    let learners =
        if it.learners.is_empty() { String::new() } else { format!("+{{{}}}", list(&it.learners)) };
    format!("{{{}}}{outgoing}{learners}", list(&it.voters))
}

pub(super) fn message(message: &Message) -> String {
    let Message { from, to, term, .. } = message;
    format!("{from} -> {to} t{term} {}", body(&message.body))
}

fn body(body: &Body) -> String {
    match body {
        Body::RequestPreVote { last } => format!("RequestPreVote last {}", position(*last)),
        Body::RequestVote { last, transfer } => {
            let why = if *transfer { " for a transfer" } else { "" };
            format!("RequestVote last {}{why}", position(*last))
        }
        Body::VoteResponse { pre, granted } => {
            let name = if *pre { "PreVote" } else { "Vote" };
            format!("{name} {}", if *granted { "granted" } else { "refused" })
        }
        Body::AppendEntries { prev, entries: it, commit, round, .. } => {
            let what = if it.is_empty() { String::new() } else { format!(" {}", entries(it)) };
            format!("AppendEntries prev {} commit {commit} round {round}{what}", position(*prev))
        }
        Body::AppendResponse { outcome, round, .. } => match outcome {
            AppendOutcome::Accepted { matched } => format!("accepts {matched}, round {round}"),
            AppendOutcome::Rejected { prev, hint } => {
                format!("rejects {prev}, try {}, round {round}", position(*hint))
            }
        },
        Body::InstallSnapshot { meta, offset, data, .. } => {
            let (last, end) = (position(meta.last), offset + data.len() as u64);
            format!("InstallSnapshot {last} bytes {offset}..{end} of {}", meta.len)
        }
        Body::SnapshotResponse { last, offset, .. } => {
            format!("has {offset} bytes of snapshot {last}")
        }
        Body::TimeoutNow => "TimeoutNow".to_owned(),
        Body::ReadIndex { id, mode: ReadMode::Quorum } => format!("ReadIndex #{}", id.sequence),
        Body::ReadIndex { id, mode: ReadMode::Lease } => {
            format!("ReadIndex #{} by a lease", id.sequence)
        }
        Body::ReadIndexResponse { id, index } => {
            format!("ReadIndexResponse #{} index {index}", id.sequence)
        }
    }
}
