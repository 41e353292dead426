//! Which moments are still looked at, and what versions that keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::removal::Removals;
use crate::run::Run;
use crate::stamp::{Kind, SEQUENCE_MAX, Sequence, Stamp};
use crate::sync::Mutex;

/// The snapshots that are held.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Mutex<BTreeMap<Sequence, usize>>);

impl Snapshots {
    /// Holds the moment that `now` tells, which is asked under the lock: a merge that began before
    /// has seen it or keeps everything that it could see.
    pub(crate) fn take(&self, now: impl FnOnce() -> Sequence) -> Sequence {
        let mut held = self.0.lock();
        let sequence = now();
        *held.entry(sequence).or_insert(0) += 1;
        sequence
    }

    pub(crate) fn give_back(&self, sequence: Sequence) {
        let mut held = self.0.lock();
        if let Some(count) = held.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                held.remove(&sequence);
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().values().sum()
    }

    /// Those that are held now, the oldest first.
    pub(crate) fn list(&self) -> Vec<Sequence> {
        self.0.lock().keys().copied().collect()
    }
}

/// What lies beneath a merge, for questions in the order of keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beneath(Vec<(Arc<[Closed]>, usize)>);

/// The smallest and the largest key of a table.
type Closed = (Vec<u8>, Vec<u8>);

impl Beneath {
    pub(crate) fn new<'r>(runs: impl Iterator<Item = &'r Run>) -> Self {
        let ends = |run: &Run| {
            let metas = run.tables().iter().map(|it| &it.meta);
            metas.map(|it| (it.smallest.clone(), it.largest.clone())).collect()
        };
        Self(runs.map(|it| (ends(it), 0)).collect())
    }

    /// Whether a key lies within a table. Keys must ascend from one question to the next.
    fn may_hold(&mut self, key: &[u8]) -> bool {
        self.0.iter_mut().any(|(tables, at)| {
            while tables.get(*at).is_some_and(|it| *it.1 < *key) {
                *at += 1;
            }
            tables.get(*at).is_some_and(|it| *it.0 <= *key)
        })
    }
}

/// Decides which versions a merge keeps.
///
/// Snapshots divide time into stripes. Of a key's versions in one stripe only the newest can be
/// seen by anyone:
///
/// ```text
///   versions      9    7    6      |      4    3      |      1
///   snapshots                      5                  2
///   kept          9                       4                  1
/// ```
///
/// The newest, and where that is an operand, what it needs beneath it; see `fold.rs`.
///
/// Where no older table may hold its key a tombstone of the oldest stripe hides nothing and goes.
/// At the bottom, where nothing older lies beneath any key, that is so for all, and the number of a
/// value there is of no interest to anyone and becomes zero. A version goes too where a removed
/// range hides it from all who could see it; and while there are removed ranges numbers stay,
/// because they tell what was written before and what after.
#[derive(Clone, Debug)]
pub(crate) struct Retain {
    snapshots: Vec<Sequence>,
    removals: Arc<Removals>,
    is_bottom: bool,
    beneath: Beneath,
    key: Vec<u8>,
    /// The stripe of the last version of the key; none before the first.
    stripe: Option<usize>,
}

impl Retain {
    pub(crate) fn new(
        snapshots: Vec<Sequence>,
        removals: Arc<Removals>,
        is_bottom: bool,
        beneath: Beneath,
    ) -> Self {
        Self { snapshots, removals, is_bottom, beneath, key: Vec::new(), stripe: None }
    }

    /// Between which snapshots a version was written: 0 is before the oldest.
    pub(crate) fn stripe_of(&self, stamp: Stamp) -> usize {
        self.snapshots.partition_point(|it| *it < stamp.sequence())
    }

    pub(crate) fn is_bottom(&self) -> bool {
        self.is_bottom
    }

    /// The stamp under which a version is kept, if it is. Entries come in the order of a merge.
    #[inline]
    pub(crate) fn keep(&mut self, key: &[u8], stamp: Stamp) -> Option<Stamp> {
        if self.stripe.is_none() || self.key != key {
            self.key.clear();
            self.key.extend_from_slice(key);
            self.stripe = None;
        }
        let stripe = self.stripe_of(stamp);
        if self.stripe == Some(stripe) {
            return None;
        }
        // An operand needs what lies beneath it.
        if !stamp.is(Kind::Operand) {
            self.stripe = Some(stripe);
        }
        if !self.removals.is_empty() {
            let last = self.snapshots.get(stripe).copied().unwrap_or(SEQUENCE_MAX);
            if self.removals.newest(key, last) > stamp.sequence() {
                return None;
            }
        }
        if self.is_bottom && stripe == 0 && !stamp.is(Kind::Operand) {
            let number = if self.removals.is_empty() { 0 } else { stamp.sequence() };
            return (!stamp.is_tombstone()).then(|| Stamp::new(number, stamp.kind()));
        }
        if stripe == 0 && stamp.is_tombstone() && !self.beneath.may_hold(key) {
            return None;
        }
        Some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::removal::Removal;
    use crate::stamp::Kind::{Tombstone, Value};

    fn kept(snapshots: &[Sequence], is_bottom: bool, versions: &[Stamp]) -> Vec<Stamp> {
        let ends: Arc<[Closed]> = Arc::new([(b"k".to_vec(), b"l".to_vec())]);
        let beneath = Beneath(vec![(ends, 0)]);
        let mut retain = Retain::new(snapshots.to_vec(), Arc::default(), is_bottom, beneath);
        versions.iter().filter_map(|it| retain.keep(b"key", *it)).collect()
    }

    #[test]
    fn the_newest_of_each_stripe_stays() {
        let value = |sequence| Stamp::new(sequence, Value);
        let versions = [9, 7, 6, 4, 3, 1].map(value);
        assert_eq!(kept(&[2, 5], false, &versions), [9, 4, 1].map(value));
        assert_eq!(kept(&[], false, &versions), [value(9)]);
        assert_eq!(kept(&[2, 5], true, &versions), [value(9), value(4), value(0)]);
    }

    #[test]
    fn a_tombstone_goes_only_at_the_bottom_and_only_when_nobody_looks_past_it() {
        let versions = [Stamp::new(5, Tombstone), Stamp::new(3, Value)];
        assert_eq!(kept(&[], true, &versions), []);
        assert_eq!(kept(&[], false, &versions), versions[..1]);
        let held = [Stamp::new(5, Tombstone), Stamp::new(0, Value)];
        assert_eq!(kept(&[4], true, &versions), held, "a snapshot sees the value");
        assert_eq!(kept(&[5], true, &versions), []);
    }

    #[test]
    fn a_tombstone_goes_where_no_table_beneath_may_hold_its_key() {
        let closed = |first: u8, last: u8| (vec![first], vec![last]);
        let runs = [vec![closed(2, 4), closed(7, 7)], vec![closed(3, 5)]];
        let beneath = Beneath(runs.into_iter().map(|it| (it.into(), 0)).collect());
        let kept = |snapshots: &[Sequence]| -> Vec<u8> {
            let (snapshots, beneath) = (snapshots.to_vec(), beneath.clone());
            let mut retain = Retain::new(snapshots, Arc::default(), false, beneath);
            let is_kept = |it: &u8| retain.keep(&[*it], Stamp::new(5, Tombstone)).is_some();
            (0..10).filter(is_kept).collect()
        };
        assert_eq!(kept(&[]), [2, 3, 4, 5, 7]);
        assert_eq!(kept(&[5]), [2, 3, 4, 5, 7]);
        assert_eq!(kept(&[4]).len(), 10, "a snapshot sees what it hides");
    }

    #[test]
    fn a_removed_range_hides_what_is_older_from_all_who_see_it() {
        let removal = Removal { start: b"a".to_vec(), end: b"z".to_vec(), sequence: 5 };
        let removals = Arc::new(Removals::new(vec![removal]));
        let kept = |snapshots: &[Sequence], versions: &[Stamp]| -> Vec<Stamp> {
            let (snapshots, removals) = (snapshots.to_vec(), Arc::clone(&removals));
            let mut retain = Retain::new(snapshots, removals, true, Beneath::default());
            versions.iter().filter_map(|it| retain.keep(b"key", *it)).collect()
        };
        let versions = [7, 4, 2].map(|it| Stamp::new(it, Value));
        assert_eq!(kept(&[], &versions), versions[..1], "and it keeps its number");
        assert_eq!(kept(&[3], &versions), [versions[0], versions[2]]);
        assert_eq!(kept(&[4], &versions), versions[..2]);
        assert_eq!(kept(&[5], &versions[1..]), []);
        assert_eq!(kept(&[6, 9], &versions), versions[..1]);
    }

    #[test]
    fn a_snapshot_is_held_until_all_who_took_it_give_it_back() {
        let snapshots = Snapshots::default();
        assert_eq!((snapshots.take(|| 7), snapshots.take(|| 7)), (7, 7));
        snapshots.give_back(7);
        assert_eq!(snapshots.list(), [7]);
        snapshots.give_back(7);
        assert!(snapshots.list().is_empty());
    }
}
