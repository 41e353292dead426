//! The table and the bucket under every schedule that an explorer can think of.
//!
//! Real threads seldom meet in the few instructions where a slot changes hands; shuttle and loom
//! make them meet (see `harness::check::schedule`). The planted bugs are words that break one
//! promise each: that shows that the schedules go where it hurts.

use harness::check::schedule::explore;
#[cfg(any(loom, shuttle))]
use harness::check::schedule::find_failure;
use harness::sync::{Arc, thread};

use super::{Filling, Table};
use crate::bucket::{AtomicWord, take_between};
use crate::keyed::Outcome;
use crate::keyed::exact::{Keeps, Slots};
use crate::live::Carry;
use crate::quota::{Quota, Scale};
use crate::sync::{AtomicU64, Ordering};

/// One cell a second, one at once.
const SECOND: u64 = 1_000_000_000;

/// Schedules in which a planted bug must be found. Real threads need luck, so that there the
/// bugs are not asked for.
#[cfg(any(loom, shuttle))]
const TRIES: u64 = 400;

fn quota(burst: u64) -> Quota {
    Quota::per_second(1).and_then(|quota| quota.with_burst(burst)).expect("the quota is legal")
}

fn scale(burst: u64) -> Scale<u64> {
    Scale::narrow(&quota(burst)).expect("it is narrow")
}

type Exact<A> = Table<Slots<A>>;

fn table<A: Keeps<Word = u64>>() -> Exact<A> {
    Table::new(&quota(1), 1, Filling::Half, 0).expect("a small table")
}

/// Runs `here` and `there` on two threads that share `subject`, and returns what both said.
fn together<S: Send + Sync + 'static, T: Send + 'static>(
    subject: S,
    here: impl Fn(&S) -> T,
    there: impl Fn(&S) -> T + Send + 'static,
) -> (T, T) {
    let subject = Arc::new(subject);
    let shared = Arc::clone(&subject);
    let other = thread::spawn(move || there(&shared));
    let here = here(&subject);
    (here, other.join().expect("nobody panics"))
}

/// Three requests, two cells: two are admitted, whoever comes first.
fn a_bucket_is_never_overdrawn<A: AtomicWord<Word = u64> + 'static>() {
    let ask = |bucket: &A| u64::from(take_between(&scale(2), bucket, 0, 1, 1).is_ok());
    let (here, there) = together(A::new(0), ask, move |bucket| ask(bucket) + ask(bucket));
    assert_eq!(here + there, 2, "three requests for two cells");
}

/// Two requests of one new key, one cell: one is admitted, so that the key has one bucket.
fn a_key_has_one_bucket<A: Keeps<Word = u64> + 'static>() {
    let table = table::<A>();
    let ask = |table: &Exact<A>| table.take(7, 0, 1) == Outcome::Admitted;
    let (here, there) = together(table, ask, ask);
    assert!(here ^ there, "the key has no bucket or two: {here} {there}");
}

/// A key whose bucket has expired asks while another key takes its slot: both are full.
fn a_slot_that_changes_hands_serves_both<A: Keeps<Word = u64> + 'static>() {
    const OLD: u64 = 7;
    // Its first slot is the same.
    const NEW: u64 = 11;
    let table = table::<A>();
    assert_eq!(table.take(OLD, 0, 1), Outcome::Admitted);
    let ask = |key: u64| move |table: &Exact<A>| table.take(key, SECOND + 1, 1);
    let said = together(table, ask(OLD), ask(NEW));
    assert_eq!(said, (Outcome::Admitted, Outcome::Admitted), "a full bucket denied");
}

/// A key gives its one cell back and asks again while another request of it asks: one of the two
/// gets the cell.
fn what_is_given_back_is_taken_once<A: Keeps<Word = u64> + 'static>() {
    let table = table::<A>();
    assert_eq!(table.take(7, 0, 1), Outcome::Admitted);
    let ask = |table: &Exact<A>| u64::from(table.take(7, 0, 1) == Outcome::Admitted);
    let gives = move |table: &Exact<A>| {
        table.give_back(7, 0, 1);
        ask(table)
    };
    let (here, there) = together(table, ask, gives);
    assert_eq!(here + there, 1, "one cell was given back");
}

/// A key asks twice while the quota changes to one of two cells, and a bucket that is empty stays
/// so: it is admitted once, whichever quota decides.
fn a_change_keeps_what_was_taken<A: Keeps<Word = u64> + 'static>() {
    let table = table::<A>();
    assert_eq!(table.take(8, 0, 1), Outcome::Admitted);
    let ask = |table: &Exact<A>| {
        let ask = |key| u64::from(table.take(key, 0, 1) == Outcome::Admitted);
        ask(7) + ask(7) + ask(8)
    };
    let change = |table: &Exact<A>| {
        table.change(0, &quota(1), &quota(2), Carry::Fraction).expect("it is narrow");
        u64::from(table.take(8, 0, 1) == Outcome::Admitted)
    };
    let (asked, eight) = together(table, ask, change);
    // A new key after the change has two cells.
    assert!((1..=2).contains(&asked), "{asked} cells of a new key");
    assert_eq!(eight, 0, "an empty bucket was filled");
}

#[test]
fn change_of_quota() {
    explore("schedules::change_of_quota", a_change_keeps_what_was_taken::<AtomicU64>);
}

#[test]
fn bucket() {
    explore("schedules::bucket", a_bucket_is_never_overdrawn::<AtomicU64>);
}

#[test]
fn one_bucket_a_key() {
    explore("schedules::one_bucket_a_key", a_key_has_one_bucket::<AtomicU64>);
}

#[test]
fn a_cell_comes_back() {
    explore("schedules::a_cell_comes_back", what_is_given_back_is_taken_once::<AtomicU64>);
}

#[test]
fn change_of_hands() {
    explore("schedules::change_of_hands", a_slot_that_changes_hands_serves_both::<AtomicU64>);
}

/// A word whose exchange is a look and a store.
struct Torn(AtomicU64);

impl AtomicWord for Torn {
    type Word = u64;

    fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn exchange(&self, current: u64, new: u64, _: Ordering) -> Result<(), u64> {
        let found = self.0.load(Ordering::Acquire);
        if found != current {
            return Err(found);
        }
        self.0.store(new, Ordering::Release);
        Ok(())
    }
}

/// A word that publishes nothing of what was written before it.
#[cfg(not(shuttle))]
struct Unordered(AtomicU64);

#[cfg(not(shuttle))]
impl AtomicWord for Unordered {
    type Word = u64;

    fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    fn load(&self, _: Ordering) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn store(&self, value: u64, _: Ordering) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn exchange(&self, current: u64, new: u64, _: Ordering) -> Result<(), u64> {
        let relaxed = Ordering::Relaxed;
        self.0.compare_exchange(current, new, relaxed, relaxed).map(drop)
    }
}

#[cfg(not(shuttle))]
impl Keeps for Unordered {
    fn keep(quota: &Quota, base: u64) -> Option<Scale<u64>> {
        Scale::narrow_after(quota, base)
    }
}

#[cfg(any(loom, shuttle))]
#[test]
fn planted_torn_exchange_is_found() {
    let failure = find_failure(TRIES, a_bucket_is_never_overdrawn::<Torn>);
    assert!(failure.is_some(), "three requests for two cells were not noticed");
}

/// Shuttle runs every atomic as if it were sequentially consistent: only loom can find this one.
#[cfg(loom)]
#[test]
fn planted_weak_orderings_are_found() {
    let failure = find_failure(TRIES, a_slot_that_changes_hands_serves_both::<Unordered>);
    assert!(failure.is_some(), "a TAT of the next owner was taken for one's own");
}

/// In a plain build the planted words are only shown to be honest about everything else.
#[cfg(not(any(loom, shuttle)))]
#[test]
fn planted_words_are_right_when_alone() {
    fn alone<A: AtomicWord<Word = u64>>() {
        let word = A::new(0);
        word.store(1, Ordering::Relaxed);
        assert_eq!(word.exchange(0, 2, Ordering::Relaxed), Err(1));
        assert_eq!(word.exchange(1, 2, Ordering::Relaxed), Ok(()));
        assert_eq!(word.load(Ordering::Relaxed), 2);
    }
    alone::<Torn>();
    alone::<Unordered>();
}
