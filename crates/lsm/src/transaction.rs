//! Transactions: reads of one moment, writes that happen together, or a conflict.
//!
//! A transaction is optimistic (Kung and Robinson, 1981): it locks nothing, keeps its writes to
//! itself and remembers what it read. Its commit takes the writer's lock, looks whether anything
//! that matters was changed since its moment, and writes its batch only if not:
//!
//! ```text
//!   begin ---- get a ---- scan [m, p) ---- put b ----------> commit
//!     |                                                        |
//!     +-- moment 17                a, [m, p) unchanged since 17?  --no--> Error::Conflict
//!                                                              +-- yes -> the batch, whole
//! ```
//!
//! What matters is the difference between the two levels of [`Isolation`]. The look is cheap: what
//! changed lately is in the memtable, and tables older than the moment are not asked.

mod own;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeBounds};
use std::time::Duration;

use self::own::{Base, Own, Write};
use crate::batch::FamilyId;
use crate::iter::Iter;
use crate::range::Range;
use crate::{Batch, Error, Family, Key, Result, Snapshot};

/// Which changes of others, made since a transaction began, are in the way of its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Changes of what it read, keys and ranges alike: the outcome is as if transactions had run
    /// one after the other, in the order of their commits.
    #[default]
    Serializable,
    /// Changes of what it writes (the first to commit wins). Two transactions may each read what
    /// the other one writes, and both commit: that is write skew (Berenson et al., "A Critique of
    /// ANSI SQL Isolation Levels", 1995).
    Snapshot,
}

/// A transaction, begun by [`Db::transaction`](crate::Db::transaction). Dropped, it does nothing.
///
/// ```
/// # let folder = tempfile::tempdir().expect("the temporary directory is writable");
/// let db = lsm::Db::open(folder.path(), lsm::Options::default())?;
/// db.put(b"stock", &[3])?;
/// let mut sale = db.transaction(lsm::Isolation::Serializable);
/// let stock = sale.get(b"stock")?.expect("it was put");
/// sale.put(b"stock", &[stock[0] - 1])?;
/// db.put(b"stock", &[0])?;
/// assert!(matches!(sale.commit(), Err(lsm::Error::Conflict { .. })), "somebody was faster");
/// # Ok::<(), lsm::Error>(())
/// ```
#[derive(Debug)]
pub struct Transaction {
    snapshot: Snapshot,
    isolation: Isolation,
    /// What it changes in each family.
    own: BTreeMap<FamilyId, (Family, Own)>,
    reads: Vec<Read>,
}

/// What a transaction relies on.
#[derive(Debug)]
enum Read {
    Key(Family, Vec<u8>),
    /// Keys from the first on and below the second, if there is one.
    Range(Family, Vec<u8>, Option<Vec<u8>>),
}

impl Transaction {
    pub(crate) fn new(snapshot: Snapshot, isolation: Isolation) -> Self {
        Self { snapshot, isolation, own: BTreeMap::new(), reads: Vec::new() }
    }

    /// The value of a key: what this transaction wrote, else what there was when it began.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_in(&self.snapshot.default_family().clone(), key)
    }

    /// [`Transaction::get`] in a family.
    pub fn get_in(&mut self, family: &Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.require_own(family)?;
        let own = self.own.get(&family.id()).map(|it| &it.1);
        let write = own.and_then(|it| it.write(key));
        let hides = |own: &Own| own.is_removed(key);
        let shows = write.map_or(!own.is_some_and(hides), |it| it.base == Base::Stored);
        let stored = if shows { self.snapshot.get_in(family, key)? } else { None };
        let value = match write {
            Some(write) => resolved(family, key, write, stored.as_deref())?.map(Cow::into_owned),
            None => stored,
        };
        if shows && self.isolation == Isolation::Serializable {
            self.reads.push(Read::Key(family.clone(), key.to_vec()));
        }
        Ok(value)
    }

    /// Calls `visit` with the entries of a range, in the order of their keys, until it breaks off.
    /// What lies behind the last visited key does not count as read.
    pub fn scan<'k>(
        &mut self,
        range: impl RangeBounds<&'k [u8]>,
        visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.scan_in(&self.snapshot.default_family().clone(), range, visit)
    }

    /// [`Transaction::scan`] in a family.
    pub fn scan_in<'k>(
        &mut self,
        family: &Family,
        range: impl RangeBounds<&'k [u8]>,
        visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.require_own(family)?;
        let Range { lower, mut upper } = Range::of(&range);
        if upper.as_ref().is_some_and(|upper| *upper <= lower) {
            return Ok(());
        }
        let none = Own::default();
        let own = self.own.get(&family.id()).map_or(&none, |it| &it.1);
        let mut stored = self.snapshot.range_in(family, range);
        stored.seek_first()?;
        if let Some(mut last) = visit_all(family, own, &lower, upper.as_deref(), stored, visit)? {
            // The smallest key above the last.
            last.push(0);
            upper = Some(last);
        }
        if self.isolation == Isolation::Serializable {
            self.reads.push(Read::Range(family.clone(), lower, upper));
        }
        Ok(())
    }

    /// Sets the value of a key, once the transaction is committed.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_in(&self.snapshot.default_family().clone(), key, value)
    }

    /// [`Transaction::put`] in a family.
    pub fn put_in(&mut self, family: &Family, key: &[u8], value: &[u8]) -> Result<()> {
        self.require_own(family)?;
        // A batch refuses what is too large, and now is a better time than the commit.
        Batch::new().put_in(family, key, value)?;
        self.own_of(family).set(key, Base::Value(value.to_vec()));
        Ok(())
    }

    /// Sets the value of a key until a date, given as the time since 1970 (UTC), once the
    /// transaction is committed. From then on the key is absent, also for the transaction.
    pub fn put_until(&mut self, key: &[u8], value: &[u8], until: Duration) -> Result<()> {
        self.put_until_in(&self.snapshot.default_family().clone(), key, value, until)
    }

    /// [`Transaction::put_until`] in a family.
    pub fn put_until_in(
        &mut self,
        family: &Family,
        key: &[u8],
        value: &[u8],
        until: Duration,
    ) -> Result<()> {
        self.require_own(family)?;
        Batch::new().put_until_in(family, key, value, until)?;
        self.own_of(family).set(key, Base::Until(value.to_vec(), until));
        Ok(())
    }

    /// Changes the value of a key by an operand, once the transaction is committed; see
    /// [`Db::merge`](crate::Db::merge). Nothing is read for it, so that transactions that merge
    /// into the same key are not in each other's way where they are [`Isolation::Serializable`].
    pub fn merge(&mut self, key: &[u8], operand: &[u8]) -> Result<()> {
        self.merge_in(&self.snapshot.default_family().clone(), key, operand)
    }

    /// [`Transaction::merge`] in a family.
    pub fn merge_in(&mut self, family: &Family, key: &[u8], operand: &[u8]) -> Result<()> {
        self.require_own(family)?;
        if !family.shared_core().meaning.has_operator() {
            return Err(Error::NoMergeOperator);
        }
        Batch::new().merge_in(family, key, operand)?;
        self.own_of(family).merge(key, operand);
        Ok(())
    }

    /// Removes a key, present or not, once the transaction is committed.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.delete_in(&self.snapshot.default_family().clone(), key)
    }

    /// [`Transaction::delete`] in a family.
    pub fn delete_in(&mut self, family: &Family, key: &[u8]) -> Result<()> {
        self.require_own(family)?;
        Batch::new().delete_in(family, key)?;
        self.own_of(family).set(key, Base::Absent);
        Ok(())
    }

    /// Removes all keys from `start` on and below `end`, once the transaction is committed: those
    /// that others have added by then as well, unless that is a conflict.
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) -> Result<()> {
        self.delete_range_in(&self.snapshot.default_family().clone(), start, end)
    }

    /// [`Transaction::delete_range`] in a family.
    pub fn delete_range_in(&mut self, family: &Family, start: &[u8], end: &[u8]) -> Result<()> {
        self.require_own(family)?;
        Batch::new().delete_range_in(family, start, end)?;
        self.own_of(family).remove(start, end);
        Ok(())
    }

    fn require_own(&self, family: &Family) -> Result<()> {
        self.snapshot.default_family().require_same_store(family)
    }

    fn own_of(&mut self, family: &Family) -> &mut Own {
        let own = self.own.entry(family.id());
        &mut own.or_insert_with(|| (family.clone(), Own::default())).1
    }

    /// Makes all writes, or none: [`Error::Conflict`] where others were in the way, and then the
    /// transaction is to be tried again from its beginning. One that wrote nothing never conflicts:
    /// what it read was all of one moment.
    ///
    /// Other writers wait while the commit looks at each key that it depends on.
    pub fn commit(self) -> Result<()> {
        let mut batch = Batch::new();
        for (family, own) in self.own.values() {
            own.add_to(&mut batch, family)?;
        }
        let core = self.snapshot.default_family().shared_core();
        match core.commit_unless(&mut batch, || self.obstacle())? {
            Some(conflict) => Err(conflict),
            None => Ok(()),
        }
    }

    /// The first change of others that is in the way.
    fn obstacle(&self) -> Result<Option<Error>> {
        match self.isolation {
            Isolation::Serializable => first(self.reads.iter().map(|read| match read {
                Read::Key(family, key) => self.changed(family, key),
                Read::Range(family, lower, upper) => {
                    self.changed_in(family, lower, upper.as_deref())
                }
            })),
            Isolation::Snapshot => first(self.own.values().flat_map(|(family, own)| {
                let keys = own.keys().map(|key| self.changed(family, key));
                let ranges = own.removed();
                keys.chain(ranges.map(|(start, end)| self.changed_in(family, start, Some(end))))
            })),
        }
    }

    fn changed(&self, family: &Family, key: &[u8]) -> Result<Option<Error>> {
        let newest = family.core().newest_change(key)?;
        Ok((newest > self.snapshot.sequence()).then(|| conflict(family, key.to_vec())))
    }

    fn changed_in(
        &self,
        family: &Family,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> Result<Option<Error>> {
        let since = self.snapshot.sequence();
        let key = family.core().changed_since(since, lower, upper)?;
        Ok(key.map(|key| conflict(family, key)))
    }
}

fn conflict(family: &Family, key: Vec<u8>) -> Error {
    Error::Conflict { family: family.name().to_owned(), key: Key(key) }
}

/// The first that is found, or that could not be looked for.
fn first(mut looks: impl Iterator<Item = Result<Option<Error>>>) -> Result<Option<Error>> {
    looks.find_map(Result::transpose).transpose()
}

/// The value of a key that was written to, on top of what the store has where that shows.
fn resolved<'a>(
    family: &Family,
    key: &[u8],
    write: &'a Write,
    stored: Option<&'a [u8]>,
) -> Result<Option<Cow<'a, [u8]>>> {
    let meaning = &family.shared_core().meaning;
    let base = match &write.base {
        Base::Stored => stored,
        Base::Absent => None,
        Base::Value(value) => Some(&**value),
        Base::Until(value, until) => (meaning.now() < *until).then_some(&**value),
    };
    if write.operands.is_empty() {
        return Ok(base.map(Cow::Borrowed));
    }
    let operands: Vec<_> = write.operands.iter().rev().map(|it| Cow::Borrowed(&**it)).collect();
    meaning.merged(key, base, &operands).map(|it| Some(Cow::Owned(it)))
}

/// Walks through what the store has of a range together with what the transaction writes to it.
/// Returns the key at which `visit` broke off.
fn visit_all(
    family: &Family,
    own: &Own,
    lower: &[u8],
    upper: Option<&[u8]>,
    mut stored: Iter,
    mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
) -> Result<Option<Vec<u8>>> {
    let mut writes = own.writes_in(lower, upper).peekable();
    loop {
        let at = stored.entry();
        // A write comes before the entry of its own key, and hides it or changes it.
        let next = writes.next_if(|(key, _)| at.is_none_or(|(stored, _)| *key <= stored));
        let flow = match (next, at) {
            (Some((key, write)), at) => {
                let under = at.filter(|it| it.0 == key);
                let value = resolved(family, key, write, under.map(|it| it.1))?;
                let flow = value.map_or(ControlFlow::Continue(()), |it| visit(key, &it));
                if under.is_some() {
                    stored.forward()?;
                }
                flow.map_break(|()| key.to_vec())
            }
            (None, Some((key, value))) => {
                let is_hidden = own.is_removed(key);
                let flow = if is_hidden { ControlFlow::Continue(()) } else { visit(key, value) };
                let flow = flow.map_break(|()| key.to_vec());
                stored.forward()?;
                flow
            }
            (None, None) => return Ok(None),
        };
        if let ControlFlow::Break(last) = flow {
            return Ok(Some(last));
        }
    }
}
