//! Messages and log entries as bytes; `docs/raft/format.md` draws them.
//!
//! Numbers are LEB128: seven bits a byte, the lowest first. Lists begin with their length. Entries
//! stand behind each other, so that only the first one's index is written, as that of `prev`.
//!
//! Reading trusts nothing. A length is believed only as far as there are bytes for it, so that a
//! short message cannot ask for much memory; numbers stay below [`NUMBER_MAX`], so that no sum of
//! theirs overflows; configurations hold their invariants.
//!
//! # What this module does not do
//!
//! It has no checksums and no versions: frames and records have them, and both lie above.

use bytes::{Buf, Bytes};

use crate::config::ReadMode;
use crate::entries::Entries;
use crate::message::{AppendOutcome, Body, Message, ReadId};
use crate::types::{
    Configuration, Entry, Incarnation, Index, NodeId, Payload, Position, SnapshotMeta, Term,
};

/// Numbers from here on are refused where they count terms, entries or bytes.
pub const NUMBER_MAX: u64 = 1 << 62;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the bytes end within a value: the sender or the disk lost some")]
    Short,
    /// They go on.
    #[error("{rest} bytes stand behind the last value: the sender speaks another version")]
    Long {
        /// How many.
        rest: usize,
    },
    /// A number is out of all proportion.
    #[error("a number is larger than any that this program counts to: the bytes are damaged")]
    Number,
    /// Something that this program does not know.
    #[error("{what} has no kind {kind}: the sender speaks another version")]
    Kind {
        /// A value of what.
        what: &'static str,
        /// As it was read.
        kind: u8,
    },
    /// A configuration that cannot be.
    #[error("a configuration contradicts itself: the bytes are damaged")]
    Configuration,
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Appends a message to `into`.
///
/// Panics where entries do not follow each other behind `prev`, which no server's do.
pub fn encode(message: &Message, into: &mut Vec<u8>) {
    into.push(kind_of(&message.body));
    for number in [message.from.0, message.to.0, message.incarnation.0, message.term.0] {
        put_number(into, number);
    }
    put_body(into, &message.body);
}

/// Reads a message. Commands and parts of snapshots share the memory of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Message> {
    let mut from = Decoder(bytes);
    let kind = from.byte()?;
    let message = Message {
        from: NodeId(from.any()?),
        to: NodeId(from.any()?),
        incarnation: Incarnation(from.any()?),
        term: Term(from.number()?),
        body: from.body(kind)?,
    };
    from.end()?;
    Ok(message)
}

const fn kind_of(body: &Body) -> u8 {
    match body {
        Body::RequestPreVote { .. } => 1,
        Body::RequestVote { .. } => 2,
        Body::VoteResponse { .. } => 3,
        Body::AppendEntries { .. } => 4,
        Body::AppendResponse { .. } => 5,
        Body::InstallSnapshot { .. } => 6,
        Body::SnapshotResponse { .. } => 7,
        Body::TimeoutNow => 8,
        Body::ReadIndex { .. } => 9,
        Body::ReadIndexResponse { .. } => 10,
    }
}

fn put_body(into: &mut Vec<u8>, body: &Body) {
    match body {
        Body::RequestPreVote { last } => put_position(into, *last),
        Body::RequestVote { last, transfer } => {
            put_position(into, *last);
            into.push(u8::from(*transfer));
        }
        Body::VoteResponse { pre, granted } => into.extend([u8::from(*pre), u8::from(*granted)]),
        Body::AppendEntries { prev, entries, commit, round, session } => {
            put_position(into, *prev);
            put_numbers(into, [commit.0, *round, *session]);
            put_entries(into, prev.index + 1, entries);
        }
        Body::AppendResponse { round, session, outcome } => {
            put_numbers(into, [*round, *session]);
            put_outcome(into, *outcome);
        }
        Body::InstallSnapshot { meta, offset, data, round, session } => {
            put_numbers(into, [*round, *session]);
            put_meta(into, meta);
            put_number(into, *offset);
            put_bytes(into, data);
        }
        Body::SnapshotResponse { round, session, last, offset } => {
            put_numbers(into, [*round, *session, last.0, *offset]);
        }
        Body::TimeoutNow => {}
        Body::ReadIndex { id, mode } => {
            put_numbers(into, [id.boot, id.sequence]);
            into.push(u8::from(*mode == ReadMode::Lease));
        }
        Body::ReadIndexResponse { id, index } => {
            put_numbers(into, [id.boot, id.sequence, index.0]);
        }
    }
}

fn put_outcome(into: &mut Vec<u8>, outcome: AppendOutcome) {
    match outcome {
        AppendOutcome::Accepted { matched } => {
            into.push(0);
            put_number(into, matched.0);
        }
        AppendOutcome::Rejected { prev, hint } => {
            into.push(1);
            put_number(into, prev.0);
            put_position(into, hint);
        }
    }
}

pub(crate) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    into.push(number.to_le_bytes()[0]);
}

pub(crate) fn put_numbers<const N: usize>(into: &mut Vec<u8>, numbers: [u64; N]) {
    for number in numbers {
        put_number(into, number);
    }
}

pub(crate) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

pub(crate) fn put_position(into: &mut Vec<u8>, at: Position) {
    put_numbers(into, [at.index.0, at.term.0]);
}

/// Writes entries of which the first has index `first`.
pub(crate) fn put_entries(into: &mut Vec<u8>, first: Index, entries: &[Entry]) {
    put_number(into, entries.len() as u64);
    for (entry, index) in entries.iter().zip(first.0..) {
        assert_eq!(entry.index.0, index, "entries follow each other");
        put_number(into, entry.term.0);
        match &entry.payload {
            Payload::Noop => into.push(0),
            Payload::Command(command) => {
                into.push(1);
                put_bytes(into, command);
            }
            Payload::Configuration(it) => {
                into.push(2);
                put_configuration(into, it);
            }
            Payload::Withheld => into.push(3),
        }
    }
}

pub(crate) fn put_configuration(into: &mut Vec<u8>, it: &Configuration) {
    for list in [&it.voters, &it.outgoing, &it.learners] {
        put_number(into, list.len() as u64);
        for id in list {
            put_number(into, id.0);
        }
    }
    put_number(into, it.members.len() as u64);
    it.members.iter().for_each(|(id, disk)| put_numbers(into, [id.0, disk.0]));
    into.push(u8::from(it.auto_leave));
}

pub(crate) fn put_meta(into: &mut Vec<u8>, meta: &SnapshotMeta) {
    put_position(into, meta.last);
    put_number(into, meta.len);
    put_configuration(into, &meta.configuration);
}

/// Reads values from the front of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Decoder(pub(crate) Bytes);

impl Decoder {
    pub(crate) fn byte(&mut self) -> Result<u8> {
        if self.0.is_empty() { Err(DecodeError::Short) } else { Ok(self.0.get_u8()) }
    }

    fn flag(&mut self, what: &'static str) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            kind => Err(DecodeError::Kind { what, kind }),
        }
    }

    /// A number that names something, and so is not calculated with.
    pub(crate) fn any(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Number)
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        self.any().and_then(|it| if it < NUMBER_MAX { Ok(it) } else { Err(DecodeError::Number) })
    }

    pub(crate) fn index(&mut self) -> Result<Index> {
        self.number().map(Index)
    }

    pub(crate) fn position(&mut self) -> Result<Position> {
        Ok(Position { index: self.index()?, term: Term(self.number()?) })
    }

    /// The length of a list whose items have at least `item` bytes each.
    fn count(&mut self, item: usize) -> Result<usize> {
        let count = usize::try_from(self.any()?).map_err(|_| DecodeError::Short)?;
        if count > self.0.len() / item { Err(DecodeError::Short) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes> {
        let len = self.count(1)?;
        Ok(self.0.split_to(len))
    }

    pub(crate) fn entries(&mut self, first: Index) -> Result<Entries> {
        let count = self.count(2)?;
        let mut entries = Vec::with_capacity(count);
        for index in (first.0..).take(count) {
            let term = Term(self.number()?);
            let payload = match self.byte()? {
                0 => Payload::Noop,
                1 => Payload::Command(self.bytes()?),
                2 => Payload::Configuration(Box::new(self.configuration()?)),
                3 => Payload::Withheld,
                kind => return Err(DecodeError::Kind { what: "an entry", kind }),
            };
            entries.push(Entry { index: Index(index), term, payload });
        }
        Ok(entries.into())
    }

    fn ids(&mut self) -> Result<Vec<NodeId>> {
        let count = self.count(1)?;
        (0..count).map(|_| self.any().map(NodeId)).collect()
    }

    pub(crate) fn configuration(&mut self) -> Result<Configuration> {
        let (voters, outgoing, learners) = (self.ids()?, self.ids()?, self.ids()?);
        let count = self.count(2)?;
        let member = |_| Ok((NodeId(self.any()?), Incarnation(self.any()?)));
        let members = (0..count).map(member).collect::<Result<_>>()?;
        let auto_leave = self.flag("auto_leave")?;
        let it = Configuration { voters, outgoing, learners, members, auto_leave };
        if it.is_sound() { Ok(it) } else { Err(DecodeError::Configuration) }
    }

    pub(crate) fn meta(&mut self) -> Result<SnapshotMeta> {
        let last = self.position()?;
        let len = self.number()?;
        Ok(SnapshotMeta { last, configuration: self.configuration()?, len })
    }

    pub(crate) fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Long { rest: self.0.len() }) }
    }

    fn read_id(&mut self) -> Result<ReadId> {
        Ok(ReadId { boot: self.any()?, sequence: self.any()? })
    }

    fn outcome(&mut self) -> Result<AppendOutcome> {
        if self.flag("an outcome")? {
            Ok(AppendOutcome::Rejected { prev: self.index()?, hint: self.position()? })
        } else {
            Ok(AppendOutcome::Accepted { matched: self.index()? })
        }
    }

    fn body(&mut self, kind: u8) -> Result<Body> {
        Ok(match kind {
            1 => Body::RequestPreVote { last: self.position()? },
            2 => {
                let last = self.position()?;
                Body::RequestVote { last, transfer: self.flag("a transfer")? }
            }
            3 => {
                let pre = self.flag("a pre-vote")?;
                Body::VoteResponse { pre, granted: self.flag("a vote")? }
            }
            4 => self.append_entries()?,
            5 => {
                let (round, session) = (self.number()?, self.number()?);
                Body::AppendResponse { round, session, outcome: self.outcome()? }
            }
            6 => self.install_snapshot()?,
            7 => {
                let (round, session) = (self.number()?, self.number()?);
                let (last, offset) = (self.index()?, self.number()?);
                Body::SnapshotResponse { round, session, last, offset }
            }
            8 => Body::TimeoutNow,
            9 => {
                let (id, is_lease) = (self.read_id()?, self.flag("whether a lease is enough")?);
                let mode = if is_lease { ReadMode::Lease } else { ReadMode::Quorum };
                Body::ReadIndex { id, mode }
            }
            10 => Body::ReadIndexResponse { id: self.read_id()?, index: self.index()? },
            kind => return Err(DecodeError::Kind { what: "a message", kind }),
        })
    }

    fn append_entries(&mut self) -> Result<Body> {
        let prev = self.position()?;
        let (commit, round, session) = (self.index()?, self.number()?, self.number()?);
        let entries = self.entries(prev.index + 1)?;
        Ok(Body::AppendEntries { prev, entries, commit, round, session })
    }

    fn install_snapshot(&mut self) -> Result<Body> {
        let (round, session) = (self.number()?, self.number()?);
        let meta = Box::new(self.meta()?);
        let offset = self.number()?;
        Ok(Body::InstallSnapshot { meta, offset, data: self.bytes()?, round, session })
    }
}

#[cfg(test)]
mod tests;
