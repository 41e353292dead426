//! Spreading the entries of a bin over the bins that take over from it.
//!
//! ```text
//!   bin 3          a | b | c | d | e          in the order in which they lie
//!                  |   |   |   |   |
//!   next, bin 6    a   |   c   d   |          one slot after the other;
//!   next, bin 7        b           e          tags are gathered and written once
//! ```
//!
//! Nobody can see the new bins yet, so that no slot of them need be searched for, and the tags of
//! those that are filled need not be read. What a bin has no slot for goes the usual way.

use super::bin::{Bin, HOME};
use super::table::Table;
use super::tags::tag_of;

/// Bins over which one is spread like this, at most.
pub(super) const WAYS_MAX: usize = 4;

/// What a new bin has so far.
#[derive(Clone, Copy, Default)]
struct Part {
    tags: [[u8; 8]; 2],
    count: usize,
}

impl Table {
    /// Adds entries, with their hashes, to `ways` empty bins from `first` on, a power of two of
    /// them, which nobody else can reach yet.
    ///
    /// A hash that is not of these bins is the work of a hasher that has changed its mind: then
    /// one of these gets the entry, and nobody will find it. No other bin is touched, since it may
    /// be another mover's.
    pub(super) fn settle_split(
        &self,
        first: usize,
        ways: usize,
        entries: impl Iterator<Item = (u64, (u64, u64))>,
    ) {
        let (heads, homes) = self.open(first..first + ways);
        let mut parts = [Part::default(); WAYS_MAX];
        for (hash, (key, value)) in entries {
            let way = self.index(hash) & (ways - 1);
            let (home, part) = (&homes[way], &mut parts[way % WAYS_MAX]);
            if part.count >= HOME {
                // The tags tell that all slots are taken.
                heads[way].set_tags(part.tags);
                self.settle_alone(Bin { head: &heads[way], slots: home }, hash, key, value);
                continue;
            }
            home[part.count].fill(key, value);
            part.tags[part.count / 8][part.count % 8] = tag_of(hash);
            part.count += 1;
        }
        for (head, part) in heads.iter().zip(parts) {
            head.set_tags(part.tags);
        }
    }

    /// The same for more than [`WAYS_MAX`] bins, as where a map is asked to make room.
    #[cold]
    pub(super) fn settle_far(
        &self,
        first: usize,
        ways: usize,
        entries: impl Iterator<Item = (u64, (u64, u64))>,
    ) {
        let (heads, homes) = self.open(first..first + ways);
        for (hash, (key, value)) in entries {
            let way = self.index(hash) & (ways - 1);
            let bin = Bin { head: &heads[way], slots: &homes[way] };
            self.settle_alone(bin, hash, key, value);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::zeroed::Pages;

    /// All that a hash may be in a table of eight bins: the bin, a tag, and what annexes look at.
    fn hash(bin: u64, number: u64) -> u64 {
        bin << 61 | (number + 1) << 24 | number
    }

    #[test]
    fn entries_come_to_their_bins_and_those_too_many_to_annexes() {
        for ways in [1, 2, 4] {
            let table = Table::new(8, Some(8 / ways), Pages::Small).expect("memory for eight bins");
            let first = 4_usize;
            // The first of the bins is crowded, the second full, and those behind have a few.
            let counts = [HOME + 5, HOME, 3, 0];
            let all = || {
                let bins = (0..).zip(counts).take(ways);
                bins.flat_map(|(way, count)| (0..count as u64).map(move |number| (way, number)))
            };
            let key = |(way, number): (u64, u64)| way << 32 | number;
            let entries = all().map(|it| (hash(first as u64 + it.0, it.1), (key(it), it.1)));
            table.settle_split(first, ways, entries);
            for it in all() {
                let found = table.get(hash(first as u64 + it.0, it.1), key(it));
                assert_eq!(found, Some(it.1), "{it:?} of {ways} ways");
            }
            for (way, count) in counts.into_iter().enumerate().take(ways) {
                let bin = table.bin_at(first + way);
                let mut held = 0;
                table.for_each_slot(bin, |_slot| held += 1);
                assert_eq!(held, count, "bin {way} of {ways}");
            }
        }
    }

    /// A hasher may be wrong; the bins of others are none of its business.
    #[test]
    fn an_entry_of_another_bin_stays_within_those_that_are_moved_into() {
        let strays = || std::iter::once((hash(7, 0), (1, 1)));
        let held_in = |table: &Table, bins: std::ops::Range<usize>| {
            let mut held = 0;
            bins.for_each(|bin| table.for_each_slot(table.bin_at(bin), |_slot| held += 1));
            held
        };
        let table = Table::new(8, Some(4), Pages::Small).expect("memory for eight bins");
        table.settle_split(2, 2, strays());
        assert_eq!(held_in(&table, 2..4), 1);
        let table = Table::new(16, Some(2), Pages::Small).expect("memory for sixteen bins");
        table.settle_far(0, 8, strays());
        assert_eq!(held_in(&table, 0..8), 1);
    }
}
