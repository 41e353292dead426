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
//! that an entry is copied only where a reader wants entries of several runs at once, and where a
//! log that was compacted would keep a long run for the few entries at its end.
//!
//! # What this module does not do
//!
//! It counts no readers: a run lives as long as somebody holds a view of it.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;

use crate::types::{Entry, Index, Payload, Position, Term};

/// Entries that follow each other, shared.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// `None` where there are none, so that a heartbeat costs no memory.
    shared: Option<Arc<[Entry]>>,
    /// Invariant: `start <= end`, and both lie in `shared`.
    start: u32,
    end: u32,
    /// Invariant: the sum of the sizes of the entries.
    bytes: u64,
}

/// Each message, write and run of a log holds one and is moved several times: two moves of 16 bytes
/// have no rest, and a rest waits for what was stored in other pieces.
const _: () = assert!(size_of::<Entries>() == 32);

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("more entries do not fit memory")
}

impl Entries {
    /// Their size for limits and windows.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many there are.
    #[inline]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
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
        let (start, end) = (self.start + place(part.start), self.start + place(part.end));
        Self { shared: self.shared.clone(), start, end, bytes }
    }

    /// A single entry.
    pub(crate) fn one(entry: Entry) -> Self {
        let bytes = entry.size();
        Self { shared: Some(Arc::new([entry])), start: 0, end: 1, bytes }
    }

    /// Whether they are the smaller part of what they hold in memory.
    fn is_remnant(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| self.len() < shared.len() / 2)
    }

    /// The same entries in memory of their own, and so are their commands: those of a message or a
    /// record are views of all its bytes.
    fn detached(&self) -> Self {
        let detach = |entry: &Entry| match &entry.payload {
            Payload::Command(command) => {
                Entry { payload: Payload::Command(Bytes::copy_from_slice(command)), ..*entry }
            }
            Payload::Noop | Payload::Configuration(_) | Payload::Withheld => entry.clone(),
        };
        self.iter().map(detach).collect()
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

    #[inline]
    fn deref(&self) -> &[Entry] {
        let part = self.start as usize..self.end as usize;
        self.shared.as_ref().map_or(&[], |shared| &shared[part])
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
        let end = place(shared.len());
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
    /// What stands before the first entry.
    base: Position,
    /// The last entry, or `base`. Its term is asked for more often than all others.
    last: Position,
    /// Invariant: each begins behind the one before it.
    runs: VecDeque<Run>,
}

fn offset(index: Index, from: Index) -> usize {
    usize::try_from(index.since(from)).expect("it fits memory")
}

impl Chain {
    /// Nothing behind `base`.
    pub(crate) const fn behind(base: Position) -> Self {
        Self { base, last: base, runs: VecDeque::new() }
    }

    pub(crate) const fn base(&self) -> Position {
        self.base
    }

    pub(crate) const fn last(&self) -> Position {
        self.last
    }

    /// The term of an entry in this part, or of what stands before it.
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        if index == self.last.index {
            return Some(self.last.term);
        }
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry at `index`, where it is in this part.
    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        if index <= self.base.index || index > self.last.index {
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
            assert_eq!(entry.index, last.index + 1, "a log has no gaps");
            last = entry.position();
        }
        assert_eq!(last, self.last, "the last entry is the last one");
    }

    /// Appends entries, which must follow the last one.
    pub(crate) fn push(&mut self, entries: Entries) {
        let list = &*entries;
        let (Some(first), Some(last)) = (list.first(), list.last()) else { return };
        let (first, end) = (first.index, self.last.index);
        assert_eq!(first, end + 1, "entry {first} leaves a gap behind {end}");
        self.last = Position { index: end + list.len() as u64, term: last.term };
        self.runs.push_back(Run { first, entries });
    }

    /// Removes `from` and all that follows.
    pub(crate) fn truncate(&mut self, from: Index) {
        if from > self.last.index {
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
        let last = self.runs.back().and_then(|run| run.entries.last());
        self.last = last.map_or(self.base, Entry::position);
    }

    /// Lets go of everything up to `index`, and gives it to `free` but for what shares a run with
    /// an entry that stays.
    pub(crate) fn release(&mut self, index: Index, mut free: impl FnMut(Entries)) {
        if index <= self.base.index {
            return;
        }
        while let Some(run) = self.runs.front_mut() {
            let end = run.last();
            if end > index {
                if run.first <= index {
                    let gone = offset(index + 1, run.first);
                    self.base = run.entries[gone - 1].position();
                    run.entries = run.entries.skip(gone);
                    run.first = index + 1;
                }
                return;
            }
            self.base = run.entries.last().map_or(self.last, Entry::position);
            if let Some(run) = self.runs.pop_front() {
                free(run.entries);
            }
        }
    }

    /// Gives `range` away where that is the first run, and no more than `bytes_max`. It is moved:
    /// neither a copy nor a look at who else holds it.
    pub(crate) fn take_first(&mut self, range: &Range<Index>, bytes_max: u64) -> Option<Entries> {
        let is_wanted = |run: &mut Run| {
            run.first == range.start && run.end() == range.end && run.entries.bytes <= bytes_max
        };
        let entries = self.runs.pop_front_if(is_wanted)?.entries;
        self.base = entries.last().map_or(self.last, Entry::position);
        Some(entries)
    }

    /// Has what was released freed also where it shares a run with an entry that stays: the rest
    /// of a run is copied where it is the smaller part, so that a log holds less than twice its
    /// own, and an entry is copied once for each that is freed.
    pub(crate) fn shed(&mut self) {
        if let Some(run) = self.runs.front_mut().filter(|run| run.entries.is_remnant()) {
            run.entries = run.entries.detached();
        }
    }

    /// Entries of `range`, all of which are in the chain: as many as fit in `bytes_max`, but at
    /// least one.
    #[inline]
    pub(crate) fn range(&self, range: Range<Index>, bytes_max: u64) -> Entries {
        // What was appended last is asked for more often than all else, and all of it.
        match self.runs.back() {
            Some(run)
                if run.first == range.start
                    && range.end == self.last.index + 1
                    && run.entries.bytes <= bytes_max =>
            {
                run.entries.clone()
            }
            _ => self.part(range, bytes_max),
        }
    }

    /// The same, wherever the range lies.
    fn part(&self, range: Range<Index>, bytes_max: u64) -> Entries {
        if range.start >= range.end {
            return Entries::default();
        }
        assert!(
            range.start > self.base.index && range.end <= self.last.index + 1,
            "{range:?} is not here"
        );
        let at = self.run_of(range.start);
        let run = &self.runs[at];
        if (run.first..run.end()) == range && run.entries.bytes <= bytes_max {
            return run.entries.clone();
        }
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
