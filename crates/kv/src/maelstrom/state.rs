//! The replicated state: JSON values by JSON keys.
//!
//! # What this module does not do
//!
//! It answers nobody: it says what came of a command, and whose it was.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::protocol::{Code, Request};

/// Names a command: which server was asked, in which life of its process, for the how-many-th time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) struct CommandId {
    pub(super) server: u64,
    pub(super) boot: u64,
    pub(super) sequence: u64,
}

/// What is in the log.
#[derive(Debug, Deserialize, Serialize)]
struct Command {
    id: CommandId,
    key: Value,
    /// `None` for a plain write.
    from: Option<Value>,
    to: Value,
    create: bool,
}

/// What came of a command, or of a read.
pub(super) type Outcome = Result<Value, (Code, String)>;

#[derive(Debug, Default, PartialEq)]
pub(super) struct State(BTreeMap<String, Value>);

/// The command of a request that writes; a read is none.
pub(super) fn command(id: CommandId, request: Request) -> Option<Bytes> {
    let command = match request {
        Request::Read { .. } => return None,
        Request::Write { key, value } => Command { id, key, from: None, to: value, create: true },
        Request::Cas { key, from, to, create } => Command { id, key, from: Some(from), to, create },
    };
    serde_json::to_vec(&command).ok().map(Bytes::from)
}

impl State {
    /// Applies a command; `None` where the bytes are none.
    pub(super) fn apply(&mut self, bytes: &[u8]) -> Option<(CommandId, Outcome)> {
        let Command { id, key, from, to, create } = serde_json::from_slice(bytes).ok()?;
        let name = key.to_string();
        let outcome = match (from, self.0.get(&name)) {
            (None, _) => {
                self.0.insert(name, to);
                Ok(json!({ "type": "write_ok" }))
            }
            (Some(_), None) if !create => Err(missing(&name)),
            (Some(from), Some(found)) if *found != from => {
                Err((Code::PreconditionFailed, format!("expected {from}, found {found}")))
            }
            (Some(_), _) => {
                self.0.insert(name, to);
                Ok(json!({ "type": "cas_ok" }))
            }
        };
        Some((id, outcome))
    }

    pub(super) fn read(&self, key: &Value) -> Outcome {
        let name = key.to_string();
        let found = self.0.get(&name).ok_or_else(|| missing(&name))?;
        Ok(json!({ "type": "read_ok", "value": found }))
    }

    pub(super) fn encode(&self) -> Bytes {
        serde_json::to_vec(&self.0).expect("keys are text").into()
    }

    /// `None` where the bytes are no state. None at all are an empty one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        serde_json::from_slice(bytes).ok().map(Self)
    }
}

fn missing(name: &str) -> (Code, String) {
    (Code::KeyDoesNotExist, format!("there is no key {name}"))
}
