//! One bin and a few operations, so that loom can try all executions.

use harness::check::schedule::explore;
use harness::sync::atomic::{AtomicUsize, Ordering};
use harness::sync::{Arc, thread};

use crate::raw::inline::bin::HOME;
use crate::raw::inline::block::Block;
use crate::raw::inline::edit::Edit;
use crate::raw::inline::table::{BINS_MIN, Table};
use crate::zeroed::Pages;

/// All keys of these tests: one bin and one tag.
const HASH: u64 = 0;

/// The key whose bits are those of a slot that was never filled.
const ZERO: u64 = 0;

/// Of the same bin, with another tag.
const OTHER_TAG: u64 = 7 << 24;

fn new_table() -> Arc<Table> {
    let table = Table::new(BINS_MIN, None, Pages::Small).expect("memory for two bins");
    Arc::new(*table)
}

fn set(table: &Table, key: u64, value: u64) -> Option<u64> {
    table.edit(HASH, key, |_former| Edit::Set(value)).former
}

fn remove(table: &Table, key: u64) -> Option<u64> {
    table.edit(HASH, key, |_former| Edit::Remove).former
}

/// Runs `job` here and `beside` in a thread of its own. Where one of them only reads, it is
/// `beside`; see the schedules' module about loom.
fn both(
    table: &Arc<Table>,
    job: impl FnOnce(&Table),
    beside: impl FnOnce(&Table) + Send + 'static,
) {
    let other = {
        let table = Arc::clone(table);
        thread::spawn(move || beside(&table))
    };
    job(table);
    other.join().expect("no thread panics");
}

/// A slot is given from one key to another: nobody finds the new value under the old key.
pub(super) fn slot_used_again() {
    let table = new_table();
    set(&table, 1, 10);
    let reuse = |table: &Table| {
        assert_eq!(remove(table, 1), Some(10));
        assert_eq!(set(table, 2, 20), None);
    };
    both(&table, reuse, |table| {
        let found = table.get(HASH, 1);
        assert!(matches!(found, None | Some(10)), "key 1 never had {found:?}");
    });
    assert_eq!((table.get(HASH, 1), table.get(HASH, 2)), (None, Some(20)));
}

/// The same with the slot of a block.
pub(super) fn block_slot_used_again() {
    let table = new_table();
    let head = table.bin(HASH).head;
    // The bin's own slots are taken, by keys that the searches pass by.
    (0..HOME).for_each(|slot| head.set_tag(slot, OTHER_TAG));
    let block = Block::new(1);
    let slot = block.free_slot(1).expect("it is empty");
    let meets = |key: &u64| block.free_slot(*key) == Some(slot);
    let later = (2..1_000).find(meets).expect("some key comes by the same slot");
    block.fill(slot, 1, 10);
    // Another entry, so that the block stays when this one goes.
    let other = block.free_slot(ZERO).expect("it has room");
    block.fill(other, ZERO, 0);
    head.set_annex(block.into_word());
    // Relaxed: read when nobody else has the table.
    table.crowded.fetch_add(1, Ordering::Relaxed);
    let reuse = move |table: &Table| {
        assert_eq!(remove(table, 1), Some(10));
        assert_eq!(set(table, later, 20), None);
    };
    both(&table, reuse, move |table| {
        let found = table.get(HASH, 1);
        assert!(matches!(found, None | Some(10)), "key 1 never had {found:?}");
    });
    assert_eq!((table.get(HASH, 1), table.get(HASH, later)), (None, Some(20)));
}

/// Who finds an entry finds its own value, and what was done before it was inserted.
pub(super) fn entry_seen_whole() {
    let table = new_table();
    let content = Arc::new(AtomicUsize::new(0));
    let insert = |table: &Table| {
        // Relaxed: stands for what a value leads to.
        content.store(42, Ordering::Relaxed);
        set(table, ZERO, 7);
    };
    let seen = Arc::clone(&content);
    both(&table, insert, move |table| {
        let found = table.get(HASH, ZERO);
        assert!(matches!(found, None | Some(7)), "key {ZERO} never had {found:?}");
        if found.is_some() {
            // Relaxed: as above.
            assert_eq!(seen.load(Ordering::Relaxed), 42, "an entry is seen before its content");
        }
    });
}

/// Two threads add to one value: neither addition is lost.
pub(super) fn two_additions() {
    let table = new_table();
    set(&table, 1, 0);
    let add = |table: &Table, term: u64| {
        let edited = table.edit(HASH, 1, |former| Edit::Set(former.expect("it is there") + term));
        assert!(edited.former.is_some());
    };
    both(&table, |table| add(table, 1), move |table| add(table, 2));
    assert_eq!(table.get(HASH, 1), Some(3), "an addition is lost");
}

/// Two threads insert one key: one of them is told that it was first.
fn two_insertions() {
    let table = new_table();
    let first = Arc::new(AtomicUsize::new(0));
    let insert = |value: u64, first: &Arc<AtomicUsize>| {
        let first = Arc::clone(first);
        move |table: &Table| {
            if set(table, 1, value).is_none() {
                // Relaxed: read after the join.
                first.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    both(&table, insert(1, &first), insert(2, &first));
    // Relaxed: as above.
    assert_eq!(first.load(Ordering::Relaxed), 1, "one insertion comes first");
    assert_eq!(remove(&table, 1).map(|value| value > 0), Some(true));
    assert_eq!(table.get(HASH, 1), None, "it was there once");
}

#[test]
fn a_slot_is_used_again() {
    explore("raw::inline::tests::kernels::a_slot_is_used_again", slot_used_again);
}

#[test]
fn a_slot_of_a_block_is_used_again() {
    let name = "raw::inline::tests::kernels::a_slot_of_a_block_is_used_again";
    explore(name, block_slot_used_again);
}

#[test]
fn an_entry_is_seen_whole() {
    explore("raw::inline::tests::kernels::an_entry_is_seen_whole", entry_seen_whole);
}

#[test]
fn additions_are_not_lost() {
    explore("raw::inline::tests::kernels::additions_are_not_lost", two_additions);
}

#[test]
fn one_of_two_insertions_is_first() {
    explore("raw::inline::tests::kernels::one_of_two_insertions_is_first", two_insertions);
}
