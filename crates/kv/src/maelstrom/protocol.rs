//! Lines of the protocol: what is read, what is answered, and the codes of errors.
//!
//! # What this module does not do
//!
//! It knows no state. Whatever it is given it reads or refuses; it never panics.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A line that was read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) src: String,
    #[serde(default)]
    pub(super) dest: String,
    /// Empty where the line is none of the protocol's.
    #[serde(default)]
    pub(super) body: Map<String, Value>,
}

/// Why a request comes to nothing. A definite error says that nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Indefinite.
    Timeout = 0,
    /// Definite, as are all others here.
    NotSupported = 10,
    TemporarilyUnavailable = 11,
    MalformedRequest = 12,
    KeyDoesNotExist = 20,
    PreconditionFailed = 22,
}

/// The names of all servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) name: String,
    /// Sorted, so that all servers number each other alike.
    pub(super) names: Vec<String>,
    asked_by: String,
    msg_id: Option<u64>,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Read { key: Value },
    Write { key: Value, value: Value },
    Cas { key: Value, from: Value, to: Value, create: bool },
}

impl Line {
    /// Reads a line; what is none is one without a body.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.body.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Bytes that another server has put into the line.
    pub(super) fn data(&self) -> Option<Vec<u8>> {
        unhex(self.body.get("data")?.as_str()?)
    }

    fn msg_id(&self) -> Option<u64> {
        self.body.get("msg_id").and_then(Value::as_u64)
    }

    /// The names, where this line says them and this server is among them.
    pub(super) fn init(&self) -> Option<Init> {
        if self.kind() != "init" {
            return None;
        }
        let name = self.body.get("node_id")?.as_str()?.to_owned();
        let all = self.body.get("node_ids")?.as_array()?;
        let mut names: Vec<_> = all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names.binary_search(&name).ok()?;
        Some(Init { name, names, asked_by: self.src.clone(), msg_id: self.msg_id() })
    }

    /// What is asked, or why it is nothing.
    pub(super) fn request(&self) -> Result<Request, Code> {
        let field = |name: &str| self.body.get(name).cloned().ok_or(Code::MalformedRequest);
        match self.kind() {
            "read" => Ok(Request::Read { key: field("key")? }),
            "write" => Ok(Request::Write { key: field("key")?, value: field("value")? }),
            "cas" => {
                let create = self.body.get("create_if_not_exists");
                let create = create.and_then(Value::as_bool).unwrap_or_default();
                Ok(Request::Cas {
                    key: field("key")?,
                    from: field("from")?,
                    to: field("to")?,
                    create,
                })
            }
            "" => Err(Code::MalformedRequest),
            _ => Err(Code::NotSupported),
        }
    }

    /// To whom an answer goes.
    pub(super) fn asked(&self) -> Asked {
        Asked { by: self.src.clone(), of: self.dest.clone(), msg_id: self.msg_id() }
    }

    /// Says to whoever sent the line that nothing came of it.
    pub(super) fn refusal(&self, code: Code, text: &str) -> Vec<u8> {
        self.asked().error(code, text)
    }
}

/// Who waits for an answer, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    by: String,
    of: String,
    msg_id: Option<u64>,
}

impl Asked {
    /// An answer.
    pub(super) fn answer(&self, mut body: Value) -> Vec<u8> {
        if let Some(id) = self.msg_id {
            body["in_reply_to"] = id.into();
        }
        line(&self.of, &self.by, &body)
    }

    pub(super) fn error(&self, code: Code, text: &str) -> Vec<u8> {
        self.answer(json!({ "type": "error", "code": code as u32, "text": text }))
    }
}

impl Init {
    pub(super) fn answer(&self) -> Vec<u8> {
        let asked = Asked { by: self.asked_by.clone(), of: self.name.clone(), msg_id: self.msg_id };
        asked.answer(json!({ "type": "init_ok" }))
    }
}

/// A line from one server to another that carries bytes.
pub(super) fn carry(from: &str, to: &str, kind: &str, data: &[u8]) -> Vec<u8> {
    line(from, to, &json!({ "type": kind, "data": hex(data) }))
}

fn line(src: &str, dest: &str, body: &Value) -> Vec<u8> {
    let mut text = json!({ "src": src, "dest": dest, "body": body }).to_string();
    text.push('\n');
    text.into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |it: u8| char::from_digit(u32::from(it), 16).expect("it is below 16");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
