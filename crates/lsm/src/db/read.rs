//! Reading: the newest memtable first, the lowest level last.
//!
//! A reader pins the epoch, loads the family's state and then the number of the last finished
//! write, in this order. All that this number promises is in that state or was newer than the
//! moment at which the state was loaded, so that the answer is that of a moment within the call.

use std::borrow::Cow;
use std::sync::Arc;

use crossbeam_epoch as epoch;
use crossbeam_epoch::Guard;

use super::core::{Core, FamilyCore, State};
use crate::iter::Iter;
use crate::meaning::Meaning;
use crate::memtable::{self, Versions};
use crate::merge::{Merge, Source, To};
use crate::planted::planted;
use crate::range::Range;
use crate::removal::{Layers, Removal, Removals, Watch};
use crate::run::{Run, RunCursor};
use crate::stamp::{Kind, SEQUENCE_MAX, Sequence, Stamp};
use crate::{Result, table};

impl State {
    /// The newest version of a key that is not above `sequence`.
    #[inline]
    fn find<'g>(
        &'g self,
        key: &[u8],
        sequence: Sequence,
        guard: &'g Guard,
    ) -> Result<Option<(Stamp, &'g [u8])>> {
        for memtable in std::iter::once(&self.memtable).chain(&self.immutables) {
            if let Some(found) = memtable.get(key, sequence) {
                return Ok(Some(found));
            }
        }
        self.version.get(key, table::hash(key), sequence, guard)
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn value<'g>(
        &'g self,
        key: &[u8],
        sequence: Sequence,
        meaning: &Meaning,
        guard: &'g Guard,
    ) -> Result<Option<Cow<'g, [u8]>>> {
        let Some((stamp, bytes)) = self.find(key, sequence, guard)? else { return Ok(None) };
        let removed = self.removed_at(key, sequence, guard);
        if removed > stamp.sequence() {
            return Ok(None);
        }
        if stamp.is(Kind::Operand) {
            return self.merged(key, (stamp, bytes), removed, meaning, guard).map(Some);
        }
        meaning.value(stamp, bytes, || meaning.now(), guard)
    }

    /// The value of a key whose newest version, given here, is an operand.
    #[cold]
    fn merged<'g>(
        &'g self,
        key: &[u8],
        newest: (Stamp, &'g [u8]),
        removed: Sequence,
        meaning: &Meaning,
        guard: &'g Guard,
    ) -> Result<Cow<'g, [u8]>> {
        let (mut stamp, mut bytes) = newest;
        let mut operands = Vec::new();
        let value = loop {
            if !stamp.is(Kind::Operand) {
                break meaning.value(stamp, bytes, || meaning.now(), guard)?;
            }
            operands.push(Cow::Borrowed(bytes));
            match self.find(key, stamp.sequence() - 1, guard)? {
                Some(older) if older.0.sequence() >= removed => (stamp, bytes) = older,
                _ => break None,
            }
        };
        meaning.merged(key, value.as_deref(), &operands).map(Cow::Owned)
    }

    /// The value of a key at which an iterator stands, from the newest version that it sees.
    pub(crate) fn merged_at(
        &self,
        key: &[u8],
        stamp: Stamp,
        sequence: Sequence,
        meaning: &Meaning,
    ) -> Result<Vec<u8>> {
        let guard = epoch::pin();
        let removed = self.removed_at(key, sequence, &guard);
        let Some(newest) = self.find(key, stamp.sequence(), &guard)? else {
            unreachable!("the iterator's tables are those of its state")
        };
        self.merged(key, newest, removed, meaning, &guard).map(Cow::into_owned)
    }

    /// The number of the newest removal of a key that is not above `sequence`.
    #[inline]
    fn removed_at(&self, key: &[u8], sequence: Sequence, guard: &Guard) -> Sequence {
        let below = &self.version.removals;
        let below = if below.is_empty() { 0 } else { below.newest(key, sequence) };
        let memtables = std::iter::once(&self.memtable).chain(&self.immutables);
        let in_memory = memtables.filter_map(|it| it.removals(guard));
        in_memory.map(|it| it.newest(key, sequence)).fold(below, Sequence::max)
    }

    /// An iterator over the entries of a range that there were at a moment.
    pub(crate) fn iter(
        self: Arc<Self>,
        range: Range,
        sequence: Sequence,
        meaning: Arc<Meaning>,
    ) -> Iter {
        let memtables = std::iter::once(&self.memtable).chain(&self.immutables);
        let mut sources: Vec<Source> = memtables
            .filter(|it| !it.is_empty())
            .map(|it| memtable::Cursor::new(Arc::clone(it), Versions::VisibleAt(sequence)))
            .map(Source::Memory)
            .collect();
        let runs = self.version.runs().filter(|it| range.needs(it));
        sources.extend(runs.map(|it| Source::Run(RunCursor::new(it.clone(), true))));
        let removals = Watch::new(self.removals().into_iter(), sequence);
        Iter::new(sources, range, self, removals, sequence, meaning)
    }

    /// All removals, each few of them sorted.
    fn removals(&self) -> Vec<Arc<Removals>> {
        let guard = epoch::pin();
        let memtables = std::iter::once(&self.memtable).chain(&self.immutables);
        let in_memory = memtables.filter_map(|it| it.removals(&guard)).flat_map(Layers::sorted);
        in_memory.chain([&self.version.removals]).cloned().collect()
    }
}

/// What a transaction has to know.
impl FamilyCore {
    /// The number of the newest change of a key that there still is; 0 where there is none.
    pub(crate) fn newest_change(&self, key: &[u8]) -> Result<Sequence> {
        let guard = epoch::pin();
        let state = self.state(&guard);
        let removed = state.removed_at(key, SEQUENCE_MAX, &guard);
        let found = state.find(key, SEQUENCE_MAX, &guard)?;
        Ok(found.map_or(removed, |(stamp, _)| stamp.sequence().max(removed)))
    }

    /// A key of a range that was changed after `since`, if there is one. Of the tables only those
    /// are asked that are not older.
    pub(crate) fn changed_since(
        &self,
        since: Sequence,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        let state = self.share();
        let meets = |it: &Removal| *lower < *it.end && upper.is_none_or(|upper| *it.start < *upper);
        let removals = state.removals();
        let mut removals = removals.iter().flat_map(|it| it.all());
        if let Some(found) = removals.find(|it| it.sequence > since && meets(it)) {
            return Ok(Some(found.start.clone()));
        }
        let memtables = std::iter::once(&state.memtable).chain(&state.immutables);
        let in_memory = memtables
            .map(|it| memtable::Cursor::new(Arc::clone(it), Versions::VisibleAt(SEQUENCE_MAX)))
            .map(Source::Memory);
        let tables = state.version.tables().filter(|(_, it)| it.meta.newest > since);
        let in_tables =
            tables.map(|(_, it)| Run::of(it)).map(|it| Source::Run(RunCursor::new(it, true)));
        let mut merge = Merge::new(in_memory.chain(in_tables).collect());
        merge.go(To::AtLeast(lower))?;
        while let Some(key) = merge.key().filter(|key| upper.is_none_or(|upper| **key < *upper)) {
            if merge.entry().0.sequence() > since {
                return Ok(Some(key.to_vec()));
            }
            merge.next()?;
        }
        Ok(None)
    }
}

impl Core {
    /// The value of a key at a moment, or now.
    #[inline]
    pub(crate) fn value<'g>(
        &self,
        family: &'g FamilyCore,
        key: &[u8],
        sequence: Option<Sequence>,
        guard: &'g Guard,
    ) -> Result<Option<Cow<'g, [u8]>>> {
        let state = family.state(guard);
        let mut sequence = sequence.unwrap_or_else(|| self.visible());
        if planted!(ReadBehind) {
            sequence = sequence.saturating_sub(1);
        }
        state.value(key, sequence, &self.meaning, guard)
    }

    /// Copies of the values of several keys, all of one moment. The state is loaded once: a later
    /// one may lack versions that only this moment sees.
    pub(crate) fn values(
        &self,
        family: &FamilyCore,
        keys: &[&[u8]],
        sequence: Option<Sequence>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let guard = epoch::pin();
        let state = family.state(&guard);
        let sequence = sequence.unwrap_or_else(|| self.visible());
        let copy = |key: &&[u8]| {
            Ok(state.value(key, sequence, &self.meaning, &guard)?.map(Cow::into_owned))
        };
        keys.iter().map(copy).collect()
    }

    /// An iterator over a range of a family at a moment, or now.
    pub(crate) fn iter(
        &self,
        family: &FamilyCore,
        range: Range,
        sequence: Option<Sequence>,
    ) -> Iter {
        let state = family.share();
        // The next write would do it as well, but there may be none for long.
        if self.has_news_of(&state.gaps)
            && let Some(writer) = self.writer.try_lock()
        {
            state.gaps.settle(writer.last);
        }
        let sequence = sequence.unwrap_or_else(|| self.visible());
        state.iter(range, sequence, Arc::clone(&self.meaning))
    }
}
