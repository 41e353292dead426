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

/// Puts a block into the cache's memory.
fn housed(cache: &Cache, slots: &Arc<Slots<Block>>, at: usize, len: usize) {
    let guard = epoch::pin();
    let block = test_block(b"key", Stamp::new(1, Kind::Value), &vec![7; len]);
    let block = Arc::new(cache.house(slots, at, block, &guard));
    cache.insert(slots, at, block, &guard);
    // Some are used again, so that what is not lies between them.
    if at.is_multiple_of(3) {
        slots.get(at, &guard);
    }
}

/// Waits until less than so much of the slabs is free. Threads of other tests may hold up what
/// readers have left, and on a busy machine they are long asleep at times.
fn require_free_below(cache: &Cache, bytes: usize) {
    let slabs = cache.made_slabs().expect("it is large enough for slabs");
    for _ in 0..6_000 {
        epoch::pin().flush();
        if slabs.free() < bytes && !cache.is_late(slabs) {
            return;
        }
        crate::sync::nap(std::time::Duration::from_millis(5));
    }
    panic!("{} bytes more are kept", slabs.free());
}

/// What the cache lends it must not keep: a memtable takes new memory of the system.
#[test]
fn what_is_lent_is_no_memory_of_the_cache() {
    let cache = Cache::new(8 << 20);
    let slots = Slots::new(1, 20_000);
    cache.pin(&slots, 0);
    (0..20_000).for_each(|at| housed(&cache, &slots, at, 900));
    let _loan = cache.lend(4 << 20);
    cache.trim();
    let used = cache.used() + cache.pinned();
    assert!((3 << 20..=4 << 20).contains(&used), "{used} bytes are used");
    require_free_below(&cache, 512 << 10);
    for at in (0..20_000).filter(|at| slots.look(*at, &epoch::pin()).is_some()) {
        let block = slots.share(at, &epoch::pin()).expect("it was there, and nobody takes it");
        assert_eq!(block.value(0), [7; 900], "what stays is whole");
    }
}

/// While a reader may be in slabs that were cleared, others are: not single blocks of all, of which
/// no slab would be free afterwards.
#[test]
fn slabs_are_cleared_one_after_the_other_under_a_reader() {
    let cache = Cache::new(8 << 20);
    let slots = Slots::new(1, 20_000);
    (0..20_000).for_each(|at| housed(&cache, &slots, at, 900));
    let reader = epoch::pin();
    let _loan = cache.lend(4 << 20);
    cache.trim();
    assert!(cache.used() <= 4 << 20, "{} bytes are used", cache.used());
    drop(reader);
    require_free_below(&cache, 512 << 10);
}

/// Slots of one length are given up for those of another.
#[test]
fn other_lengths_take_the_memory_over() {
    let cache = Cache::new(8 << 20);
    for (table, len) in [(1, 900), (2, 2_000), (3, 1_300), (4, 4_000)] {
        let slots = Slots::new(table, 20_000);
        (0..20_000).for_each(|at| housed(&cache, &slots, at, len));
        require_free_below(&cache, 5 << 18);
        assert!(cache.used() > 6 << 20, "{} bytes are used of {len}", cache.used());
    }
}

/// Slabs that go leave their names in the queues, which nothing else may ever look at.
#[test]
fn queues_do_not_grow_with_what_was_lent() {
    let cache = Cache::new(8 << 20);
    let slots = Slots::new(1, 5_000);
    cache.pin(&slots, 0);
    for cycle in 2..30 {
        (0..5_000).for_each(|at| {
            if slots.get(at, &epoch::pin()).is_none() {
                housed(&cache, &slots, at, 900);
            }
        });
        let loan = cache.lend(6 << 20);
        cache.trim();
        drop(loan);
        let closed = Slots::<Block>::new(cycle, 1);
        cache.pin(&closed, 0);
        cache.forget(&closed, 0, &epoch::pin());
    }
    let names: usize = cache.shards.iter().map(|it| it.lock().len()).sum();
    assert!(names <= 5_000, "{names} names of 5000 places");
    assert!(cache.used() > 1 << 20, "something is left");
}
