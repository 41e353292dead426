//! One source for three worlds. What only one explorer can find is asserted for that one alone.
//!
//! Every body here runs inside an exploration: the primitives of loom and shuttle work nowhere
//! else.

use super::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use super::cell::UnsafeCell;
use super::{Arc, Condvar, Mutex, RwLock, hint, thread};
use crate::check::schedule::{explore, find_failure};

/// Tries in which a planted bug must be found. Shuttle needs a handful; real threads need luck.
const TRIES: u64 = if cfg!(shuttle) { 20 } else { 20_000 };

#[test]
fn lock_and_join_publish() {
    explore("sync::tests::lock_and_join_publish", || {
        let total = Arc::new(Mutex::new(0));
        let adders: Vec<_> = (1..=2)
            .map(|amount| {
                let total = Arc::clone(&total);
                thread::spawn(move || *total.lock().expect("no adder panics") += amount)
            })
            .collect();
        for adder in adders {
            adder.join().expect("no adder panics");
        }
        assert_eq!(*total.lock().expect("no adder panics"), 3);
        assert_eq!(Arc::strong_count(&total), 1);
    });
}

#[test]
fn readers_see_whole_writes() {
    explore("sync::tests::readers_see_whole_writes", || {
        let pair = Arc::new(RwLock::new((0, 0)));
        let writer = {
            let pair = Arc::clone(&pair);
            thread::spawn(move || {
                let mut pair = pair.write().expect("no one panics");
                pair.0 += 1;
                pair.1 += 1;
            })
        };
        let (left, right) = *pair.read().expect("no one panics");
        assert_eq!(left, right);
        writer.join().expect("no one panics");
    });
}

#[test]
fn waiter_is_woken() {
    explore("sync::tests::waiter_is_woken", || {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let opener = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                *gate.0.lock().expect("no one panics") = true;
                gate.1.notify_one();
            })
        };
        let mut open = gate.0.lock().expect("no one panics");
        while !*open {
            open = gate.1.wait(open).expect("no one panics");
        }
        drop(open);
        opener.join().expect("no one panics");
    });
}

#[test]
fn spin_sees_a_released_value() {
    explore("sync::tests::spin_sees_a_released_value", || {
        let (data, ready) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let writer = {
            let (data, ready) = (Arc::clone(&data), Arc::clone(&ready));
            thread::spawn(move || {
                data.store(42, Ordering::Relaxed);
                // Release: pairs with the Acquire load of the spin.
                ready.store(true, Ordering::Release);
            })
        };
        // Acquire: pairs with the Release store; the store to `data` is visible after it.
        while !ready.load(Ordering::Acquire) {
            hint::spin_loop();
            thread::yield_now();
        }
        assert_eq!(data.load(Ordering::Relaxed), 42);
        writer.join().expect("the writer does not panic");
    });
}

#[test]
fn fences_publish() {
    explore("sync::tests::fences_publish", || {
        let (data, ready) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let writer = {
            let (data, ready) = (Arc::clone(&data), Arc::clone(&ready));
            thread::spawn(move || {
                data.store(1, Ordering::Relaxed);
                // Release: pairs with the Acquire fence of the reader.
                fence(Ordering::Release);
                ready.store(true, Ordering::Relaxed);
            })
        };
        if ready.load(Ordering::Relaxed) {
            // Acquire: pairs with the Release fence of the writer.
            fence(Ordering::Acquire);
            assert_eq!(data.load(Ordering::Relaxed), 1);
        }
        writer.join().expect("the writer does not panic");
    });
}

#[test]
fn cell_is_private_until_it_is_joined() {
    explore("sync::tests::cell_is_private_until_it_is_joined", || {
        let cell = UnsafeCell::new(5);
        let owner = thread::spawn(move || {
            let is_set = cell.with_mut(|value| !value.is_null());
            (is_set, cell)
        });
        // Something to schedule: shuttle rejects a test in which threads have no choice.
        thread::yield_now();
        let (is_set, cell) = owner.join().expect("the owner does not panic");
        assert!(is_set && cell.with(|value| !value.is_null()));
    });
}

/// An insert as a learner writes it first: look, unlock, lock, put.
fn racy_insert(slot: &Mutex<Option<u64>>, value: u64) -> Option<u64> {
    let former = *slot.lock().expect("no one panics");
    #[cfg(not(any(loom, shuttle)))]
    thread::yield_now();
    *slot.lock().expect("no one panics") = Some(value);
    former
}

/// Two inserts of one key; at most one of them may find it absent.
fn two_inserts(insert: fn(&Mutex<Option<u64>>, u64) -> Option<u64>) {
    let slot = Arc::new(Mutex::new(None));
    let other = {
        let slot = Arc::clone(&slot);
        thread::spawn(move || insert(&slot, 1))
    };
    let here = insert(&slot, 2);
    let there = other.join().expect("no one panics");
    assert!(here.is_some() || there.is_some(), "both inserts found the key absent");
}

#[test]
fn planted_lost_update_is_found() {
    let failure = find_failure(TRIES, || two_inserts(racy_insert)).expect("the race is found");
    assert_eq!(failure.message(), "both inserts found the key absent");
}

#[test]
fn correct_insert_passes_where_the_racy_one_fails() {
    explore("sync::tests::correct_insert_passes_where_the_racy_one_fails", || {
        two_inserts(|slot, value| slot.lock().expect("no one panics").replace(value));
    });
}

/// Publication with too weak an ordering: the flag may be seen before the data.
#[cfg(any(loom, shuttle))]
fn relaxed_publication() {
    let (data, ready) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (data, ready) = (Arc::clone(&data), Arc::clone(&ready));
        thread::spawn(move || {
            data.store(42, Ordering::Relaxed);
            // Relaxed is the planted bug; Release is right.
            ready.store(true, Ordering::Relaxed);
        })
    };
    // Acquire: has no Release store to pair with.
    if ready.load(Ordering::Acquire) {
        assert_eq!(data.load(Ordering::Relaxed), 42, "the flag overtook the data");
    }
    writer.join().expect("the writer does not panic");
}

#[cfg(loom)]
#[test]
fn planted_relaxed_publication_is_found_by_loom() {
    let failure = find_failure(1, relaxed_publication).expect("loom knows stale values");
    assert!(failure.message().contains("the flag overtook the data"), "{failure:?}");
}

/// Why loom is needed beside shuttle: a limit that must be known, so it is a test.
#[cfg(shuttle)]
#[test]
fn shuttle_runs_every_atomic_as_sequentially_consistent() {
    let failure = find_failure(TRIES, relaxed_publication);
    assert!(failure.is_none(), "shuttle now knows orderings; say so in the docs: {failure:?}");
}

/// Two locks in opposite orders. Real threads would hang. Loom sees that nobody can go on, but then
/// its guards panic while it unwinds, which ends the process: a failure, though not one to assert.
#[cfg(shuttle)]
#[test]
fn planted_deadlock_is_found_by_shuttle() {
    let failure = find_failure(TRIES, || {
        let (left, right) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let other = {
            let (left, right) = (Arc::clone(&left), Arc::clone(&right));
            thread::spawn(move || {
                let _left = left.lock().expect("no one panics");
                let _right = right.lock().expect("no one panics");
            })
        };
        {
            let _right = right.lock().expect("no one panics");
            let _left = left.lock().expect("no one panics");
        }
        other.join().expect("no one panics");
    });
    let failure = failure.expect("the deadlock is found");
    assert!(failure.message().contains("eadlock"), "{failure:?}");
}
