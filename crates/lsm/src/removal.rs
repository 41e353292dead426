//! Removed ranges of keys.
//!
//! To remove a range writes no tombstone for each key. The family remembers the range and the
//! number of the change, and every reader asks for the newest removal of the key that it found:
//!
//! ```text
//!   keys            a        f        m        t
//!   removal 12               [-----------------)
//!   removal 7       [-----------------)
//!                                                        "g" of change 9 is removed by 12,
//!   stretches       [   0    |   1    |   2    )         and by none for a reader at 10
//!   tree                [ 7      ]                       7 hangs on the node above 0 and 1,
//!                   [   0    |   1    ]  [ 2: 12 ]       12 on two: each on few, all are found
//!                            [ 1: 12 ]                   on the way from a stretch to the root
//! ```
//!
//! The ends of all removals cut the keys into stretches, the leaves of a segment tree (Bentley,
//! 1977): `n` removals hang on at most `2 n log n` nodes, also where all of them overlap, and a
//! question takes one binary search and `log n` steps.
//!
//! Removals belong to the family as a whole, not to tables: those of a memtable hang on it, in
//! layers (`removal/layers.rs`), and a flush hands them to the manifest. A store without any pays a
//! look at a null pointer for each memtable of a read. Merges leave out what is removed, and tables
//! that lie in a removed range go without being read; a removal that no table can need any more is
//! forgotten.

mod layers;

use std::collections::BTreeMap;

pub(crate) use self::layers::{Layers, Watch};
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
}

/// Removals of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    /// The oldest first.
    all: Vec<Removal>,
    /// Where stretches begin. The last one is removed by none, as are all keys below the first.
    begins: Vec<Vec<u8>>,
    /// The segment tree over the stretches: the leaf of one is its number and their count, the root
    /// is 1, and a node is above twice its number and the one behind. Newest numbers come first.
    nodes: Vec<Vec<Sequence>>,
}

impl Removals {
    /// Of these, in any order. Takes n log n steps.
    pub(crate) fn new(mut all: Vec<Removal>) -> Self {
        all.retain(|it| it.start < it.end);
        all.sort_by_key(|it| it.sequence);
        let mut begins: Vec<Vec<u8>> =
            all.iter().flat_map(|it| [it.start.clone(), it.end.clone()]).collect();
        begins.sort();
        begins.dedup();
        let mut nodes = vec![Vec::new(); 2 * begins.len()];
        for removal in all.iter().rev() {
            let stretch = |key: &Vec<u8>| begins.partition_point(|it| it < key);
            let mut from = stretch(&removal.start) + begins.len();
            let mut to = stretch(&removal.end) + begins.len();
            // From both ends upwards, each node that is inside and whose parent is not.
            while from < to {
                if from % 2 == 1 {
                    nodes[from].push(removal.sequence);
                    from += 1;
                }
                if to % 2 == 1 {
                    to -= 1;
                    nodes[to].push(removal.sequence);
                }
                (from, to) = (from / 2, to / 2);
            }
        }
        Self { all, begins, nodes }
    }

    /// These and others.
    pub(crate) fn with(&self, others: impl IntoIterator<Item = Removal>) -> Self {
        Self::new(self.all.iter().cloned().chain(others).collect())
    }

    /// These without the ones of some changes, whose numbers ascend.
    pub(crate) fn without(&self, forgotten: &[Sequence]) -> Self {
        debug_assert!(forgotten.is_sorted(), "a search finds only what is sorted");
        let stay = self.all.iter().filter(|it| forgotten.binary_search(&it.sequence).is_err());
        Self::new(stay.cloned().collect())
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> &[Removal] {
        &self.all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number of the newest removal of a key that is not above `sequence`; 0 where there is
    /// none.
    pub(crate) fn newest(&self, key: &[u8], sequence: Sequence) -> Sequence {
        self.newest_in(self.stretch_of(key), sequence)
    }

    /// The stretch of a key, or `None` below all.
    fn stretch_of(&self, key: &[u8]) -> Option<usize> {
        self.begins.partition_point(|it| **it <= *key).checked_sub(1)
    }

    /// Whether a key lies in a stretch.
    fn is_in(&self, key: &[u8], stretch: Option<usize>) -> bool {
        let end = self.begins.get(stretch.map_or(0, |it| it + 1));
        stretch.is_none_or(|it| *self.begins[it] <= *key) && end.is_none_or(|it| *key < **it)
    }

    fn newest_in(&self, stretch: Option<usize>, sequence: Sequence) -> Sequence {
        let Some(stretch) = stretch else { return 0 };
        let (mut node, mut newest) = (stretch + self.begins.len(), 0);
        while node > 0 {
            let here = &self.nodes[node];
            let visible = here.get(here.partition_point(|it| *it > sequence));
            newest = newest.max(visible.copied().unwrap_or(0));
            node /= 2;
        }
        newest
    }

    /// The numbers of those that newer ones make needless, ascending: they remove nothing that one
    /// newer one does not, and no snapshot tells the two apart. Takes n log n steps.
    pub(crate) fn needless(&self, snapshots: &[Sequence]) -> Vec<Sequence> {
        let stripe = |it: &Removal| snapshots.partition_point(|held| *held < it.sequence);
        let (mut needless, mut present) = (Vec::new(), None);
        // Of newer ones those that are not within others: where starts ascend, ends do too.
        let mut widest: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
        for removal in self.all.iter().rev() {
            if present.replace(stripe(removal)) != Some(stripe(removal)) {
                widest.clear();
            }
            let (start, end) = (&*removal.start, &*removal.end);
            if widest.range(..=start).next_back().is_some_and(|it| *it.1 >= end) {
                needless.push(removal.sequence);
                continue;
            }
            while let Some((&within, _)) = widest.range(start..).next().filter(|it| *it.1 <= end) {
                widest.remove(within);
            }
            widest.insert(start, end);
        }
        needless.reverse();
        needless
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

    proptest! {
        #[test]
        fn what_is_needless_lies_within_one_newer_removal(
            ranges in prop::collection::vec((0_u8..12, 0_u8..12), 0..12),
            snapshots in prop::collection::btree_set(0_u64..14, 0..4),
        ) {
            let all = (1..).zip(&ranges).map(|(sequence, it)| removal(sequence, it.0, it.1));
            let removals = Removals::new(all.collect());
            let snapshots: Vec<_> = snapshots.into_iter().collect();
            let stripe = |it: &Removal| snapshots.partition_point(|held| *held < it.sequence);
            let all = removals.all();
            let is_needless = |it: &&Removal| all.iter().any(|newer| {
                newer.start <= it.start && it.end <= newer.end
                    && newer.sequence > it.sequence && stripe(it) == stripe(newer)
            });
            let expected: Vec<_> = all.iter().filter(is_needless).map(|it| it.sequence).collect();
            prop_assert_eq!(removals.needless(&snapshots), expected);
        }
    }

    /// Each of them removes all that older ones do, and more: lists for each stretch would hold
    /// fifty million numbers.
    #[test]
    fn ten_thousand_that_overlap_take_little_room() {
        let key = |number: u64| number.to_be_bytes().to_vec();
        let of = |number| Removal { start: key(0), end: key(number), sequence: number };
        let removals = Removals::new((1..=10_000).map(of).collect());
        let numbers: usize = removals.nodes.iter().map(Vec::len).sum();
        assert!(numbers < 10_000 * 30, "{numbers} numbers");
        assert_eq!(removals.newest(&key(77), 5_000), 5_000);
        assert_eq!(removals.newest(&key(7_000), 5_000), 0);
        assert_eq!(removals.newest(&key(9_999), Sequence::MAX), 10_000);
        assert_eq!(removals.needless(&[]).len(), 9_999);
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
