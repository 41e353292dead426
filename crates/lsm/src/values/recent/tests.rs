//! Tests of the values in memory: they are the right ones, and within the budget.

use crossbeam_epoch as epoch;

use super::*;

const FILES: u64 = 7;

fn pointer(number: u64) -> Pointer {
    let offset = u32::try_from(number / FILES * 1_000).expect("files are short");
    Pointer { file: number % FILES, offset, len: 1_000, sum: 0 }
}

fn bytes(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(125)
}

/// Reads a value as a store does; true where it was in memory.
fn read(recent: &Recent, number: u64) -> bool {
    let guard = epoch::pin();
    if let Some(found) = recent.get(pointer(number), &guard) {
        assert_eq!(found, bytes(number));
        return true;
    }
    assert_eq!(*recent.keep(pointer(number), bytes(number), &guard), bytes(number));
    false
}

#[test]
fn what_fits_stays_and_is_what_was_read() {
    let recent = Recent::new(Cache::new(4 << 20));
    for _ in 0..3 {
        (0..2_000).for_each(|number| _ = read(&recent, number));
    }
    let hits = (0..2_000).filter(|it| read(&recent, *it)).count();
    assert!(hits > 1_900, "{hits} of 2000 values were in memory");
}

#[test]
fn more_than_fits_stays_within_the_budget_and_is_right() {
    let cache = Cache::new(1 << 20);
    let recent = Recent::new(Arc::clone(&cache));
    for number in (0..5_000).chain(0..5_000) {
        read(&recent, number);
        assert!(cache.used() + cache.pinned() <= 1 << 20, "value {number}");
    }
    assert!(cache.used() > 900_000, "{} bytes are used", cache.used());
}

/// Places that many share hold one value each: what is found there may be another's.
#[test]
fn values_of_one_place_are_told_apart() {
    let recent = Recent::new(Cache::new(32 << 10));
    for turn in 0..10_000_u64 {
        read(&recent, turn * 7 % 640);
    }
}

#[test]
fn a_value_that_would_push_out_much_is_not_kept() {
    let cache = Cache::new(1 << 20);
    let recent = Recent::new(Arc::clone(&cache));
    let guard = epoch::pin();
    let large = recent.keep(pointer(1), vec![1; 100_000], &guard);
    assert_eq!((large.len(), cache.used()), (100_000, 0));
}

#[test]
fn threads_that_read_the_same_values_agree() {
    let cache = Cache::new(256 << 10);
    let recent = Recent::new(Arc::clone(&cache));
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let recent = &recent;
            scope.spawn(move || {
                for turn in 0..10_000_u64 {
                    read(recent, turn.wrapping_mul(7 + thread) % 400);
                }
            });
        }
    });
    assert!(cache.used() <= 256 << 10);
}
