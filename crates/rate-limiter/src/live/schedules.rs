//! A bucket whose quota changes, under every schedule that an explorer can think of.

use harness::check::schedule::explore;
use harness::sync::{Arc, thread};

use super::{Carry, LiveBucket};
use crate::Timestamp;
use crate::quota::Quota;

fn per_second(cells: u64) -> Quota {
    Quota::per_second(cells).expect("the quota is legal")
}

/// Two requests for a bucket of two cells while its quota changes to `next`, with as many. Carrying
/// cells over, both are admitted and a third is not.
fn cells_survive(next: Quota) {
    let now = Timestamp::ZERO;
    let bucket = Arc::new(LiveBucket::full(&per_second(2), now));
    let shared = Arc::clone(&bucket);
    let asks = thread::spawn(move || (0..2).all(|_| shared.check(now, 1).is_admitted()));
    bucket.change(now, &per_second(2), &next, Carry::Cells);
    assert!(asks.join().expect("nobody panics"), "a cell was lost");
    assert!(!bucket.check(now, 1).is_admitted(), "a cell was given twice");
}

#[test]
fn a_change_in_place() {
    explore("schedules::a_change_in_place", || cells_survive(per_second(2)));
}

/// The interval of 17 a second does not fit 64 bits.
#[test]
fn a_change_of_words() {
    let next = || per_second(17).with_burst(2).expect("the quota is legal");
    explore("schedules::a_change_of_words", move || cells_survive(next()));
}
