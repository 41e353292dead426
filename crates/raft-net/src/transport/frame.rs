//! The bytes on a connection; `docs/raft/format.md` draws them.
//!
//! A connection goes one way: who opens it greets, is answered, and sends frames from then on. A
//! frame has its length, a checksum and messages. Nothing that is read is believed before it is
//! checked, and no length makes anybody ask for memory: a frame grows as its bytes arrive, up to a
//! limit that was set here.
//!
//! # What this module does not do
//!
//! It opens no connection and sets no deadline; `tcp` does.

use bytes::{Buf, Bytes};
use raft::codec::{self, DecodeError};
use raft::{GroupId, NodeId};
use thiserror::Error;

use super::{Envelope, Packet};
use crate::pulse::Pulse;

const MAGIC: [u8; 8] = *b"STRATARF";
/// The version that this crate speaks.
pub(crate) const VERSION: u32 = 3;
/// Magic, version, cluster, from, to, checksum.
pub(crate) const GREETING: usize = 40;
/// Magic, version, verdict.
pub(crate) const ANSWER: usize = 16;
/// Length and checksum.
pub(crate) const HEAD: usize = 8;
/// What stands before each item of a frame: its kind, a group, and its length.
const PREFIX: usize = 13;
const MESSAGE: u8 = 1;
const PULSE: u8 = 2;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is not one of ours.
    #[error("the other end does not speak this protocol: look at the address")]
    Stranger,
    /// It is, and newer or older.
    #[error("the other end speaks version {version}, this one {}: use the same program", VERSION)]
    Version {
        /// What it speaks.
        version: u32,
    },
    /// It belongs elsewhere.
    #[error("the other end is of another cluster: look at the address and the cluster's number")]
    Cluster,
    /// It is looking for somebody else, or is somebody else.
    #[error("the other end is, or wants, another server: look at the address")]
    Name,
    /// Damaged on its way.
    #[error("a frame does not have its checksum: it was damaged on its way")]
    Checksum,
    /// Longer than this end takes.
    #[error("a frame of {len} bytes is announced, and {max} is the limit here")]
    TooLong {
        /// Its length.
        len: usize,
        /// `TcpOptions::frame_bytes_max`.
        max: usize,
    },
    /// No message.
    #[error("a message cannot be read: {0}")]
    Message(#[from] DecodeError),
    /// A message in another's name, or for another.
    #[error("a message is not from the server that sent it, or not for this one")]
    Forged,
}

/// Who opens a connection, to whom, in which cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) cluster: u64,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
}

impl Greeting {
    pub(crate) fn encode(self) -> [u8; GREETING] {
        let mut bytes = [0; GREETING];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.from.0.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.to.0.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, FrameError> {
        let sum = bytes.get(..36).map(crc32c::crc32c).ok_or(FrameError::Stranger)?;
        if bytes[..8] != MAGIC {
            return Err(FrameError::Stranger);
        }
        bytes.advance(8);
        // The version first: a later one may go on differently.
        let version = bytes.get_u32_le();
        if version != VERSION {
            return Err(FrameError::Version { version });
        }
        let (cluster, from, to) = (bytes.get_u64_le(), bytes.get_u64_le(), bytes.get_u64_le());
        if bytes.try_get_u32_le() != Ok(sum) {
            return Err(FrameError::Checksum);
        }
        Ok(Self { cluster, from: NodeId(from), to: NodeId(to) })
    }
}

/// The answer to a greeting.
pub(crate) fn encode_answer(verdict: Result<(), FrameError>) -> [u8; ANSWER] {
    let verdict: u32 = match verdict {
        Ok(()) => 0,
        Err(FrameError::Version { .. }) => 1,
        Err(FrameError::Cluster) => 2,
        Err(FrameError::Name) => 3,
        Err(_) => 4,
    };
    let mut bytes = [0; ANSWER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..].copy_from_slice(&verdict.to_le_bytes());
    bytes
}

pub(crate) fn decode_answer(mut bytes: &[u8]) -> Result<(), FrameError> {
    if bytes.len() < ANSWER || bytes[..8] != MAGIC {
        return Err(FrameError::Stranger);
    }
    bytes.advance(8);
    let (version, verdict) = (bytes.get_u32_le(), bytes.get_u32_le());
    match verdict {
        0 => Ok(()),
        1 => Err(FrameError::Version { version }),
        2 => Err(FrameError::Cluster),
        3 => Err(FrameError::Name),
        _ => Err(FrameError::Stranger),
    }
}

/// Makes frames of a packet, none longer than `max` with its head. An item that does not fit is
/// left out; how many were is returned too.
pub(crate) fn encode(packet: &Packet, max: usize) -> (Vec<Bytes>, usize) {
    let mut frames = Frames { done: Vec::new(), last: vec![0; HEAD], max, dropped: 0 };
    let mut item = Vec::new();
    if let Some(pulse) = &packet.pulse {
        pulse.encode(&mut item);
        frames.put(PULSE, GroupId(0), &item);
    }
    for envelope in &packet.envelopes {
        item.clear();
        codec::encode(&envelope.message, &mut item);
        frames.put(MESSAGE, envelope.group, &item);
    }
    let Frames { mut done, last, dropped, .. } = frames;
    if last.len() > HEAD {
        done.push(finish(last));
    }
    (done, dropped)
}

/// Frames in the making.
struct Frames {
    done: Vec<Bytes>,
    last: Vec<u8>,
    max: usize,
    dropped: usize,
}

impl Frames {
    fn put(&mut self, kind: u8, group: GroupId, item: &[u8]) {
        if HEAD + PREFIX + item.len() > self.max {
            self.dropped += 1;
            return;
        }
        if self.last.len() + PREFIX + item.len() > self.max {
            self.done.push(finish(std::mem::replace(&mut self.last, vec![0; HEAD])));
        }
        let len = u32::try_from(item.len()).expect("it fits into a frame");
        self.last.push(kind);
        self.last.extend_from_slice(&group.0.to_le_bytes());
        self.last.extend_from_slice(&len.to_le_bytes());
        self.last.extend_from_slice(item);
    }
}

/// A frame without messages, which says that its sender is there.
pub(crate) fn empty() -> Bytes {
    finish(vec![0; HEAD])
}

fn finish(mut frame: Vec<u8>) -> Bytes {
    let len = u32::try_from(frame.len() - HEAD).expect("frames are short");
    frame[..4].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(len, &frame[HEAD..]);
    frame[4..HEAD].copy_from_slice(&sum.to_le_bytes());
    frame.into()
}

fn checksum(len: u32, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), payload)
}

/// The length and the checksum that the head of a frame announces.
pub(crate) fn decode_head(head: [u8; HEAD], max: usize) -> Result<(u32, u32), FrameError> {
    let mut head = &head[..];
    let (len, sum) = (head.get_u32_le(), head.get_u32_le());
    if len as usize > max.saturating_sub(HEAD) {
        return Err(FrameError::TooLong { len: len as usize, max });
    }
    Ok((len, sum))
}

/// What is in a frame from `from` to `to`.
pub(crate) fn decode(
    (len, sum): (u32, u32),
    mut payload: Bytes,
    (from, to): (NodeId, NodeId),
) -> Result<Packet, FrameError> {
    if payload.len() != len as usize || checksum(len, &payload) != sum {
        return Err(FrameError::Checksum);
    }
    let mut packet = Packet::default();
    while !payload.is_empty() {
        if payload.len() < PREFIX {
            return Err(DecodeError::Short.into());
        }
        let (kind, group) = (payload.get_u8(), GroupId(payload.get_u64_le()));
        let len = payload.get_u32_le() as usize;
        if len > payload.len() {
            return Err(DecodeError::Short.into());
        }
        let item = payload.split_to(len);
        match kind {
            PULSE => packet.pulse = Some(Pulse::decode(item)?),
            MESSAGE => {
                let message = codec::decode(item)?;
                if (message.from, message.to) != (from, to) {
                    return Err(FrameError::Forged);
                }
                packet.envelopes.push(Envelope { group, message });
            }
            _ => return Err(DecodeError::Kind { what: "an item of a frame", kind }.into()),
        }
    }
    Ok(packet)
}

#[cfg(test)]
mod tests;
