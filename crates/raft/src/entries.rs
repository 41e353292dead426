//! Runs of entries that are written once and shared from then on.
//!
//! ```text
//!   proposals ---> one run --+--> message to each follower ---> its log, its write, its store
//!                            +--> the leader's own write ----> its store
//!                            '--> applied
//! ```
//!
//! A command is taken over from the client once; whoever needs it later, on this server, holds the
//! run that it is in. A log is a chain of such runs. Cutting one makes a shorter view of it, so
//! that an entry is copied only where a reader wants entries of several runs at once.
//!
//! # What this module does not do
//!
//! It gives no memory back early: a run lives as long as one of its entries is needed somewhere.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::types::{Entry, Index};

/// Entries that follow each other, shared.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// `None` where there are none, so that a heartbeat costs no memory.
    shared: Option<Arc<[Entry]>>,
    /// Invariant: `start <= end`, and both lie in `shared`.
    start: usize,
    end: usize,
    /// Invariant: the sum of the sizes of the entries.
    bytes: u64,
}

impl Entries {
    /// Their size for limits and windows.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries from `at` on.
    #[must_use]
    pub fn skip(&self, at: usize) -> Self {
        self.view(at..self.len())
    }

    /// The first `count` entries.
    #[must_use]
    pub fn first_part(&self, count: usize) -> Self {
        self.view(0..count)
    }

    fn view(&self, part: Range<usize>) -> Self {
        if part == (0..self.len()) {
            return self.clone();
        }
        let bytes = self[part.clone()].iter().map(Entry::size).sum();
        let (start, end) = (self.start + part.start, self.start + part.end);
        Self { shared: self.shared.clone(), start, end, bytes }
    }

    /// As many as fit in `bytes_max`, but at least one.
    fn fitting(&self, bytes_max: u64) -> Self {
        if self.bytes <= bytes_max {
            return self.clone();
        }
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.size();
            bytes <= bytes_max
        };
        let count = self.iter().take_while(fits).count();
        self.view(0..count.max(1))
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        self.shared.as_ref().map_or(&[], |shared| &shared[self.start..self.end])
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Entries {}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let shared: Arc<[Entry]> = entries.into_iter().collect();
        let bytes = shared.iter().map(Entry::size).sum();
        let end = shared.len();
        Self { shared: (end > 0).then_some(shared), start: 0, end, bytes }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        entries.into_iter().collect()
    }
}

/// Entries that follow each other, and where they begin: to find one needs no look at another.
#[derive(Clone, Debug)]
struct Run {
    first: Index,
    /// Invariant: there is one at least.
    entries: Entries,
}

impl Run {
    fn last(&self) -> Index {
        self.end().before()
    }

    /// The position behind the last entry.
    fn end(&self) -> Index {
        self.first + self.entries.len() as u64
    }
}

/// A part of a log as runs behind each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    /// The position before the first entry.
    base: Index,
    /// The last entry, or `base`.
    last: Index,
    /// Invariant: each begins behind the one before it.
    runs: VecDeque<Run>,
}

fn offset(index: Index, from: Index) -> usize {
    usize::try_from(index.since(from)).expect("it fits memory")
}

impl Chain {
    /// Nothing behind `base`.
    pub(crate) const fn behind(base: Index) -> Self {
        Self { base, last: base, runs: VecDeque::new() }
    }

    pub(crate) const fn base(&self) -> Index {
        self.base
    }

    pub(crate) const fn last(&self) -> Index {
        self.last
    }

    /// The entry at `index`, where it is in this part.
    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        if index <= self.base || index > self.last {
            return None;
        }
        let run = &self.runs[self.run_of(index)];
        Some(&run.entries[offset(index, run.first)])
    }

    /// The run that holds `index`, which is in the chain. Mostly it is the last one.
    fn run_of(&self, index: Index) -> usize {
        let back = self.runs.len() - 1;
        if self.runs[back].first <= index {
            return back;
        }
        self.runs.partition_point(|run| run.last() < index)
    }

    /// Panics where entries do not follow each other.
    pub(crate) fn check_invariants(&self) {
        let mut last = self.base;
        for entry in self.runs.iter().flat_map(|run| run.entries.iter()) {
            assert_eq!(entry.index, last + 1, "a log has no gaps");
            last = entry.index;
        }
        assert_eq!(last, self.last, "the last entry is the last one");
    }

    /// Appends entries, which must follow the last one.
    pub(crate) fn push(&mut self, entries: Entries) {
        let Some(first) = entries.first().map(|entry| entry.index) else { return };
        assert_eq!(first, self.last + 1, "entry {first} leaves a gap behind {}", self.last);
        self.last = self.last + entries.len() as u64;
        self.runs.push_back(Run { first, entries });
    }

    /// Removes `from` and all that follows.
    pub(crate) fn truncate(&mut self, from: Index) {
        if from > self.last {
            return;
        }
        while let Some(run) = self.runs.back_mut() {
            if run.first < from {
                if run.last() >= from {
                    run.entries = run.entries.first_part(offset(from, run.first));
                }
                break;
            }
            self.runs.pop_back();
        }
        self.last = self.last.min(from.before()).max(self.base);
    }

    /// Lets go of everything up to `index`.
    pub(crate) fn release(&mut self, index: Index) {
        while let Some(run) = self.runs.front_mut() {
            if run.last() > index {
                if run.first <= index {
                    run.entries = run.entries.skip(offset(index + 1, run.first));
                    run.first = index + 1;
                }
                break;
            }
            self.runs.pop_front();
        }
        self.base = self.base.max(index.min(self.last));
    }

    /// Entries of `range`, all of which are in the chain: as many as fit in `bytes_max`, but at
    /// least one.
    pub(crate) fn range(&self, range: Range<Index>, bytes_max: u64) -> Entries {
        if range.start >= range.end {
            return Entries::default();
        }
        assert!(range.start > self.base && range.end <= self.last + 1, "{range:?} is not here");
        let at = self.run_of(range.start);
        let run = &self.runs[at];
        let end = run.end().min(range.end);
        let part = run.entries.view(offset(range.start, run.first)..offset(end, run.first));
        let part = if part.bytes <= bytes_max { part } else { part.fitting(bytes_max) };
        let is_cut = part.len() as u64 != end.since(range.start);
        if is_cut || end == range.end || part.bytes() >= bytes_max {
            return part;
        }
        self.collect(&part, at + 1, range.end, bytes_max)
    }

    /// `part` and what follows it from run `at` on, in one piece.
    fn collect(&self, part: &Entries, at: usize, end: Index, bytes_max: u64) -> Entries {
        let mut bytes = part.bytes();
        let fits = |entry: &&Entry| {
            bytes += entry.size();
            entry.index < end && bytes <= bytes_max
        };
        let more = self.runs.range(at..).flat_map(|run| run.entries.iter()).take_while(fits);
        let more: Vec<_> = more.cloned().collect();
        if more.is_empty() { part.clone() } else { part.iter().cloned().chain(more).collect() }
    }
}

#[cfg(test)]
mod tests;
