//! One bin, bare: words that lead nowhere, few accesses, so that loom can try all executions.

use harness::check::schedule::explore;
use harness::sync::atomic::{AtomicUsize, Ordering};
use harness::sync::{Arc, thread};

use crate::raw::boxed::bin::{Seen, load};
use crate::raw::boxed::table::{Bin, Table};
use crate::raw::boxed::word::Word;
use crate::zeroed::Pages;

/// A word of the entry number `number`, which is no entry.
fn word(number: usize) -> Word {
    Word::live(std::ptr::without_provenance_mut(number << 4), 0, 0)
}

/// A word of no entry with this tag.
fn word_with_tag(tag: u64) -> Word {
    Word::live(std::ptr::without_provenance_mut(16), tag, 0)
}

/// Inserts unless there is a live entry; the protocol of an insertion. False where the bin is
/// frozen.
fn insert_if_empty(table: &Table, entry: Word) -> Result<bool, Frozen> {
    let bin = table.bin(0);
    loop {
        let header = bin.header();
        if header.is_frozen() {
            return Err(Frozen);
        }
        let mut vacancy: Option<Seen<'_>> = None;
        let found = bin.walk(table, |seen| {
            let seen = bin.promoted(seen, header);
            if vacancy.is_none() && Bin::is_free(&seen, header) {
                vacancy = Some(seen);
            }
            seen.word.is_live().then_some(())
        });
        if found.is_ok() {
            return Ok(false);
        }
        if bin.insert(&vacancy.expect("a bin has six slots"), header, entry) {
            return Ok(true);
        }
        harness::sync::hint::spin_loop();
    }
}

struct Frozen;

fn live(table: &Table) -> Vec<Word> {
    let mut live = Vec::new();
    let _ = table.bin(0).walk(table, |seen| {
        if seen.word.is_live() {
            live.push(seen.word.as_live());
        }
        None::<()>
    });
    live
}

fn new_table() -> Arc<Table> {
    Arc::new(*Table::new(0, Pages::Small).expect("memory for a bin"))
}

/// Of two insertions of one key one succeeds.
#[test]
fn one_of_two_insertions_succeeds() {
    explore("raw::boxed::tests::kernels::one_of_two_insertions_succeeds", || {
        let table = new_table();
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || insert_if_empty(&table, word(1)).unwrap_or(false))
        };
        let here = insert_if_empty(&table, word(2)).unwrap_or(false);
        let there = other.join().expect("no thread panics");
        assert!(here != there, "one insertion succeeds: {here} here, {there} there");
        assert_eq!(live(&table), [word(if here { 2 } else { 1 })]);
    });
}

/// What was inserted before a bin is frozen is frozen with it; what was not is refused.
#[test]
fn a_frozen_bin_holds_what_was_inserted() {
    explore("raw::boxed::tests::kernels::a_frozen_bin_holds_what_was_inserted", || {
        let table = new_table();
        let inserter = {
            let table = Arc::clone(&table);
            thread::spawn(move || insert_if_empty(&table, word(1)).is_ok())
        };
        table.bin(0).freeze(&table);
        let seen_frozen = live(&table);
        let was_inserted = inserter.join().expect("no thread panics");
        assert_eq!(seen_frozen.len(), usize::from(was_inserted));
        assert_eq!(live(&table), seen_frozen, "a frozen bin does not change");
    });
}

/// Who finds an entry sees what was written into it before.
#[test]
fn an_entry_is_seen_whole() {
    explore("raw::boxed::tests::kernels::an_entry_is_seen_whole", || {
        let table = new_table();
        let content = Arc::new(AtomicUsize::new(0));
        let reader = {
            let (table, content) = (Arc::clone(&table), Arc::clone(&content));
            thread::spawn(move || {
                if !live(&table).is_empty() {
                    // Relaxed: stands for the plain reads of an entry.
                    let seen = content.load(Ordering::Relaxed);
                    assert_eq!(seen, 42, "an entry is seen before its content");
                }
            })
        };
        // Relaxed: stands for the plain writes that make an entry.
        content.store(42, Ordering::Relaxed);
        assert!(insert_if_empty(&table, word(1)).unwrap_or(false));
        reader.join().expect("no thread panics");
    });
}

/// A removal and a freeze of one slot: either the removal is in time, or the entry is kept.
#[test]
fn a_removal_is_in_time_or_refused() {
    explore("raw::boxed::tests::kernels::a_removal_is_in_time_or_refused", || {
        let table = new_table();
        assert!(insert_if_empty(&table, word(1)).unwrap_or(false));
        let remover = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let bin = table.bin(0);
                let removed = bin.walk(&table, |seen| {
                    let is_open = seen.word.is_live() && !seen.word.is_frozen();
                    is_open.then(|| seen.exchange(Word::vacant(bin.header())))
                });
                removed.unwrap_or(false)
            })
        };
        table.bin(0).freeze(&table);
        let seen_frozen = live(&table);
        let was_removed = remover.join().expect("no thread panics");
        assert_eq!(seen_frozen.len(), usize::from(!was_removed));
        assert_eq!(live(&table), seen_frozen, "a frozen bin does not change");
    });
}

/// Who can see an entry of a spill is told to look there; and of two announcements none is lost.
#[test]
fn a_spill_is_announced_before_its_entry_is_there() {
    explore("raw::boxed::tests::kernels::a_spill_is_announced_before_its_entry_is_there", || {
        let table = new_table();
        let [one, two] = [1, 2].map(|tag| word_with_tag(tag).probe());
        let bin = table.bin(0);
        let (spill, _) = table.extend(&bin.row);
        let reader = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let bin = table.bin(0);
                let spill = table.after(&bin.row).expect("it was made before");
                let is_there = load(&spill.slots[0]).is_live();
                assert!(!is_there || table.spill_for(bin, one).is_some(), "it is not announced");
                bin.row.announce(two);
            })
        };
        bin.row.announce(one);
        // Release: as when an entry is promoted.
        spill.slots[0].store(word_with_tag(1).raw(), Ordering::Release);
        reader.join().expect("no thread panics");
        for probe in [one, two] {
            assert!(table.spill_for(bin, probe).is_some(), "an announcement is lost");
        }
    });
}
