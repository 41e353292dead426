//! Tests of the cache: its budget, and who stays.

use crossbeam_epoch as epoch;

use super::*;
use crate::stamp::{Kind, Stamp};
use crate::table::{Block, test_block};

const BLOCKS: usize = 4_000;

fn block() -> Arc<Block> {
    Arc::new(test_block(b"key", Stamp::new(1, Kind::Value), &[7; 900]))
}

/// Uses a block as a table does; true where it was cached.
fn used(cache: &Cache, slots: &Arc<Slots<Block>>, at: usize) -> bool {
    let guard = epoch::pin();
    if slots.get(at, &guard).is_some() {
        return true;
    }
    cache.insert(slots, at, block(), &guard);
    false
}

#[test]
fn the_budget_holds_and_covers_what_is_pinned() {
    let cache = Cache::new(1 << 20);
    let slots = Slots::new(1, BLOCKS);
    cache.pin(&slots, 300_000);
    for at in 0..BLOCKS {
        used(&cache, &slots, at);
        assert!(cache.used() + cache.pinned() <= (1 << 20), "block {at}");
    }
    assert!(cache.used() > 500_000, "{} bytes are used", cache.used());
    cache.forget(&slots, 300_000, &epoch::pin());
    assert_eq!((cache.used(), cache.pinned()), (0, 0));
}

/// A walk over everything does not push out what is used again and again.
#[test]
fn a_scan_does_not_push_out_what_is_hot() {
    let cache = Cache::new(1 << 20);
    let (hot, cold) = (Slots::new(1, 200), Slots::new(2, BLOCKS));
    for _ in 0..4 {
        for at in 0..200 {
            used(&cache, &hot, at);
        }
    }
    // A little pressure, so that the hot ones reach the main queue, then the scan.
    let mut hits = 0;
    for at in 0..BLOCKS {
        used(&cache, &cold, at);
        if at % 10 == 0 {
            hits += usize::from(used(&cache, &hot, at / 10 % 200));
        }
    }
    assert!(hits >= 380, "{hits} of 400 uses of hot blocks were hits");
}

#[test]
fn without_room_a_block_can_still_be_used() {
    let cache = Cache::new(0);
    let slots = Slots::new(1, 1);
    let guard = epoch::pin();
    let inside = cache.insert(&slots, 0, block(), &guard);
    assert_eq!(inside.value(0), [7; 900]);
    assert_eq!(cache.used(), 0);
    assert!(slots.get(0, &guard).is_none());
}

#[test]
fn threads_that_miss_together_agree_on_one_block() {
    let cache = Cache::new(1 << 18);
    let slots = Slots::new(1, 500);
    std::thread::scope(|scope| {
        for thread in 0..3_usize {
            let (cache, slots) = (&cache, &slots);
            scope.spawn(move || {
                for at in 0..20_000_usize {
                    used(cache, slots, at.wrapping_mul(7 + thread) % 500);
                }
            });
        }
    });
    assert!(cache.used() <= 1 << 18);
    cache.forget(&slots, 0, &epoch::pin());
    assert_eq!(cache.used(), 0, "what was counted in is counted out");
}
