//! A batch: changes that happen together or not at all.
//!
//! ```text
//!   | sequence: u64 | count: u32 | change | change | ...       the record of the log, as it is
//!
//!   change  | kind: u8 | family | key len | [value len] | key | [value] |     numbers as LEB128
//! ```
//!
//! A batch is built in the form in which the log keeps it, so that a commit copies it once. The
//! sequence number of the first change is filled in when the batch is committed.

use std::time::Duration;

use crate::codec::{Put, Taker};
use crate::meaning::dated;
use crate::memtable::Memtable;
use crate::stamp::{Kind, Sequence};
use crate::{Error, Family, Result};

/// Length of what stands before the changes.
const HEADER: usize = 12;
/// Longest key in bytes.
pub const KEY_LEN_MAX: usize = 1 << 16;
/// Longest value in bytes, where memtables are that large: a batch must fit into a segment of the
/// log, see [`Options::memtable_size`](crate::Options::memtable_size).
pub const VALUE_LEN_MAX: usize = 1 << 30;

/// The number of a family within its store.
pub(crate) type FamilyId = u32;
/// The number of an open store within its process.
pub(crate) type StoreId = u64;

/// Changes that happen together or not at all.
///
/// ```
/// let mut batch = lsm::Batch::new();
/// batch.put(b"alice", b"90")?;
/// batch.put(b"bob", b"110")?;
/// batch.delete(b"carol")?;
/// assert_eq!(batch.len(), 3);
/// # Ok::<(), lsm::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
    /// What the changes take in a memtable.
    span: usize,
    /// The store whose families it names, if it names any but the default one.
    store: Option<StoreId>,
    has_operands: bool,
}

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub(crate) kind: Kind,
    pub(crate) family: FamilyId,
    pub(crate) key: &'a [u8],
    /// Empty for a tombstone, and for a removal the first key that stays.
    pub(crate) value: &'a [u8],
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// A batch without changes.
    pub fn new() -> Self {
        let bytes = vec![0; HEADER];
        Self { bytes, count: 0, span: 0, store: None, has_operands: false }
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes all changes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(HEADER);
        (self.count, self.span) = (0, 0);
        (self.store, self.has_operands) = (None, false);
    }

    /// Sets the value of a key. The last change of a key wins.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.push(&Change { kind: Kind::Value, family: 0, key, value })
    }

    /// Removes a key, present or not.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.push(&Change { kind: Kind::Tombstone, family: 0, key, value: &[] })
    }

    /// [`Batch::put`] in a family. All families of a batch are of one store.
    pub fn put_in(&mut self, family: &Family, key: &[u8], value: &[u8]) -> Result<()> {
        self.push_in(family, Kind::Value, key, value)
    }

    /// [`Batch::delete`] in a family.
    pub fn delete_in(&mut self, family: &Family, key: &[u8]) -> Result<()> {
        self.push_in(family, Kind::Tombstone, key, &[])
    }

    /// Changes the value of a key by an operand; see [`Db::merge`](crate::Db::merge).
    pub fn merge(&mut self, key: &[u8], operand: &[u8]) -> Result<()> {
        self.push(&Change { kind: Kind::Operand, family: 0, key, value: operand })
    }

    /// [`Batch::merge`] in a family.
    pub fn merge_in(&mut self, family: &Family, key: &[u8], operand: &[u8]) -> Result<()> {
        self.push_in(family, Kind::Operand, key, operand)
    }

    /// Sets the value of a key until a date, given as the time since 1970 (UTC): from then on the
    /// key is absent.
    pub fn put_until(&mut self, key: &[u8], value: &[u8], until: Duration) -> Result<()> {
        let value = &*dated(until, value);
        self.push(&Change { kind: Kind::Dated, family: 0, key, value })
    }

    /// [`Batch::put_until`] in a family.
    pub fn put_until_in(
        &mut self,
        family: &Family,
        key: &[u8],
        value: &[u8],
        until: Duration,
    ) -> Result<()> {
        let value = &*dated(until, value);
        self.push_in(family, Kind::Dated, key, value)
    }

    /// Removes all keys from `start` on and below `end`, at the cost of one change. What a batch
    /// does to them later stays.
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) -> Result<()> {
        self.push(&Change { kind: Kind::Removal, family: 0, key: start, value: end })
    }

    /// [`Batch::delete_range`] in a family.
    pub fn delete_range_in(&mut self, family: &Family, start: &[u8], end: &[u8]) -> Result<()> {
        self.push_in(family, Kind::Removal, start, end)
    }

    fn push_in(&mut self, family: &Family, kind: Kind, key: &[u8], value: &[u8]) -> Result<()> {
        let store = family.shared_core().id;
        if self.store.is_some_and(|it| it != store) {
            return Err(Error::Foreign);
        }
        self.push(&Change { kind, family: family.id(), key, value })?;
        self.store = Some(store);
        Ok(())
    }

    #[inline]
    pub(crate) fn push(&mut self, change: &Change<'_>) -> Result<()> {
        let Change { kind, family, key, value } = change;
        let key_len = bounded("a key", key.len(), KEY_LEN_MAX)?;
        let value_len = match kind {
            Kind::Removal => bounded("a key", value.len(), KEY_LEN_MAX)?,
            _ => bounded("a value", value.len(), VALUE_LEN_MAX)?,
        };
        let Some(count) = self.count.checked_add(1) else {
            let (len, limit) = (self.len(), u32::MAX as usize);
            return Err(Error::TooLarge { what: "a batch", len, limit });
        };
        self.count = count;
        self.bytes.put_u8(*kind as u8);
        self.bytes.put_short(*family);
        self.bytes.put_short(key_len);
        if *kind != Kind::Tombstone {
            self.bytes.put_short(value_len);
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.span += Memtable::span(key.len(), value.len());
        self.has_operands |= *kind == Kind::Operand;
        Ok(())
    }

    /// What the changes take in a memtable.
    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// The store whose families it names, if it names any but the default one.
    pub(crate) fn store(&self) -> Option<StoreId> {
        self.store
    }

    /// Whether a merge operator has to say what it means.
    pub(crate) fn has_operands(&self) -> bool {
        self.has_operands
    }

    /// The record for the log, with the number of the first change.
    pub(crate) fn seal(&mut self, first: Sequence) -> &[u8] {
        self.bytes[..8].copy_from_slice(&first.to_le_bytes());
        self.bytes[8..HEADER].copy_from_slice(&self.count.to_le_bytes());
        &self.bytes
    }

    /// The record as it was sealed.
    pub(crate) fn record(&self) -> &[u8] {
        &self.bytes
    }

    /// The changes, in their order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let mut taker = Taker(&self.bytes[HEADER..]);
        std::iter::from_fn(move || take_change(&mut taker))
    }
}

pub(crate) fn bounded(what: &'static str, len: usize, limit: usize) -> Result<u32> {
    let fits = u32::try_from(len).ok().filter(|_| len <= limit);
    fits.ok_or(Error::TooLarge { what, len, limit })
}

#[inline]
fn take_change<'a>(from: &mut Taker<'a>) -> Option<Change<'a>> {
    let kind = Kind::of(from.u8()?).filter(|it| *it != Kind::Pointer)?;
    let family = from.short()?;
    let key_len = from.short()?;
    let value_len = if kind == Kind::Tombstone { 0 } else { from.short()? };
    let key = from.take(key_len)?;
    let value = from.take(value_len)?;
    Some(Change { kind, family, key, value })
}

/// A record of the log: the number of its first change, and all changes. `None` where the bytes are
/// not what [`Batch::seal`] returns.
pub(crate) fn decode(record: &[u8]) -> Option<(Sequence, Vec<Change<'_>>)> {
    let mut taker = Taker(record);
    let (first, count) = (taker.u64()?, taker.u32()?);
    let mut changes = Vec::new();
    while !taker.is_empty() {
        changes.push(take_change(&mut taker)?);
    }
    (changes.len() == count as usize).then_some((first, changes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            changes in prop::collection::vec(
                (0_u8..5, any::<u32>(), any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20),
            first: u64,
        ) {
            let mut batch = Batch::new();
            let mut expected = Vec::new();
            for (kind, family, key, value) in &changes {
                let kind = Kind::of(*kind).expect("there is one");
                let value = if kind == Kind::Tombstone { &[] } else { &**value };
                let change = Change { kind, family: *family, key, value };
                batch.push(&change).expect("it is small");
                expected.push(change);
            }
            prop_assert_eq!(&batch.changes().collect::<Vec<_>>(), &expected);
            let mut batch = batch.clone();
            let record = batch.seal(first);
            prop_assert_eq!(decode(record), Some((first, expected)));
            prop_assert_eq!(decode(&record[..record.len() - 1]), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(decode(&bytes));
        }
    }

    #[test]
    fn a_key_that_is_too_long_is_refused_and_changes_nothing() {
        let mut batch = Batch::new();
        let cause = batch.put(&vec![0; KEY_LEN_MAX + 1], b"").expect_err("it is too long");
        assert!(matches!(cause, Error::TooLarge { len: 65_537, limit: 65_536, .. }), "{cause}");
        assert!(batch.is_empty());
    }
}
