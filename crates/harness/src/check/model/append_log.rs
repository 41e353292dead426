//! An append-only log: an index, once answered, names that entry for ever.

use super::Model;

/// A log of numbers, at first empty. Indices count from zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AppendLog(pub Vec<u64>);

/// What can be asked of an [`AppendLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogOp {
    /// Puts an entry at the end and answers its index.
    Append(u64),
    /// Answers the entry at an index.
    Read(usize),
    /// Answers how many entries there are.
    Count,
}

/// What an [`AppendLog`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogRet {
    /// Of `Append`: the index of the new entry.
    Index(usize),
    /// Of `Read`; `None` beyond the end.
    Entry(Option<u64>),
    /// Of `Count`.
    Count(usize),
}

impl Model for AppendLog {
    type Op = LogOp;
    type Ret = LogRet;
    type Key = ();

    fn key(_op: &LogOp) {}

    fn apply(&mut self, op: &LogOp) -> LogRet {
        match *op {
            LogOp::Append(entry) => {
                self.0.push(entry);
                LogRet::Index(self.0.len() - 1)
            }
            LogOp::Read(index) => LogRet::Entry(self.0.get(index).copied()),
            LogOp::Count => LogRet::Count(self.0.len()),
        }
    }

    fn is_observation(_op: &LogOp, ret: &LogRet) -> bool {
        matches!(ret, LogRet::Entry(_) | LogRet::Count(_))
    }
}
