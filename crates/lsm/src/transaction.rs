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

use std::collections::btree_map::{self, BTreeMap};
use std::iter::Peekable;
use std::ops::{ControlFlow, RangeBounds};

use crate::batch::FamilyId;
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
    /// What it wrote, for each family by key; no value where it removed the key.
    writes: BTreeMap<FamilyId, (Family, Writes)>,
    reads: Vec<Read>,
}

type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What a transaction relies on.
#[derive(Debug)]
enum Read {
    Key(Family, Vec<u8>),
    /// Keys from the first on and below the second, if there is one.
    Range(Family, Vec<u8>, Option<Vec<u8>>),
}

impl Transaction {
    pub(crate) fn new(snapshot: Snapshot, isolation: Isolation) -> Self {
        Self { snapshot, isolation, writes: BTreeMap::new(), reads: Vec::new() }
    }

    /// The value of a key: what this transaction wrote, else what there was when it began.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_in(&self.snapshot.default_family().clone(), key)
    }

    /// [`Transaction::get`] in a family.
    pub fn get_in(&mut self, family: &Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.require_own(family)?;
        if let Some(own) = self.writes.get(&family.id()).and_then(|it| it.1.get(key)) {
            return Ok(own.clone());
        }
        if self.isolation == Isolation::Serializable {
            self.reads.push(Read::Key(family.clone(), key.to_vec()));
        }
        self.snapshot.get_in(family, key)
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
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.require_own(family)?;
        let Range { lower, mut upper } = Range::of(&range);
        if upper.as_ref().is_some_and(|upper| *upper <= lower) {
            return Ok(());
        }
        let none = Writes::new();
        let own = self.writes.get(&family.id()).map_or(&none, |it| &it.1);
        let until = upper.clone().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut own = own.range((std::ops::Bound::Included(lower.clone()), until)).peekable();
        let mut stored = self.snapshot.range_in(family, range);
        stored.seek_first()?;
        loop {
            let at = stored.entry().map(|it| it.0);
            let next = if is_own_next(&mut own, at) {
                let (key, value) = own.next().expect("it was just looked at");
                let flow = value.as_ref().map_or(ControlFlow::Continue(()), |it| visit(key, it));
                if stored.entry().is_some_and(|it| it.0 == key) {
                    stored.forward()?;
                }
                flow.is_break().then(|| key.clone())
            } else if let Some((key, value)) = stored.entry() {
                let flow = visit(key, value);
                let last = flow.is_break().then(|| key.to_vec());
                stored.forward()?;
                last
            } else {
                break;
            };
            if let Some(mut last) = next {
                // The smallest key above the last.
                last.push(0);
                upper = Some(last);
                break;
            }
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
        self.set(family, key, Some(value.to_vec()));
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
        self.set(family, key, None);
        Ok(())
    }

    fn require_own(&self, family: &Family) -> Result<()> {
        self.snapshot.default_family().require_same_store(family)
    }

    fn set(&mut self, family: &Family, key: &[u8], value: Option<Vec<u8>>) {
        let writes = self.writes.entry(family.id());
        let (_, writes) = writes.or_insert_with(|| (family.clone(), Writes::new()));
        writes.insert(key.to_vec(), value);
    }

    /// Makes all writes, or none: [`Error::Conflict`] where others were in the way, and then the
    /// transaction is to be tried again from its beginning. One that wrote nothing never conflicts:
    /// what it read was all of one moment.
    ///
    /// Other writers wait while the commit looks at each key that it depends on.
    pub fn commit(self) -> Result<()> {
        let mut batch = Batch::new();
        for (family, writes) in self.writes.values() {
            for (key, value) in writes {
                match value {
                    Some(value) => batch.put_in(family, key, value)?,
                    None => batch.delete_in(family, key)?,
                }
            }
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
            Isolation::Serializable => {
                for read in &self.reads {
                    let found = match read {
                        Read::Key(family, key) => self.changed(family, key)?,
                        Read::Range(family, lower, upper) => {
                            self.changed_in(family, lower, upper.as_deref())?
                        }
                    };
                    if found.is_some() {
                        return Ok(found);
                    }
                }
            }
            Isolation::Snapshot => {
                for (family, writes) in self.writes.values() {
                    for key in writes.keys() {
                        let found = self.changed(family, key)?;
                        if found.is_some() {
                            return Ok(found);
                        }
                    }
                }
            }
        }
        Ok(None)
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

/// Whether the next write of the transaction comes before the entry of the store, or hides it.
fn is_own_next(
    own: &mut Peekable<btree_map::Range<'_, Vec<u8>, Option<Vec<u8>>>>,
    stored: Option<&[u8]>,
) -> bool {
    own.peek().is_some_and(|(key, _)| stored.is_none_or(|stored| ***key <= *stored))
}
