//! What a transaction is about to change in a family, and what a key is to the transaction.
//!
//! ```text
//!   removed   [c, k)   [p, q)          ranges of which nothing shows, none next to another
//!   writes    a   put "1"
//!             d   absent, merge "+2"   in a range that was removed before
//!             m   stored, merge "+1"   nobody has read what it is merged into
//! ```
//!
//! Later changes hide earlier ones at once, so that there is one entry a key, and a range has no
//! writes within it but those that came after its removal. The batch of a commit is the ranges and
//! then the writes.
//!
//! # What this module does not do
//!
//! It reads nothing of the store, and so does not know what was read.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use crate::{Batch, Family, Result};

/// What a write stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Whatever the store has.
    Stored,
    Absent,
    Value(Vec<u8>),
    /// A value until a date.
    Until(Vec<u8>, Duration),
}

/// What becomes of a key.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) base: Base,
    /// What is merged into that, the oldest first.
    pub(super) operands: Vec<Vec<u8>>,
}

/// The changes of one family.
#[derive(Debug, Default)]
pub(super) struct Own {
    writes: BTreeMap<Vec<u8>, Write>,
    /// The first key that stays behind each removed range, by the first that does not.
    removed: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Own {
    pub(super) fn set(&mut self, key: &[u8], base: Base) {
        self.writes.insert(key.to_vec(), Write { base, operands: Vec::new() });
    }

    pub(super) fn merge(&mut self, key: &[u8], operand: &[u8]) {
        let base = if self.is_removed(key) { Base::Absent } else { Base::Stored };
        let write = self.writes.entry(key.to_vec());
        let write = write.or_insert(Write { base, operands: Vec::new() });
        write.operands.push(operand.to_vec());
    }

    /// Removes the keys from `start` on and below `end`.
    pub(super) fn remove(&mut self, start: &[u8], end: &[u8]) {
        if end <= start {
            return;
        }
        self.writes.retain(|key, _| **key < *start || *end <= **key);
        let (mut start, mut end) = (start.to_vec(), end.to_vec());
        // From behind, what begins within the range or at its end, until one ends before it.
        while let Some((from, to)) = self.removed.range(..=end.clone()).next_back() {
            if *to < start {
                break;
            }
            (start, end) = (start.min(from.clone()), end.max(to.clone()));
            let from = from.clone();
            self.removed.remove(&from);
        }
        self.removed.insert(start, end);
    }

    /// Whether nothing of the store shows in a place, because its range was removed.
    pub(super) fn is_removed(&self, key: &[u8]) -> bool {
        let until = (Bound::Unbounded, Bound::Included(key));
        self.removed.range::<[u8], _>(until).next_back().is_some_and(|(_, end)| *key < **end)
    }

    pub(super) fn write(&self, key: &[u8]) -> Option<&Write> {
        self.writes.get(key)
    }

    /// The writes to a range, by their keys.
    pub(super) fn writes_in(
        &self,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> impl Iterator<Item = (&[u8], &Write)> {
        let upper = upper.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.writes.range::<[u8], _>((Bound::Included(lower), upper));
        range.map(|(key, write)| (&**key, write))
    }

    /// The keys that are written to.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.writes.keys().map(|it| &**it)
    }

    /// The ranges that are removed: the first key of each, and the first that stays.
    pub(super) fn removed(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.removed.iter().map(|(start, end)| (&**start, &**end))
    }

    pub(super) fn add_to(&self, batch: &mut Batch, family: &Family) -> Result<()> {
        for (start, end) in self.removed() {
            batch.delete_range_in(family, start, end)?;
        }
        for (key, write) in &self.writes {
            match &write.base {
                Base::Stored => {}
                Base::Absent => batch.delete_in(family, key)?,
                Base::Value(value) => batch.put_in(family, key, value)?,
                Base::Until(value, until) => batch.put_until_in(family, key, value, *until)?,
            }
            for operand in &write.operands {
                batch.merge_in(family, key, operand)?;
            }
        }
        Ok(())
    }
}
