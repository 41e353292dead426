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
use thiserror::Error;

use crate::Address;

/// Longest command that changes a key. One that loads a block with a single entry is longer by as
/// much as [`COMMAND_ROOM`] at most, so that whatever is stored can be restored.
pub(crate) const COMMAND_MAX: usize = 1 << 20;

/// What the log takes beyond that, sessions included.
pub(crate) const COMMAND_ROOM: usize = 64;

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
    /// Begins to restore a backup. The answer is the restore's number.
    Begin {
        /// Whether all that there is goes; otherwise there must be nothing.
        replace: bool,
    },
    /// Sets what a block of a backup has. The answer is nothing.
    Load {
        /// Number of the restore.
        restore: u64,
        /// Of a [`Block`](crate::backup::Block).
        entries: Bytes,
    },
    /// Ends a restore: from now on there are reads and other writes. The answer is nothing.
    End {
        /// Its number.
        restore: u64,
    },
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value that the key had before; `None` where it had none.
    Former(Option<Bytes>),
    /// A restore of this number is under way.
    Begun(u64),
    /// Nothing was changed.
    Refused(Refused),
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// A restore into what has something.
    #[error("there are keys already: restore into an empty cluster, or with --replace")]
    NotEmpty,
    /// A write while a backup is restored.
    #[error("a backup is being restored: wait until it is there, or restore again with --replace")]
    Restoring,
    /// A part of a restore that is not under way.
    #[error("this restore is not under way: it has ended, or another one has begun since")]
    NotUnderWay,
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const SWAP: u8 = 3;
const ANNOUNCE: u8 = 4;
const BEGIN: u8 = 5;
const LOAD: u8 = 6;
const END: u8 = 7;

// Answers; a former value begins with 0 or 1, as any optional field.
const BEGUN: u8 = 2;
const REFUSED: u8 = 3;

/// The reasons by their numbers in an answer.
const REASONS: [Refused; 3] = [Refused::NotEmpty, Refused::Restoring, Refused::NotUnderWay];

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

fn take_bool(from: &mut Bytes) -> Option<bool> {
    match from.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
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
            Self::Begin { replace } => bytes.extend_from_slice(&[BEGIN, u8::from(*replace)]),
            Self::Load { restore, entries } => {
                bytes.push(LOAD);
                bytes.extend_from_slice(&restore.to_le_bytes());
                put(&mut bytes, entries);
            }
            Self::End { restore } => {
                bytes.push(END);
                bytes.extend_from_slice(&restore.to_le_bytes());
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
            BEGIN => Self::Begin { replace: take_bool(from)? },
            LOAD => Self::Load { restore: from.try_get_u64_le().ok()?, entries: take(from)? },
            END => Self::End { restore: from.try_get_u64_le().ok()? },
            _ => return None,
        };
        bytes.is_empty().then_some(command)
    }
}

impl Answer {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Former(value) => put_optional(&mut bytes, value.as_deref()),
            Self::Begun(restore) => {
                bytes.push(BEGUN);
                bytes.extend_from_slice(&restore.to_le_bytes());
            }
            Self::Refused(why) => {
                let number = REASONS.iter().position(|it| it == why).expect("all are in the list");
                bytes.extend_from_slice(&[REFUSED, u8::try_from(number).expect("they are few")]);
            }
        }
        bytes.into()
    }

    /// From bytes; `None` where they are no answer.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let from = &mut bytes;
        let answer = match *from.first()? {
            BEGUN => {
                from.advance(1);
                Self::Begun(from.try_get_u64_le().ok()?)
            }
            REFUSED => {
                from.advance(1);
                Self::Refused(*REASONS.get(usize::from(from.try_get_u8().ok()?))?)
            }
            _ => Self::Former(take_optional(from).ok()?),
        };
        bytes.is_empty().then_some(answer)
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
            Command::Begin { replace: true },
            Command::Load { restore: 7, entries: "entries".into() },
            Command::End { restore: 7 },
        ];
        for command in commands {
            let bytes = command.encode();
            for len in 0..bytes.len() {
                assert_eq!(Command::decode(bytes.slice(..len)), None, "{command:?}, cut at {len}");
            }
            assert_eq!(Command::decode([&bytes[..], &[0]].concat().into()), None);
            assert_eq!(Command::decode(bytes), Some(command));
        }
        let values = [None, Some(Bytes::new()), Some("x".into())].map(Answer::Former);
        let others = REASONS.map(Answer::Refused);
        for answer in values.into_iter().chain(others).chain([Answer::Begun(7)]) {
            let bytes = answer.encode();
            assert_eq!(Answer::decode(bytes.slice(..bytes.len() - 1)), None, "{answer:?}, cut");
            assert_eq!(Answer::decode([&bytes[..], &[0]].concat().into()), None, "{answer:?}");
            assert_eq!(Answer::decode(bytes), Some(answer));
        }
        assert_eq!(Answer::decode(Bytes::from_static(&[REFUSED, 9])), None);
    }
}
