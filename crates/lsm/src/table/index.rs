//! The index of a table: which block may hold a key.
//!
//! An array of heads (see [`crate::head`]) is searched by interpolation: where the keys are spread
//! evenly the guess is off by a few places, and steps that double lead from there to the right one.
//! Where they are not, these steps are a binary search that began in an unlucky place. Heads that
//! are equal to that of the key are then decided by whole keys, always.

use std::ops::Range;

use crate::head::Prefix;

/// Where a block lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// The first key of every block, and where it lies.
#[derive(Debug)]
pub(crate) struct Index {
    prefix: Prefix,
    heads: Box<[u64]>,
    keys: Box<[u8]>,
    key_ends: Box<[u32]>,
    extents: Box<[Extent]>,
}

impl Index {
    /// The index of blocks with these first keys, ascending.
    pub(crate) fn build<'a>(blocks: impl Iterator<Item = (&'a [u8], Extent)> + Clone) -> Self {
        let mut keys = blocks.clone().map(|it| it.0);
        let prefix = match (keys.next(), keys.last()) {
            (Some(first), Some(last)) => Prefix::shared(first, last),
            _ => Prefix::default(),
        };
        let (mut heads, mut keys, mut key_ends, mut extents) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, extent) in blocks {
            heads.push(prefix.head(key));
            keys.extend_from_slice(key);
            key_ends.push(u32::try_from(keys.len()).expect("an index is below 4 GiB"));
            extents.push(extent);
        }
        let (keys, key_ends, extents) = (keys.into(), key_ends.into(), extents.into());
        Self { prefix, heads: heads.into(), keys, key_ends, extents }
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    /// What it takes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.len() + self.len() * (size_of::<Extent>() + 12)
    }

    pub(crate) fn extent(&self, block: usize) -> Extent {
        self.extents[block]
    }

    /// The last block whose first key is not above `key`: the only one that may hold it.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let head = self.prefix.head(key);
        let Range { start, end } = equal_range(&self.heads, head);
        let above = partition(start, end, |at| self.key(at) <= key);
        above.checked_sub(1)
    }

    fn key(&self, block: usize) -> &[u8] {
        let start = if block == 0 { 0 } else { self.key_ends[block - 1] };
        &self.keys[start as usize..self.key_ends[block] as usize]
    }
}

/// Where a number stands in a sorted list: the places of its equals, or an empty range.
#[inline]
fn equal_range(sorted: &[u64], wanted: u64) -> Range<usize> {
    let start = lower_bound(sorted, wanted);
    let equals = sorted[start..].iter().take_while(|it| **it == wanted);
    // Few blocks begin with the same head, unless the heads are of no use at all.
    match equals.take(8).count() {
        8 => start..partition(start, sorted.len(), |at| sorted[at] <= wanted),
        count => start..start + count,
    }
}

/// The first place that is not below `wanted`: a guess, then steps that double, then halves.
#[inline]
fn lower_bound(sorted: &[u64], wanted: u64) -> usize {
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return 0 };
    if wanted <= first {
        return 0;
    }
    if wanted > last {
        return sorted.len();
    }
    let guess = interpolate(first, last, wanted, sorted.len() - 1);
    let (mut low, mut high, mut step) = (guess, guess, 1);
    if sorted[guess] < wanted {
        while sorted[high] < wanted {
            low = high + 1;
            high = (high + step).min(sorted.len() - 1);
            step *= 2;
        }
    } else {
        while low > 0 && sorted[low] >= wanted {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    partition(low, high, |at| sorted[at] < wanted)
}

/// Where between 0 and `places` a number would stand if all were spread evenly.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 of a count that fits; a guess may be off by some places"
)]
fn interpolate(first: u64, last: u64, wanted: u64, places: usize) -> usize {
    let share = (wanted - first) as f64 / (last - first) as f64;
    ((share * places as f64) as usize).min(places)
}

/// The first place from `low` on, `high` at most, that is not `before`.
#[inline]
fn partition(mut low: usize, mut high: usize, before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(keys: &[Vec<u8>]) -> Index {
        let extent = Extent { offset: 0, len: 0 };
        Index::build(keys.iter().map(|key| (&**key, extent)))
    }

    proptest! {
        #[test]
        fn the_guess_never_decides(
            mut sorted in prop::collection::vec(
                prop_oneof![any::<u64>(), 0..4_u64, Just(u64::MAX)], 0..60),
            wanted in prop_oneof![any::<u64>(), 0..5_u64, Just(u64::MAX)],
        ) {
            sorted.sort_unstable();
            let found = equal_range(&sorted, wanted);
            prop_assert_eq!(found.start, sorted.partition_point(|it| *it < wanted));
            prop_assert_eq!(found.end, sorted.partition_point(|it| *it <= wanted));
        }

        #[test]
        fn the_block_is_that_of_a_plain_search(
            mut keys in prop::collection::vec("[ab]{0,14}", 0..60),
            wanted in "[abc]{0,14}",
        ) {
            keys.sort();
            keys.dedup();
            let keys: Vec<_> = keys.into_iter().map(String::into_bytes).collect();
            let expected = keys.partition_point(|it| **it <= *wanted.as_bytes()).checked_sub(1);
            prop_assert_eq!(index(&keys).find(wanted.as_bytes()), expected);
        }
    }

    /// A store that trusted the first eight bytes of a key lost 672 of these 1,000.
    #[test]
    fn keys_with_long_shared_parts_are_all_found() {
        let keys: Vec<_> = (0..1_000).map(|at| format!("key_{at:020}").into_bytes()).collect();
        let index = index(&keys);
        assert!((0..1_000).all(|at| index.find(&keys[at]) == Some(at)));
    }
}
