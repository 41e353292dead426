use super::{Filling, Line, Table};
use crate::keyed::exact::{NEVER_USED, SLOTS, Slots};
use crate::keyed::{Outcome, TableError, denial};
use crate::quota::Quota;
use crate::sync::AtomicU64;

use harness::rng::SplitMix64;

/// One cell a second, one at once: a bucket is in use for a second after each admission.
fn table(keys: usize) -> Exact {
    Exact::new(&Quota::per_second(1).unwrap(), keys, Filling::Half, 0).unwrap()
}

type Exact = Table<Slots<AtomicU64>>;

const WINDOW: usize = Slots::<AtomicU64>::WINDOW;

const SECOND: u64 = 1_000_000_000;

#[test]
fn impossible_sizes_are_refused() {
    let quota = Quota::per_second(1).unwrap();
    let refused = |keys| Exact::new(&quota, keys, Filling::Half, 0).map(|_| ()).unwrap_err();
    assert_eq!(refused(0), TableError::Zero);
    assert_eq!(refused(usize::MAX), TableError::TooLarge { keys: usize::MAX });
}

#[test]
fn hash_zero_is_a_key_like_any_other() {
    let table = table(100);
    assert_eq!(table.take(NEVER_USED, 0, 1), Outcome::Admitted);
    assert_eq!(table.take(NEVER_USED, 0, 1), Outcome::Denied(denial(0, SECOND)));
}

#[test]
fn a_window_that_wraps_around_the_end_is_whole() {
    let table = table(1);
    assert_eq!(table.stats().slots / SLOTS, WINDOW);
    // All homes are the last line: every slot of the table is in the window.
    for key in 0..(WINDOW * SLOTS) as u64 {
        assert_eq!(table.take(u64::MAX - key, 0, 1), Outcome::Admitted, "key {key}");
    }
    assert_eq!(table.take(u64::MAX - 1_000, 0, 1), Outcome::NoRoom(denial(0, SECOND + 1)));
    for key in 0..(WINDOW * SLOTS) as u64 {
        assert_eq!(
            table.take(u64::MAX - key, 0, 1),
            Outcome::Denied(denial(0, SECOND)),
            "key {key}"
        );
    }
    assert_eq!(table.stats().turned_away, 1);
}

#[test]
fn an_expired_slot_is_overwritten_and_its_key_comes_back_fresh() {
    let table = table(1);
    let slots = (WINDOW * SLOTS) as u64;
    for key in 1..=slots {
        assert_eq!(table.take(key, 0, 1), Outcome::Admitted);
    }
    let after = SECOND + 1;
    assert_eq!(table.take(1_000, SECOND, 1), Outcome::NoRoom(denial(SECOND, after)));
    assert_eq!(table.take(1_000, after, 1), Outcome::Admitted);
    // Key 4 had the slot, which is gone; its full bucket is as good as none.
    assert_eq!(table.take(4, after, 1), Outcome::Admitted);
    assert_eq!(table.take(4, after, 1), Outcome::Denied(denial(after, after + SECOND)));
    assert_eq!(table.stats().overwritten, 2);
    assert_eq!(table.stats().inserted, slots + 2);
}

#[test]
fn a_table_that_holds_what_it_was_made_for_turns_nobody_away() {
    let keys = 200_000;
    let table = table(keys);
    let mut rng = SplitMix64::new(1);
    for _ in 0..keys {
        assert_eq!(table.take(rng.next_u64(), 0, 1), Outcome::Admitted);
    }
    let stats = table.stats();
    assert_eq!((stats.turned_away, stats.inserted), (0, keys as u64));
    assert_eq!(stats.bytes, keys * 32);
}

#[test]
fn a_flood_of_keys_changes_neither_memory_nor_the_buckets_in_use() {
    let table = table(10_000);
    let bytes = table.stats().bytes;
    let mut rng = SplitMix64::new(2);
    let known: Vec<u64> = (0..100).map(|_| rng.next_u64()).collect();
    for &key in &known {
        assert_eq!(table.take(key, 0, 1), Outcome::Admitted);
    }
    for _ in 0..1_000_000 {
        table.take(rng.next_u64(), 0, 1);
    }
    for &key in &known {
        assert_eq!(
            table.take(key, SECOND - 1, 1),
            Outcome::Denied(denial(SECOND - 1, SECOND)),
            "key {key}"
        );
    }
    assert_eq!(table.stats().bytes, bytes);
    assert!(table.stats().turned_away > 0, "the flood was meant to fill the table");
}

#[test]
fn a_dense_table_has_room_for_nearly_all() {
    let keys = 200_000;
    let quota = Quota::per_second(1).unwrap();
    let table = Exact::new(&quota, keys, Filling::Dense, 0).unwrap();
    let mut rng = SplitMix64::new(1);
    for _ in 0..keys {
        table.take(rng.next_u64(), 0, 1);
    }
    let stats = table.stats();
    assert_eq!(stats.bytes, (keys * 16).div_ceil(13 * 4) * 64);
    assert!(stats.bytes < keys * 20, "{} bytes", stats.bytes);
    assert!(stats.turned_away < keys as u64 * 3 / 1_000, "{} turned away", stats.turned_away);
}

#[test]
fn a_look_sees_what_was_taken_and_makes_no_bucket() {
    let table = table(100);
    assert_eq!((table.look(7, 0, 1).full_at_ns, table.stats().inserted), (0, 0));
    assert_eq!(table.take(7, 5, 1), Outcome::Admitted);
    assert_eq!(table.look(7, 0, 1).full_at_ns, 5 + SECOND);
}
