//! Merging sorted sources into one order: keys ascending, of one key the newest version first.
//!
//! There are few sources, a handful of tables and memtables, so the smallest is found by looking at
//! each one's head, all in one list, and at keys only where the smallest head is that of several.
//! Heads begin behind what the keys of all tables share: where many keys begin alike, the first
//! bytes of them would tell nothing. The same loop serves reads and compaction.

use std::cmp::Ordering;

use crate::Result;
use crate::head::{Prefix, compare};
use crate::memtable;
use crate::run::RunCursor;
use crate::stamp::Stamp;

/// A sorted source of entries.
#[derive(Debug)]
pub(crate) enum Source {
    Memory(memtable::Cursor),
    Run(RunCursor),
}

impl Source {
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Memory(cursor) => cursor.record().map(|it| it.key),
            Self::Run(cursor) => cursor.is_valid().then(|| cursor.key()),
        }
    }

    /// The entry here. Panics at an end.
    #[inline]
    pub(crate) fn entry(&self) -> (Stamp, &[u8]) {
        match self {
            Self::Memory(cursor) => {
                let record = cursor.record().expect("asked only where there is a key");
                (record.stamp(), record.value)
            }
            Self::Run(cursor) => cursor.entry(),
        }
    }

    /// The smallest and the greatest key, where they are at hand.
    fn bounds(&self) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Memory(_) => None,
            Self::Run(cursor) => cursor.bounds(),
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<()> {
        match self {
            Self::Memory(cursor) => {
                cursor.next();
                Ok(())
            }
            Self::Run(cursor) => cursor.next(),
        }
    }

    pub(crate) fn prev(&mut self) -> Result<()> {
        match self {
            Self::Memory(cursor) => {
                cursor.prev();
                Ok(())
            }
            Self::Run(cursor) => cursor.prev(),
        }
    }

    fn go(&mut self, to: To<'_>) -> Result<()> {
        match (self, to) {
            (Self::Memory(cursor), To::Last) => cursor.seek_last(),
            (Self::Memory(cursor), To::AtLeast(key)) => cursor.seek(key),
            (Self::Memory(cursor), To::Below(key)) => cursor.seek_below(key),
            (Self::Run(cursor), To::Last) => return cursor.seek_last(),
            (Self::Run(cursor), To::AtLeast(key)) => return cursor.seek(key),
            (Self::Run(cursor), To::Below(key)) => return cursor.seek_below(key),
        }
        Ok(())
    }
}

/// Where a cursor is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'k> {
    Last,
    AtLeast(&'k [u8]),
    Below(&'k [u8]),
}

/// All sources in one order.
#[derive(Debug)]
pub(crate) struct Merge {
    sources: Vec<Source>,
    /// What most keys begin with; heads are what follows.
    prefix: Prefix,
    /// The head of each source's key; the largest number at an end.
    heads: Vec<u64>,
    /// The source with the smallest key, unless all are at their ends.
    current: Option<usize>,
}

impl Merge {
    /// Of sources that are in no place yet.
    pub(crate) fn new(sources: Vec<Source>) -> Self {
        let heads = vec![u64::MAX; sources.len()];
        let prefix = expected_prefix(&sources);
        Self { sources, prefix, heads, current: None }
    }

    /// Leads all sources there. Forward from there on by [`Merge::next`].
    pub(crate) fn go(&mut self, to: To<'_>) -> Result<()> {
        for at in 0..self.sources.len() {
            self.sources[at].go(to)?;
            self.look(at);
        }
        self.choose();
        Ok(())
    }

    /// The sources, to be moved by hand; [`Merge::go`] must follow before [`Merge::next`].
    pub(crate) fn sources(&mut self) -> &mut [Source] {
        &mut self.sources
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.current.and_then(|at| self.sources[at].key())
    }

    /// The entry here. Panics at the end.
    #[inline]
    pub(crate) fn entry(&self) -> (Stamp, &[u8]) {
        self.sources[self.current.expect("asked only where there is a key")].entry()
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<()> {
        let Some(at) = self.current else { return Ok(()) };
        self.sources[at].next()?;
        self.look(at);
        self.choose();
        Ok(())
    }

    #[inline]
    fn look(&mut self, at: usize) {
        self.heads[at] = self.sources[at].key().map_or(u64::MAX, |key| self.prefix.head(key));
    }

    #[inline]
    fn choose(&mut self) {
        if let [only] = &*self.sources {
            self.current = only.key().map(|_| 0);
            return;
        }
        let least = self.heads.iter().copied().min().unwrap_or(u64::MAX);
        let (mut count, mut last) = (0, 0);
        for (at, head) in self.heads.iter().enumerate() {
            // Neither is a jump: which source is next is not to be guessed.
            count += usize::from(*head == least);
            last = if *head == least { at } else { last };
        }
        // The largest number may stand for an end.
        if count == 1 && least < u64::MAX {
            self.current = Some(last);
        } else {
            self.choose_by_keys();
        }
    }

    /// The same where heads do not tell, or not whether a source is at its end.
    #[inline(never)]
    fn choose_by_keys(&mut self) {
        let mut best: Option<usize> = None;
        for at in 0..self.sources.len() {
            let Some(key) = self.sources[at].key() else { continue };
            let is_before = best.is_none_or(|best| {
                let other = self.sources[best].key().expect("it had one a moment ago");
                let order = compare(self.heads[at], key, self.heads[best], other);
                order.then_with(|| self.newer_first(at, best)) == Ordering::Less
            });
            if is_before {
                best = Some(at);
            }
        }
        self.current = best;
    }

    #[cold]
    fn newer_first(&self, a: usize, b: usize) -> Ordering {
        self.sources[b].entry().0.cmp(&self.sources[a].entry().0)
    }
}

/// What the keys of all tables share; where there is no table, what those of a memtable are
/// expected to. Nothing depends on it but speed.
fn expected_prefix(sources: &[Source]) -> Prefix {
    let bounds = || sources.iter().filter_map(Source::bounds);
    let (smallest, largest) = (bounds().map(|it| it.0).min(), bounds().map(|it| it.1).max());
    if let (Some(smallest), Some(largest)) = (smallest, largest) {
        return Prefix::shared(smallest, largest);
    }
    let in_memory = sources.iter().find_map(|source| match source {
        Source::Memory(cursor) => Some(cursor.expected_prefix().clone()),
        Source::Run(_) => None,
    });
    in_memory.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wal::Position;

    use super::*;
    use crate::memtable::{Cursor, Memtable, Versions};
    use crate::stamp::Kind;

    /// A head may be the largest number though the source is not at its end, and keys may not begin
    /// with what was expected.
    #[test]
    fn keys_are_told_apart_where_heads_are_not() {
        let keys: [&[&[u8]]; 4] =
            [&[b"same tail 2", &[0xff; 9]], &[], &[&[0xff; 8]], &[b"a", b"same tail 1", b"z"]];
        let start = Position { segment: 1, offset: 0 };
        for expected in [Prefix::default(), Prefix::shared(b"same tail 1", b"same tail 2")] {
            let source = |keys: &&[&[u8]]| {
                let table = Arc::new(Memtable::new(1, 1 << 10, expected.clone(), start));
                for (sequence, key) in (1..).zip(*keys) {
                    table.insert(Stamp::new(sequence, Kind::Value), key, b"");
                }
                Source::Memory(Cursor::new(table, Versions::All))
            };
            let mut merge = Merge::new(keys.iter().map(source).collect());
            assert_eq!(merge.prefix, expected);
            merge.go(To::AtLeast(b"")).expect("it is in memory");
            let mut found = Vec::new();
            while let Some(key) = merge.key() {
                found.push(key.to_vec());
                merge.next().expect("it is in memory");
            }
            let mut sorted = keys.concat();
            sorted.sort_unstable();
            assert_eq!(found, sorted);
        }
    }
}
