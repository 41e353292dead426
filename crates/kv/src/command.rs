//! What is replicated, and what comes of it, as bytes.
//!
//! ```text
//!   command   kind u8 | field | field ...      field   length u32 | bytes
//!   optional field    0u8, or 1u8 and a field
//! ```
//!
//! # What this module does not do
//!
//! It has no version: a kind that is not known ends the server, which must be of the version of
//! the others.

use bytes::{Buf, Bytes};
use raft::NodeId;

use crate::Address;

/// A change of the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets a value. The answer is the former one.
    Put {
        /// Of which key.
        key: Bytes,
        /// To what.
        value: Bytes,
    },
    /// Takes a key away. The answer is its value.
    Delete {
        /// Which.
        key: Bytes,
    },
    /// Sets a value, or takes the key away, where it has a given value, or none. The answer is the
    /// value that was found; the change happened where it is the expected one.
    Swap {
        /// Of which key.
        key: Bytes,
        /// What it must have.
        expected: Option<Bytes>,
        /// What it gets.
        value: Option<Bytes>,
    },
    /// Says where a server is. The answer is nothing.
    Announce {
        /// Which server.
        id: NodeId,
        /// `None` where it is gone.
        address: Option<Address>,
    },
}

/// The value that a key had before a command; `None` where it had none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub Option<Bytes>);

const PUT: u8 = 1;
const DELETE: u8 = 2;
const SWAP: u8 = 3;
const ANNOUNCE: u8 = 4;

fn put(into: &mut Vec<u8>, field: &[u8]) {
    let len = u32::try_from(field.len()).expect("requests are limited to less");
    into.extend_from_slice(&len.to_le_bytes());
    into.extend_from_slice(field);
}

fn put_optional(into: &mut Vec<u8>, field: Option<&[u8]>) {
    into.push(u8::from(field.is_some()));
    if let Some(field) = field {
        put(into, field);
    }
}

fn take(from: &mut Bytes) -> Option<Bytes> {
    let len = from.try_get_u32_le().ok()? as usize;
    (len <= from.len()).then(|| from.split_to(len))
}

/// The field that may be there, or an error where neither can be read.
fn take_optional(from: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
    match from.try_get_u8() {
        Ok(0) => Ok(None),
        Ok(1) => take(from).map(Some).ok_or(Malformed),
        _ => Err(Malformed),
    }
}

/// Bytes are not what they should be.
struct Malformed;

impl Command {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Put { key, value } => {
                bytes.push(PUT);
                put(&mut bytes, key);
                put(&mut bytes, value);
            }
            Self::Delete { key } => {
                bytes.push(DELETE);
                put(&mut bytes, key);
            }
            Self::Swap { key, expected, value } => {
                bytes.push(SWAP);
                put(&mut bytes, key);
                put_optional(&mut bytes, expected.as_deref());
                put_optional(&mut bytes, value.as_deref());
            }
            Self::Announce { id, address } => {
                bytes.push(ANNOUNCE);
                put(&mut bytes, &id.0.to_le_bytes());
                let address = address.as_ref().map(Address::to_string);
                put_optional(&mut bytes, address.as_deref().map(str::as_bytes));
            }
        }
        bytes.into()
    }

    /// From bytes; `None` where they are no command.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let from = &mut bytes;
        let command = match from.try_get_u8().ok()? {
            PUT => Self::Put { key: take(from)?, value: take(from)? },
            DELETE => Self::Delete { key: take(from)? },
            SWAP => Self::Swap {
                key: take(from)?,
                expected: take_optional(from).ok()?,
                value: take_optional(from).ok()?,
            },
            ANNOUNCE => {
                let id = NodeId(take(from)?.try_get_u64_le().ok()?);
                let address = match take_optional(from).ok()? {
                    None => None,
                    Some(text) => Some(std::str::from_utf8(&text).ok()?.parse().ok()?),
                };
                Self::Announce { id, address }
            }
            _ => return None,
        };
        bytes.is_empty().then_some(command)
    }
}

impl Answer {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        put_optional(&mut bytes, self.0.as_deref());
        bytes.into()
    }

    /// From bytes; `None` where they are no answer.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let answer = take_optional(&mut bytes).ok()?;
        bytes.is_empty().then_some(Self(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_they_were_written() {
        let (key, value) = (Bytes::from("key"), Bytes::from("value"));
        let address = "host:1:2".parse().ok();
        let commands = [
            Command::Put { key: key.clone(), value: value.clone() },
            Command::Delete { key: key.clone() },
            Command::Swap { key: key.clone(), expected: None, value: Some(value.clone()) },
            Command::Swap { key, expected: Some(value), value: None },
            Command::Announce { id: NodeId(9), address },
            Command::Announce { id: NodeId(9), address: None },
        ];
        for command in commands {
            let bytes = command.encode();
            for len in 0..bytes.len() {
                assert_eq!(Command::decode(bytes.slice(..len)), None, "{command:?}, cut at {len}");
            }
            assert_eq!(Command::decode([&bytes[..], &[0]].concat().into()), None);
            assert_eq!(Command::decode(bytes), Some(command));
        }
        for answer in [Answer(None), Answer(Some(Bytes::new())), Answer(Some("x".into()))] {
            assert_eq!(Answer::decode(answer.encode()), Some(answer));
        }
    }
}
