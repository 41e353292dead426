//! Reading: the newest memtable first, the lowest level last.
//!
//! A reader pins the epoch, loads the family's state and then the number of the last finished
//! write, in this order. All that this number promises is in that state or was newer than the
//! moment at which the state was loaded, so that the answer is that of a moment within the call.

use std::sync::Arc;

use crossbeam_epoch as epoch;
use crossbeam_epoch::Guard;

use super::core::{Core, FamilyCore};
use crate::iter::Iter;
use crate::memtable::{self, Versions};
use crate::merge::Source;
use crate::run::RunCursor;
use crate::stamp::{Sequence, Stamp};
use crate::{Result, table};

impl Core {
    /// The newest version of a key at a moment, or now; `None` where there never was one.
    #[inline]
    pub(crate) fn find<'g>(
        &self,
        family: &FamilyCore,
        key: &[u8],
        sequence: Option<Sequence>,
        guard: &'g Guard,
    ) -> Result<Option<(Stamp, &'g [u8])>> {
        let state = family.state.load(guard).expect("a family always has a state");
        let sequence = sequence.unwrap_or_else(|| self.visible());
        for memtable in std::iter::once(&state.memtable).chain(&state.immutables) {
            if let Some(found) = memtable.get(key, sequence) {
                return Ok(Some(found));
            }
        }
        state.version.get(key, table::hash(key), sequence, guard)
    }

    /// The value of a key at a moment, or now.
    #[inline]
    pub(crate) fn value<'g>(
        &self,
        family: &FamilyCore,
        key: &[u8],
        sequence: Option<Sequence>,
        guard: &'g Guard,
    ) -> Result<Option<&'g [u8]>> {
        let found = self.find(family, key, sequence, guard)?;
        Ok(found.filter(|(stamp, _)| !stamp.is_tombstone()).map(|(_, value)| value))
    }

    /// Copies of the values of several keys, all of one moment.
    pub(crate) fn values(
        &self,
        family: &FamilyCore,
        keys: &[&[u8]],
        sequence: Option<Sequence>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let guard = epoch::pin();
        let state = family.state(&guard);
        let sequence = sequence.unwrap_or_else(|| self.visible());
        let one = |key: &&[u8]| {
            let mut memtables = std::iter::once(&state.memtable).chain(&state.immutables);
            let found = match memtables.find_map(|it| it.get(key, sequence)) {
                Some(found) => Some(found),
                None => state.version.get(key, table::hash(key), sequence, &guard)?,
            };
            let value = found.filter(|(stamp, _)| !stamp.is_tombstone());
            Ok(value.map(|(_, value)| value.to_vec()))
        };
        keys.iter().map(one).collect()
    }

    /// An iterator over a family at a moment, or now.
    pub(crate) fn iter(&self, family: &FamilyCore, sequence: Option<Sequence>) -> Iter {
        let state = family.share();
        let sequence = sequence.unwrap_or_else(|| self.visible());
        let memtables = std::iter::once(&state.memtable).chain(&state.immutables);
        let mut sources: Vec<Source> = memtables
            .filter(|it| !it.is_empty())
            .map(|it| memtable::Cursor::new(Arc::clone(it), Versions::VisibleAt(sequence)))
            .map(Source::Memory)
            .collect();
        let runs = state.version.runs().map(|it| Source::Run(RunCursor::new(it.clone(), true)));
        sources.extend(runs);
        Iter::new(sources, sequence)
    }
}
