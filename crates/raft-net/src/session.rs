//! Client sessions: a command that is sent twice is applied once (D§6.3).
//!
//! ```text
//!   open ---------------------> the entry's index is the session's number
//!   command 1 of session 57 --> applied, answer kept
//!   command 1 of session 57 --> the kept answer, whoever leads by now
//!   command 2 of session 57 --> applied; the answer to 1 is forgotten
//! ```
//!
//! A session has one command at a time, and numbers them upwards. The table is part of the state:
//! every server changes it by the same entries, it is in snapshots, and a machine on disk keeps it
//! beside its own state as rows. There are at most [`SESSIONS_MAX`]; one more makes the least
//! recently used one go, by its place in the log, so that all servers forget the same one. A
//! command of a session that is gone is refused: it might be applied a second time.
//!
//! # What this module does not do
//!
//! It knows no time: a session does not expire because its client is silent.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, Bytes};
use raft::Index;

use crate::{Error, Row};

/// Most sessions of a group. All servers must have the same number.
pub const SESSIONS_MAX: usize = 1 << 16;

const PLAIN: u8 = 0;
const OPEN: u8 = 1;
const IN_SESSION: u8 = 2;

/// What an entry's command is to the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command<B> {
    /// Applied as often as it stands in the log.
    Plain(B),
    /// Begins a session.
    Open,
    /// Applied once.
    InSession { session: u64, sequence: u64, body: B },
}

impl<B: AsRef<[u8]>> Command<B> {
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::Plain(body) => [&[PLAIN][..], body.as_ref()].concat().into(),
            Self::Open => Bytes::from_static(&[OPEN]),
            Self::InSession { session, sequence, body } => {
                let numbers = [session.to_le_bytes(), sequence.to_le_bytes()].concat();
                [&[IN_SESSION][..], &numbers, body.as_ref()].concat().into()
            }
        }
    }
}

impl<'a> Command<&'a [u8]> {
    /// `None` where the bytes are none of ours.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (kind, body) = bytes.split_first()?;
        match *kind {
            PLAIN => Some(Self::Plain(body)),
            OPEN if body.is_empty() => Some(Self::Open),
            IN_SESSION => {
                let (session, body) = body.split_first_chunk()?;
                let (sequence, body) = body.split_first_chunk()?;
                let session = u64::from_le_bytes(*session);
                Some(Self::InSession { session, sequence: u64::from_le_bytes(*sequence), body })
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    /// The last command that was applied; 0 before the first.
    sequence: u64,
    /// The entry that used it last.
    used: u64,
    /// The answer to that command.
    answer: Bytes,
}

impl Session {
    fn encode(&self) -> Bytes {
        let numbers = [self.sequence.to_le_bytes(), self.used.to_le_bytes()].concat();
        [&numbers[..], &self.answer].concat().into()
    }

    fn decode(mut row: Bytes) -> Option<Self> {
        let (sequence, used) = (row.try_get_u64_le().ok()?, row.try_get_u64_le().ok()?);
        Some(Self { sequence, used, answer: row })
    }
}

/// The sessions of a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    by_number: BTreeMap<u64, Session>,
    /// Invariant: one pair of `used` and number for each session.
    by_use: BTreeSet<(u64, u64)>,
    /// What has changed since it was last asked for.
    changed: BTreeSet<u64>,
}

/// What to do with a command of a session.
pub(crate) enum Verdict {
    /// Apply it.
    Fresh,
    /// It was applied; this is the answer.
    Known(Bytes),
}

impl Sessions {
    /// Of rows that [`Sessions::rows`] gave; `None` where one is not.
    pub(crate) fn from_rows(rows: &[(u64, Bytes)]) -> Option<Self> {
        let mut sessions = Self::default();
        for (number, row) in rows {
            let session = Session::decode(row.clone())?;
            sessions.by_use.insert((session.used, *number));
            sessions.by_number.insert(*number, session);
        }
        Some(sessions)
    }

    /// All rows.
    pub(crate) fn rows(&self) -> Vec<(u64, Bytes)> {
        self.by_number.iter().map(|(number, session)| (*number, session.encode())).collect()
    }

    /// Rows that have changed since this was last called.
    pub(crate) fn take_changes(&mut self) -> Vec<Row> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let row = |number| (number, self.by_number.get(&number).map(Session::encode));
        changed.map(row).collect()
    }

    /// Begins a session with the entry at `index`.
    pub(crate) fn open(&mut self, index: Index) {
        let session = Session { sequence: 0, used: index.0, answer: Bytes::new() };
        self.by_number.insert(index.0, session);
        self.by_use.insert((index.0, index.0));
        self.changed.insert(index.0);
        if self.by_number.len() > SESSIONS_MAX
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_number.remove(&oldest);
            self.changed.insert(oldest);
        }
    }

    /// Whether a command is to be applied.
    pub(crate) fn judge(&self, number: u64, sequence: u64) -> Result<Verdict, Error> {
        let Some(session) = self.by_number.get(&number) else {
            return Err(Error::NoSession { session: number });
        };
        match sequence.cmp(&session.sequence) {
            std::cmp::Ordering::Greater => Ok(Verdict::Fresh),
            std::cmp::Ordering::Equal if sequence > 0 => Ok(Verdict::Known(session.answer.clone())),
            _ => {
                let last = session.sequence;
                Err(Error::OutOfOrder { session: number, sequence, last })
            }
        }
    }

    /// A command that was judged fresh has been applied by the entry at `index`.
    pub(crate) fn applied(&mut self, number: u64, sequence: u64, index: Index, answer: &Bytes) {
        let Some(session) = self.by_number.get_mut(&number) else { return };
        self.by_use.remove(&(session.used, number));
        *session = Session { sequence, used: index.0, answer: answer.clone() };
        self.by_use.insert((index.0, number));
        self.changed.insert(number);
    }
}
