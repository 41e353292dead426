//! Values apart that are in memory: a hash table of fixed size whose entries the block cache holds.
//!
//! ```text
//!   pointer --hash--> set of 8 places  | v | v |   | v | v |   |   | v |    one line of the memory
//! ```
//!
//! A block has a place of its own in its table's slots. Values begin anywhere in their files, so
//! that one finds its place as a line of memory finds its own in a processor's cache: a hash names
//! eight, and where all are taken one of them goes. Who else leaves, and when, the block cache
//! decides within the one budget for both.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crossbeam_epoch::Guard;

use super::Pointer;
use crate::cache::{self, Bytes, Cache, Cached, Slots, Uses};
use crate::table;
use crate::tally::Met;

/// Places that a value may be in.
const WAYS: usize = 8;
/// There is a place for so many bytes of the cache at most: the size of a usual value.
const VALUE_LEN_MIN: usize = 1 << 10;
/// A value may take so large a part of the cache: one in sixteen.
const SHARE_MAX: usize = 16;
/// Stands for the number of a table; no table has it.
const NO_TABLE: u64 = u64::MAX;

/// A value in memory.
#[derive(Debug)]
struct Value {
    pointer: Pointer,
    bytes: Bytes,
    uses: Uses,
}

impl Cached for Value {
    fn bytes(&self) -> usize {
        self.bytes.capacity() + size_of::<Self>() + cache::BESIDE
    }

    fn moved(self, to: impl FnOnce(Bytes) -> Bytes) -> Self {
        Self { bytes: to(self.bytes), ..self }
    }

    fn uses(&self) -> &Uses {
        &self.uses
    }
}

/// The values that are in memory.
#[derive(Debug)]
pub(super) struct Recent {
    cache: Arc<Cache>,
    /// Made for the first value: most stores have none.
    slots: OnceLock<Arc<Slots<Value>>>,
}

impl Recent {
    pub(super) fn new(cache: Arc<Cache>) -> Self {
        Self { cache, slots: OnceLock::new() }
    }

    /// The value, where it is in memory.
    #[inline]
    pub(super) fn get<'g>(&self, pointer: Pointer, guard: &'g Guard) -> Option<&'g [u8]> {
        let slots = self.slots.get()?;
        let places = places(pointer, slots.len());
        let mut inside = places.into_iter().filter_map(|at| slots.look(at, guard));
        // The whole pointer: a place says nothing about what is in it.
        let value = inside.find(|it| it.pointer == pointer)?;
        value.uses.add();
        self.cache.tally.add(Met::ValueHit);
        Some(&value.bytes)
    }

    /// Keeps a value that was not here and was just read, as far as there is room.
    pub(super) fn keep<'g>(
        &self,
        pointer: Pointer,
        bytes: Vec<u8>,
        guard: &'g Guard,
    ) -> Cow<'g, [u8]> {
        self.cache.tally.add(Met::ValueMiss);
        if bytes.len() > self.cache.capacity() / SHARE_MAX {
            return Cow::Owned(bytes);
        }
        let slots = self.slots.get_or_init(|| self.new_slots());
        let inside = |at: usize| slots.look(at, guard);
        let places: [usize; WAYS] = places(pointer, slots.len());
        let empty = places.into_iter().find(|at| inside(*at).is_none());
        let unused = || places.into_iter().find(|at| inside(*at).is_some_and(|it| !it.uses.take()));
        let at = empty.or_else(unused).unwrap_or(places[0]);
        let value = Value { pointer, bytes: bytes.into(), uses: Uses::default() };
        let value = Arc::new(self.cache.house(slots, at, value, guard));
        self.cache.exchange(slots, at, Arc::clone(&value), guard);
        match slots.look(at, guard).filter(|it| it.pointer == pointer) {
            Some(inside) => Cow::Borrowed(&inside.bytes),
            // There was no room, or somebody needed the place.
            None => Cow::Owned(value.bytes.to_vec()),
        }
    }

    fn new_slots(&self) -> Arc<Slots<Value>> {
        let count = (self.cache.capacity() / VALUE_LEN_MIN).next_power_of_two().max(WAYS);
        let slots = Slots::new(NO_TABLE, count);
        self.cache.pin(&slots, 0);
        slots
    }
}

/// The places that a value may be in, of so many. Each value has its own order, so that most are
/// found where they are sought first.
fn places(pointer: Pointer, count: usize) -> [usize; WAYS] {
    let mut place = [0; 12];
    place[..8].copy_from_slice(&pointer.file.to_le_bytes());
    place[8..].copy_from_slice(&pointer.offset.to_le_bytes());
    let hash = usize::try_from(table::hash(&place)).unwrap_or(usize::MAX);
    let (set, first) = (hash / WAYS % (count / WAYS), hash);
    std::array::from_fn(|way| set * WAYS + first.wrapping_add(way) % WAYS)
}

#[cfg(test)]
mod tests;
