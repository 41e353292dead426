//! A run as lines of JSON, one an event, for programs that check traces.
//!
//! `NDJSON=run.ndjson SEED=7 cargo test -p raft@0.0.0 a_run_is_exported` writes the run of a seed.
//!
//! ```text
//!   {"at":5000000,"event":"state","server":1,"life":1001,"role":"Candidate","term":1, ...}
//!   {"at":5000000,"event":"send","from":1,"to":2,"term":1,"kind":"RequestVote", ...}
//!   {"at":9000000,"event":"apply","server":1,"index":1,"term":1,"payload":"Noop"}
//! ```
//!
//! `at` is virtual time in nanoseconds. A state is written where it has changed.
//!
//! # What this module does not do
//!
//! It exports what servers do, not what the world does to them; the trace of the world has that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

use env::clock::Timestamp;

use crate::{AppendOutcome, Body, Entry, Message, NodeId, Payload, Status};

/// Where lines go, if anywhere.
#[derive(Default)]
pub(super) struct Export {
    lines: Option<RefCell<String>>,
    seen: RefCell<BTreeMap<NodeId, (u64, Status)>>,
}

impl Export {
    /// One that keeps lines.
    #[cfg(test)]
    pub(super) fn on() -> Self {
        Self { lines: Some(RefCell::default()), ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        self.lines.as_ref().map(|lines| lines.borrow().clone()).unwrap_or_default()
    }

    fn line(&self, at: Timestamp, event: &str, rest: &str) {
        if let Some(lines) = &self.lines {
            let at = at.as_nanos();
            writeln!(lines.borrow_mut(), "{{\"at\":{at},\"event\":\"{event}\",{rest}}}")
                .expect("a string takes everything");
        }
    }

    pub(super) fn sent(&self, at: Timestamp, messages: &[Message]) {
        if self.lines.is_none() {
            return;
        }
        for Message { from, to, incarnation, term, body } in messages {
            let (kind, more) = of_body(body);
            let rest = format!(
                "\"from\":{from},\"to\":{to},\"incarnation\":{incarnation},\"term\":{term},\
                 \"kind\":\"{kind}\"{more}"
            );
            self.line(at, "send", &rest);
        }
    }

    pub(super) fn applied(&self, at: Timestamp, id: NodeId, entry: &Entry) {
        if self.lines.is_none() {
            return;
        }
        let (index, term, payload) = (entry.index, entry.term, of_payload(&entry.payload));
        let rest =
            format!("\"server\":{id},\"index\":{index},\"term\":{term},\"payload\":\"{payload}\"");
        self.line(at, "apply", &rest);
    }

    pub(super) fn state(&self, at: Timestamp, life: u64, now: &Status) {
        let seen = (life, now.clone());
        if self.lines.is_none() || self.seen.borrow().get(&now.id) == Some(&seen) {
            return;
        }
        let vote = now.vote.map_or("null".to_owned(), |id| id.to_string());
        let rest = format!(
            "\"server\":{},\"life\":{life},\"role\":\"{:?}\",\"term\":{},\"vote\":{vote},\
             \"last\":{},\"last_term\":{},\"stable\":{},\"commit\":{},\"applied\":{}",
            now.id,
            now.role,
            now.term,
            now.last.index,
            now.last.term,
            now.stable,
            now.commit,
            now.applied
        );
        self.line(at, "state", &rest);
        self.seen.borrow_mut().insert(now.id, seen);
    }
}

const fn of_payload(payload: &Payload) -> &'static str {
    match payload {
        Payload::Noop => "Noop",
        Payload::Command(_) => "Command",
        Payload::Configuration(_) => "Configuration",
        Payload::Withheld => "Withheld",
    }
}

fn of_body(body: &Body) -> (&'static str, String) {
    match body {
        Body::RequestPreVote { last } => {
            let (index, term) = (last.index, last.term);
            ("RequestPreVote", format!(",\"last\":{index},\"last_term\":{term}"))
        }
        Body::RequestVote { last, transfer } => {
            let (index, term) = (last.index, last.term);
            let text = format!(",\"last\":{index},\"last_term\":{term},\"transfer\":{transfer}");
            ("RequestVote", text)
        }
        Body::VoteResponse { pre, granted } => {
            ("VoteResponse", format!(",\"pre\":{pre},\"granted\":{granted}"))
        }
        Body::AppendEntries { prev, entries, commit, round, session } => {
            let (index, term, count) = (prev.index, prev.term, entries.len());
            let text = format!(
                ",\"prev\":{index},\"prev_term\":{term},\"entries\":{count},\"commit\":{commit},\
                 \"round\":{round},\"session\":{session}"
            );
            ("AppendEntries", text)
        }
        Body::AppendResponse { round, session, outcome } => {
            let outcome = match outcome {
                AppendOutcome::Accepted { matched } => format!("\"matched\":{matched}"),
                AppendOutcome::Rejected { prev, hint } => {
                    format!("\"rejected\":{prev},\"hint\":{}", hint.index)
                }
            };
            let text = format!(",\"round\":{round},\"session\":{session},{outcome}");
            ("AppendResponse", text)
        }
        Body::InstallSnapshot { meta, offset, data, .. } => {
            let (last, len) = (meta.last.index, data.len());
            let text = format!(",\"snapshot\":{last},\"offset\":{offset},\"bytes\":{len}");
            ("InstallSnapshot", text)
        }
        Body::SnapshotResponse { last, offset, .. } => {
            ("SnapshotResponse", format!(",\"snapshot\":{last},\"offset\":{offset}"))
        }
        Body::TimeoutNow => ("TimeoutNow", String::new()),
        Body::ReadIndex { id, .. } => ("ReadIndex", format!(",\"sequence\":{}", id.sequence)),
        Body::ReadIndexResponse { id, index } => {
            ("ReadIndexResponse", format!(",\"sequence\":{},\"index\":{index}", id.sequence))
        }
    }
}
