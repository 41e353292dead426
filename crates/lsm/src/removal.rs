//! Removed ranges of keys.
//!
//! To remove a range writes no tombstone for each key. The family remembers the range and the
//! number of the change, and every reader asks for the newest removal of the key that it found:
//!
//! ```text
//!   keys            a        f        m        t
//!   removal 12               [-----------------)
//!   removal 7       [-----------------)
//!   fragments       [   7    |  12, 7 |   12   )         "g" of change 9 is removed by 12,
//!                                                        and by none for a reader at 10
//! ```
//!
//! Removals are few and belong to the family as a whole, not to tables: those of a memtable hang on
//! it, and a flush hands them to the manifest. A store without any pays a look at a null pointer
//! for each memtable of a read. Merges leave out what is removed, and tables that lie in a removed
//! range go without being read; a removal that no table can need any more is forgotten.

use crate::stamp::Sequence;

/// Keys from `start` on and below `end`, removed by the change of this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
    pub(crate) sequence: Sequence,
}

impl Removal {
    /// Whether keys of a closed range may be removed.
    pub(crate) fn overlaps(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *self.start <= *largest && *smallest < *self.end
    }

    /// Whether all keys of a closed range are removed.
    pub(crate) fn contains(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *self.start <= *smallest && *largest < *self.end
    }

    /// Whether the other one, which is newer, removes all that this one does.
    fn is_within(&self, newer: &Self) -> bool {
        newer.start <= self.start && self.end <= newer.end && self.sequence < newer.sequence
    }
}

/// Removals of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    all: Vec<Removal>,
    /// From each key on to the next one, the numbers of the removals, the newest first.
    fragments: Vec<(Vec<u8>, Vec<Sequence>)>,
}

impl Removals {
    /// Of these, in any order. Takes n log n steps, and n for each that many others overlap.
    pub(crate) fn new(mut all: Vec<Removal>) -> Self {
        all.retain(|it| it.start < it.end);
        all.sort_by_key(|it| it.sequence);
        let mut keys: Vec<Vec<u8>> =
            all.iter().flat_map(|it| [it.start.clone(), it.end.clone()]).collect();
        keys.sort();
        keys.dedup();
        let mut fragments: Vec<_> = keys.into_iter().map(|key| (key, Vec::new())).collect();
        for removal in all.iter().rev() {
            let from = fragments.partition_point(|it| it.0 < removal.start);
            let inside = fragments[from..].iter_mut().take_while(|it| it.0 < removal.end);
            inside.for_each(|it| it.1.push(removal.sequence));
        }
        Self { all, fragments }
    }

    /// These and others.
    pub(crate) fn with(&self, others: impl IntoIterator<Item = Removal>) -> Self {
        Self::new(self.all.iter().cloned().chain(others).collect())
    }

    /// These without the ones of some changes.
    pub(crate) fn without(&self, forgotten: &[Sequence]) -> Self {
        let stay = self.all.iter().filter(|it| !forgotten.contains(&it.sequence));
        Self::new(stay.cloned().collect())
    }

    pub(crate) fn all(&self) -> &[Removal] {
        &self.all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number of the newest removal of a key that is not above `sequence`; 0 where there is
    /// none. A binary search.
    pub(crate) fn newest(&self, key: &[u8], sequence: Sequence) -> Sequence {
        let behind = self.fragments.partition_point(|it| *it.0 <= *key);
        let Some(at) = behind.checked_sub(1) else { return 0 };
        let visible = self.fragments[at].1.iter().find(|it| **it <= sequence);
        visible.copied().unwrap_or(0)
    }

    /// The numbers of those that newer ones make needless: no snapshot tells the two apart.
    pub(crate) fn needless(&self, snapshots: &[Sequence]) -> Vec<Sequence> {
        let stripe = |it: &Removal| snapshots.partition_point(|held| *held < it.sequence);
        let is_needless = |(at, it): &(usize, &Removal)| {
            self.all[at + 1..]
                .iter()
                .any(|newer| it.is_within(newer) && stripe(it) == stripe(newer))
        };
        self.all.iter().enumerate().filter(is_needless).map(|it| it.1.sequence).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn removal(sequence: Sequence, start: u8, end: u8) -> Removal {
        Removal { start: vec![start], end: vec![end], sequence }
    }

    proptest! {
        #[test]
        fn the_newest_removal_is_found_at_every_moment(
            ranges in prop::collection::vec((0_u8..20, 0_u8..20), 0..12),
            order in any::<u64>(),
        ) {
            let mut all: Vec<_> =
                (1..).zip(&ranges).map(|(sequence, it)| removal(sequence, it.0, it.1)).collect();
            let by = usize::try_from(order % 13).expect("small").min(all.len());
            all.rotate_left(by);
            let removals = Removals::default().with(all.clone());
            for key in 0..21 {
                for moment in 0..14 {
                    let hits = all.iter().filter(|it| {
                        it.sequence <= moment && it.start <= vec![key] && vec![key] < it.end
                    });
                    let expected = hits.map(|it| it.sequence).max().unwrap_or(0);
                    prop_assert_eq!(removals.newest(&[key], moment), expected);
                }
            }
        }
    }

    #[test]
    fn a_removal_within_a_newer_one_is_needless_unless_a_snapshot_lies_between() {
        let removals = Removals::new(vec![removal(3, 5, 9), removal(8, 4, 9), removal(9, 6, 7)]);
        assert_eq!(removals.needless(&[]), [3]);
        assert_eq!(removals.needless(&[2, 8]), [3]);
        assert!(removals.needless(&[3]).is_empty(), "it sees the first and not the second");
        assert_eq!(removals.without(&[3]).all().len(), 2);
    }
}
