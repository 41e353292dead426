//! A sweep over all entries, bin after bin, while others write.
//!
//! The sweep goes through the bins of the table that was the root when it began. A bin's entries
//! are those whose hash begins with its number. If the bin has moved, they are looked up in the
//! next table: in several bins of a larger one, or among the entries of one bin of a smaller one.
//!
//! ```text
//!   root at the start   | 0 | 1 | 2 | 3 |      bin 2 has moved: its entries are those of bins
//!                                 \            4 and 5, where not one of these has moved on itself
//!   next table      | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
//! ```
//!
//! **Once, at most.** The sets of hashes are disjoint, so only within one look at one bin may a key
//! be met twice: removed from one slot and inserted into another. An insertion changes the header;
//! where it did, keys met before are left out.
//!
//! **Once, at least,** if it stays: a look at a bin counts only if the bin had not moved when the
//! look was over, and until then no entry leaves its slot.
//!
//! # What this module does not do
//!
//! It is no snapshot: of two changes it may see the later and miss the earlier.
#![expect(unsafe_code, reason = "entries are reached through words")]

use std::marker::PhantomData;

use super::table::{Bin, Table};
use super::transfer::hash_of;
use super::word::Word;
use super::{Entry, Raw, next};
use crate::pin::Pin;

/// Hashes that begin with certain bits.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    value: usize,
    bits: u32,
}

impl Prefix {
    fn holds(self, hash: u64) -> bool {
        (hash >> 1 >> (63 - self.bits)) == self.value as u64
    }
}

/// A sweep under way.
#[derive(Debug)]
pub(crate) struct Sweep<'g, K, V> {
    table: &'g Table,
    /// The next bin to look at.
    bin: usize,
    /// The bin at which the sweep ends.
    end: usize,
    /// Entries of the last bin that were not handed out yet.
    found: Vec<Word>,
    entries: PhantomData<&'g Entry<K, V>>,
}

impl<K, V> Raw<K, V> {
    /// A sweep over all entries.
    pub(crate) fn sweep<'g>(&self, pin: &'g Pin) -> Sweep<'g, K, V> {
        Sweep::over(self.root(pin))
    }
}

impl<K: Eq, V> Raw<K, V> {
    /// Visits the entries of one bin, without those whose hash is below `position`, and returns the
    /// position at which to go on. Between two calls no pin is needed: a position is a hash, and
    /// means the same in every table.
    pub(crate) fn visit_from(
        &self,
        position: u64,
        pin: &Pin,
        visit: impl FnMut(&Entry<K, V>),
    ) -> Option<u64> {
        let table = self.root(pin);
        let bin = table.index(position);
        let mut sweep: Sweep<'_, K, V> = Sweep { bin, end: bin + 1, ..Sweep::over(table) };
        sweep.by_ref().filter(|it| it.hash >= position).for_each(visit);
        let next = (bin as u64 + 1) << 1 << (63 - table.bits());
        (bin + 1 < table.len()).then_some(next)
    }
}

impl<'g, K, V> Sweep<'g, K, V> {
    /// A sweep over a table and those that it moves to, which must live for `'g`.
    pub(super) fn over(table: &'g Table) -> Self {
        Self { table, bin: 0, end: table.len(), found: Vec::new(), entries: PhantomData }
    }

    /// Splits the rest in two, where there are two bins at least.
    #[cfg(feature = "rayon")]
    pub(crate) fn split(&mut self) -> Option<Self> {
        let middle = self.bin + (self.end - self.bin) / 2;
        if middle == self.bin {
            return None;
        }
        let rest = Self { bin: middle, end: self.end, ..Self::over(self.table) };
        self.end = middle;
        Some(rest)
    }

    /// The next entry.
    pub(super) fn next_raw(
        &mut self,
        mut is_same: impl FnMut(&Entry<K, V>, &Entry<K, V>) -> bool,
    ) -> Option<*mut ()> {
        loop {
            if let Some(word) = self.found.pop() {
                return Some(word.entry());
            }
            if self.bin == self.end {
                return None;
            }
            let prefix = Prefix { value: self.bin, bits: self.table.bits() };
            self.bin += 1;
            look_up(self.table, prefix, &mut self.found, &mut |a, b| {
                // SAFETY: live words lead to entries that nobody frees during `'g`.
                let a = unsafe { &*a.entry().cast::<Entry<K, V>>() };
                // SAFETY: as above.
                let b = unsafe { &*b.entry().cast::<Entry<K, V>>() };
                a.hash == b.hash && is_same(a, b)
            });
        }
    }
}

impl<'g, K: Eq, V> Iterator for Sweep<'g, K, V> {
    type Item = &'g Entry<K, V>;

    #[inline]
    fn next(&mut self) -> Option<&'g Entry<K, V>> {
        let entry = self.next_raw(|a, b| a.key == b.key)?;
        // SAFETY: it was live during `'g`, for which the pin is held that keeps it.
        Some(unsafe { &*entry.cast::<Entry<K, V>>() })
    }
}

// SAFETY: a sweep reads tables and entries that the pin it came from keeps alive, and it borrows
// that pin; on another thread it hands out references to keys and values, which are `Sync`.
unsafe impl<K: Sync, V: Sync> Send for Sweep<'_, K, V> {}

/// Appends the entries with this prefix, wherever they are by now.
fn look_up(
    table: &Table,
    prefix: Prefix,
    found: &mut Vec<Word>,
    is_same: &mut impl FnMut(Word, Word) -> bool,
) {
    if table.bits() <= prefix.bits {
        let bin = prefix.value >> (prefix.bits - table.bits());
        return look_into(table, table.bin(bin), prefix, found, is_same);
    }
    let more_bits = table.bits() - prefix.bits;
    for bin in prefix.value << more_bits..(prefix.value + 1) << more_bits {
        let part = Prefix { value: bin, bits: table.bits() };
        look_into(table, table.bin(bin), part, found, is_same);
    }
}

/// Appends the entries with this prefix, all of which have been in this bin.
fn look_into(
    table: &Table,
    bin: &Bin,
    prefix: Prefix,
    found: &mut Vec<Word>,
    is_same: &mut impl FnMut(Word, Word) -> bool,
) {
    let before = bin.header();
    let start = found.len();
    if !before.is_moved() {
        let _ = bin.walk(table, |seen| {
            if seen.word.is_live() && prefix.holds(hash_of(seen.word)) {
                found.push(seen.word);
            }
            None::<()>
        });
        let after = bin.header();
        if !after.is_moved() {
            if after.version() != before.version() {
                leave_out_repeated(found, start, is_same);
            }
            return;
        }
        found.truncate(start);
    }
    let next = next(table).expect("a bin moves to the next table");
    look_up(next, prefix, found, is_same);
}

/// Keeps the first of those from `start` on that are the same.
fn leave_out_repeated(
    found: &mut Vec<Word>,
    start: usize,
    is_same: &mut impl FnMut(Word, Word) -> bool,
) {
    let mut kept = start;
    for index in start..found.len() {
        let word = found[index];
        if !found[start..kept].iter().any(|&it| is_same(it, word)) {
            found[kept] = word;
            kept += 1;
        }
    }
    found.truncate(kept);
}
