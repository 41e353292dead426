//! A key, its value, and their hash, in one piece of heap memory.
#![expect(
    unsafe_code,
    reason = "an entry is owned by a value, then by the map, through one address"
)]

use std::alloc::Layout;
use std::mem::{ManuallyDrop, needs_drop};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::table::Table;
use super::word::Word;
use crate::pool::{self, Returns};
use crate::prefetch;

/// What a live slot points to.
///
/// The hash comes first, where `transfer` reads it without knowing the types. It spares a rehash on
/// growth, which would be code of the user in the middle of a move; an allocator that hands out
/// multiples of 16 bytes less 8 gives it away for free with two words of key and value.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Entry<K, V> {
    pub(super) hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
}

/// An entry that is not in the map, yet or any more.
pub(crate) struct Owned<K, V>(NonNull<Entry<K, V>>);

impl<K, V> Owned<K, V> {
    #[inline]
    pub(crate) fn new(hash: u64, key: K, value: V) -> Self {
        let memory = pool::allocate(Layout::new::<Entry<K, V>>()).cast::<Entry<K, V>>();
        // SAFETY: just allocated with the layout of an entry.
        unsafe { memory.write(Entry { hash, key, value }) };
        Self(memory)
    }

    /// Takes over what [`publish`](Self::publish) gave away.
    ///
    /// # Safety
    ///
    /// The address is from there, and nobody else has it, or will read behind it.
    #[inline]
    pub(super) unsafe fn from_address(address: *mut ()) -> Self {
        // SAFETY: not null, as it was made from `self.0`.
        Self(unsafe { NonNull::new_unchecked(address.cast()) })
    }

    /// The word by which a table will know it.
    #[inline]
    pub(super) fn word(&self, table: &Table) -> Word {
        Word::live(self.0.as_ptr().cast(), self.hash, table.tail())
    }

    /// Lets go of it: the map has it. Whoever unlinks it frees it.
    #[inline]
    pub(super) fn publish(self) -> NonNull<Entry<K, V>> {
        ManuallyDrop::new(self).0
    }

    /// Key and value.
    pub(crate) fn into_parts(self) -> (K, V) {
        let memory = ManuallyDrop::new(self).0;
        // SAFETY: ours, and read once: what is left is memory, which is freed.
        let entry = unsafe { memory.read() };
        // SAFETY: allocated with this layout; empty.
        unsafe { pool::free(memory.cast(), Layout::new::<Entry<K, V>>()) };
        (entry.key, entry.value)
    }
}

impl<K, V> Deref for Owned<K, V> {
    type Target = Entry<K, V>;

    #[inline(always)]
    fn deref(&self) -> &Entry<K, V> {
        // SAFETY: ours; while it is also in the map, others only read it.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> DerefMut for Owned<K, V> {
    fn deref_mut(&mut self) -> &mut Entry<K, V> {
        // SAFETY: ours alone: whoever offers it to the map borrows it meanwhile, or gives it away.
        unsafe { self.0.as_mut() }
    }
}

impl<K, V> Drop for Owned<K, V> {
    #[inline]
    fn drop(&mut self) {
        /// Frees the memory even if a destructor panics.
        struct Memory<K, V>(NonNull<Entry<K, V>>);
        impl<K, V> Drop for Memory<K, V> {
            fn drop(&mut self) {
                // SAFETY: allocated with this layout; what was in it is dropped.
                unsafe { pool::free(self.0.cast(), Layout::new::<Entry<K, V>>()) };
            }
        }
        let memory = Memory(self.0);
        // SAFETY: ours, and dropped once.
        unsafe { memory.0.drop_in_place() };
    }
}

/// Entries up to which a map's memory is kept for the next map.
const FEW: usize = 256;

/// Entries between the one that is dropped and the one whose line is asked for.
const AHEAD: usize = 16;

/// Drops the entries of a map. If one destructor panics, the rest are dropped nevertheless, as a
/// vector does.
pub(super) fn drop_all<K, V>(entries: Vec<Owned<K, V>>) {
    /// Gives the memory back even if a destructor panics.
    struct Memory<'r, K, V>(NonNull<Entry<K, V>>, &'r mut Returns);
    impl<K, V> Drop for Memory<'_, K, V> {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout; what was in it is dropped.
            unsafe { self.1.add(self.0.cast()) };
        }
    }
    if entries.len() <= FEW {
        return drop(entries);
    }
    let mut returns = Returns::new(Layout::new::<Entry<K, V>>());
    let mut entries = entries.into_iter();
    while let Some(entry) = entries.next() {
        if needs_drop::<Entry<K, V>>()
            && let Some(later) = entries.as_slice().get(AHEAD)
        {
            prefetch::read(later.0.as_ptr());
        }
        let memory = Memory(entry.publish(), &mut returns);
        // SAFETY: ours, and dropped once.
        unsafe { memory.0.drop_in_place() };
    }
}

// SAFETY: it owns a key and a value and nothing else.
unsafe impl<K: Send, V: Send> Send for Owned<K, V> {}
// SAFETY: as above.
unsafe impl<K: Sync, V: Sync> Sync for Owned<K, V> {}
