//! Large blocks by their address: open addressing with linear probing, far from all blocks.
//!
//! A removed entry is filled from behind, so that there are no tombstones, and a look ends at the
//! first empty place.

#![expect(unsafe_code, reason = "the places lie in a mapping")]

use crate::os::guarded;
use crate::secure::plan::{PAGE, Plan};

/// Places of the first table.
const FIRST: usize = 512;

/// A large block. All zero where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Entry {
    pub(super) start: usize,
    pub(super) size: usize,
    pub(super) align: usize,
    /// The mapping, guards and all.
    pub(super) map: usize,
    pub(super) mapped: usize,
    /// What of it can be accessed.
    pub(super) opened: usize,
    pub(super) open: usize,
    pub(super) owner: u32,
    pub(super) freed: bool,
    /// Freed, and none of it can be accessed: the system may refuse that.
    pub(super) closed: bool,
}

impl Entry {
    /// Whether an address lies in the mapping.
    pub(super) fn holds(&self, address: usize) -> bool {
        address.wrapping_sub(self.map) < self.mapped
    }
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Table {
    plan: &'static Plan,
    places: &'static mut [Entry],
    used: usize,
}

impl Table {
    pub(super) const fn new(plan: &'static Plan) -> Self {
        Self { plan, places: &mut [], used: 0 }
    }

    fn home(&self, start: usize) -> usize {
        // Fibonacci hashing: the product's upper bits depend on all bits of the address.
        let product = (start as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        usize::try_from(product).expect("32 bits") & (self.places.len() - 1)
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// Where an entry is, or would be.
    fn find(&self, start: usize) -> usize {
        let mut place = self.home(start);
        while self.places[place].start != start && self.places[place].start != 0 {
            place = self.next(place);
        }
        place
    }

    pub(super) fn get(&self, start: usize) -> Option<Entry> {
        let entry = *self.places.get(if self.used == 0 { 0 } else { self.find(start) })?;
        (start != 0 && entry.start == start).then_some(entry)
    }

    /// Adds an entry, or replaces the one of its address; false where there is no memory.
    pub(super) fn insert(&mut self, entry: Entry) -> bool {
        let known = self.get(entry.start).is_some();
        // At most half full: looks stay short.
        if !known && self.used * 2 >= self.places.len() && !self.grow() {
            return false;
        }
        let place = self.find(entry.start);
        self.places[place] = entry;
        self.used += usize::from(!known);
        true
    }

    fn grow(&mut self) -> bool {
        let length = (self.places.len() * 2).max(FIRST);
        let Some(start) = self.plan.table(length * size_of::<Entry>()) else { return false };
        // SAFETY: the room is that long, zeroed and ours.
        let places = unsafe { std::slice::from_raw_parts_mut(start.cast().as_ptr(), length) };
        let old = std::mem::replace(&mut self.places, places);
        for entry in old.iter().filter(|entry| entry.start != 0) {
            let place = self.find(entry.start);
            self.places[place] = *entry;
        }
        if !old.is_empty() {
            let bytes = size_of_val(old).next_multiple_of(PAGE);
            // SAFETY: the old places were copied, and this was the only reference.
            unsafe { guarded::close(old.as_mut_ptr().cast(), bytes) };
        }
        true
    }

    pub(super) fn remove(&mut self, start: usize) -> Option<Entry> {
        let removed = self.get(start)?;
        let mut hole = self.find(start);
        let mut place = self.next(hole);
        while self.places[place].start != 0 {
            let home = self.home(self.places[place].start);
            // An entry may move to the hole if that does not lie before its home on the way.
            let mask = self.places.len() - 1;
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(hole) & mask {
                self.places[hole] = self.places[place];
                hole = place;
            }
            place = self.next(place);
        }
        self.places[hole] = Entry { start: 0, freed: false, ..removed };
        self.used -= 1;
        Some(removed)
    }

    /// All entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().filter(|entry| entry.start != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::{Entry, Plan, Table};

    /// One for all cases: a reservation is terabytes, and those of some hundred cases were all the
    /// addresses that the process has, so that the tests beside this one found none.
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let plan = Plan::new();
        assert!(plan.reserve(), "no addresses");
        plan
    });

    fn entry(start: usize, size: usize) -> Entry {
        let (map, mapped, opened, open) = (start, 1, start, 1);
        Entry {
            start,
            size,
            align: 1,
            map,
            mapped,
            opened,
            open,
            owner: 0,
            freed: false,
            closed: false,
        }
    }

    proptest! {
        #[test]
        fn matches_a_map(
            turns in prop::collection::vec((1_usize..400, any::<bool>()), 1..1_500),
        ) {
            let (mut table, mut model) = (Table::new(&PLAN), BTreeMap::new());
            for (turn, (key, adds)) in turns.into_iter().enumerate() {
                let start = key << 12;
                if adds {
                    prop_assert!(table.insert(entry(start, turn)));
                    model.insert(start, turn);
                } else {
                    prop_assert_eq!(table.remove(start).map(|it| it.size), model.remove(&start));
                }
                prop_assert_eq!(table.get(start).map(|it| it.size), model.get(&start).copied());
            }
            let mut all: Vec<_> = table.iter().map(|it| (it.start, it.size)).collect();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(model));
        }
    }
}
