//! The records of a log: the state of a group, a write to it, copies of its entries.
//!
//! # What this module does not do
//!
//! It adds no checksum and no version: the write-ahead log has both.

use bytes::Bytes;

use super::{DiskError, GroupId, Result};
use crate::codec::{self, DecodeError, Decoder};
use crate::entries::Entries;
use crate::types::{
    Entry, HardState, Incarnation, Index, NodeId, Payload, Position, SnapshotMeta, Term,
};

const STATE: u8 = 1;
const WRITE: u8 = 2;
const COPY: u8 = 3;

/// Most bytes of a copy before its entries: kind, group, first index, count.
pub(super) const COPY_HEAD: usize = 31;

/// Most bytes of the list's length that stands before entries.
const COUNT: usize = 10;

/// All of a group but its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) incarnation: Incarnation,
    pub(super) hard_state: HardState,
    pub(super) meta: SnapshotMeta,
    /// The file of the snapshot; 0 where it is empty.
    pub(super) file: u64,
    /// The entry before the first one that is kept; it may lie before the end of the snapshot.
    pub(super) base: Position,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The group is this, and has of its entries those behind `base`.
    State(State),
    /// What the core wrote, or a part of that.
    Write {
        hard_state: HardState,
        /// Replaces the whole log; and the file that it is in.
        snapshot: Option<(SnapshotMeta, u64)>,
        /// Replace all from the first of them on.
        entries: Entries,
    },
    /// Entries that belong to the group already, for who reads the log from here on.
    Copy { entries: Entries },
}

impl Record {
    pub(super) fn encode(&self, group: GroupId) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::State(state) => {
                bytes.push(STATE);
                codec::put_numbers(&mut bytes, [group.0, state.incarnation.0]);
                put_hard_state(&mut bytes, state.hard_state);
                codec::put_meta(&mut bytes, &state.meta);
                codec::put_number(&mut bytes, state.file);
                codec::put_position(&mut bytes, state.base);
            }
            Self::Write { hard_state, snapshot, entries } => {
                bytes.push(WRITE);
                codec::put_number(&mut bytes, group.0);
                put_hard_state(&mut bytes, *hard_state);
                bytes.push(u8::from(snapshot.is_some()));
                if let Some((meta, file)) = snapshot {
                    codec::put_meta(&mut bytes, meta);
                    codec::put_number(&mut bytes, *file);
                }
                put_entries(&mut bytes, entries);
            }
            Self::Copy { entries } => {
                bytes.push(COPY);
                codec::put_number(&mut bytes, group.0);
                put_entries(&mut bytes, entries);
            }
        }
        bytes
    }

    pub(super) fn decode(bytes: Bytes) -> std::result::Result<(GroupId, Self), DecodeError> {
        let mut from = Decoder(bytes);
        let kind = from.byte()?;
        let group = GroupId(from.any()?);
        let record = match kind {
            STATE => Self::State(State {
                incarnation: Incarnation(from.any()?),
                hard_state: hard_state(&mut from)?,
                meta: from.meta()?,
                file: from.number()?,
                base: from.position()?,
            }),
            WRITE => Self::Write {
                hard_state: hard_state(&mut from)?,
                snapshot: match from.byte()? {
                    0 => None,
                    1 => Some((from.meta()?, from.number()?)),
                    kind => return Err(DecodeError::Kind { what: "a snapshot", kind }),
                },
                entries: entries(&mut from)?,
            },
            COPY => Self::Copy { entries: entries(&mut from)? },
            kind => return Err(DecodeError::Kind { what: "a record", kind }),
        };
        from.end()?;
        Ok((group, record))
    }
}

fn put_hard_state(into: &mut Vec<u8>, it: HardState) {
    codec::put_number(into, it.term.0);
    into.push(u8::from(it.vote.is_some()));
    if let Some(vote) = it.vote {
        codec::put_number(into, vote.0);
    }
    codec::put_number(into, it.commit.0);
}

fn hard_state(from: &mut Decoder) -> std::result::Result<HardState, DecodeError> {
    let term = Term(from.number()?);
    let vote = match from.byte()? {
        0 => None,
        1 => Some(NodeId(from.any()?)),
        kind => return Err(DecodeError::Kind { what: "a vote", kind }),
    };
    Ok(HardState { term, vote, commit: from.index()? })
}

fn put_entries(into: &mut Vec<u8>, entries: &Entries) {
    let first = entries.first().map_or(Index::ZERO, |entry| entry.index);
    codec::put_number(into, first.0);
    codec::put_entries(into, first, entries);
}

fn entries(from: &mut Decoder) -> std::result::Result<Entries, DecodeError> {
    let first = from.index()?;
    from.entries(first)
}

/// Most bytes that an entry takes in a record.
fn room(entry: &Entry) -> usize {
    const TERM_KIND_LENGTH: usize = 21;
    // Three lists of ids and one of pairs, each id of ten bytes at most.
    const MEMBER: usize = 50;
    const LISTS: usize = 41;
    TERM_KIND_LENGTH
        + match &entry.payload {
            Payload::Noop | Payload::Withheld => 0,
            Payload::Command(command) => command.len(),
            Payload::Configuration(it) => LISTS + MEMBER * it.members.len(),
        }
}

/// How many of `entries` fit into `max` bytes: at least one, where there is any.
pub(super) fn fitting(entries: &Entries, max: usize) -> Result<usize> {
    let mut left = max.saturating_sub(COUNT);
    let fits = |entry: &&Entry| {
        let room = room(entry);
        let fits = room <= left;
        left = left.saturating_sub(room);
        fits
    };
    match entries.iter().take_while(fits).count() {
        0 if !entries.is_empty() => Err(DiskError::TooLarge { len: room(&entries[0]), max }),
        count => Ok(count),
    }
}
