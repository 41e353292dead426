//! Tests of the slot: nothing is dropped early, nothing twice, nothing never.

use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;

/// Counts its living instances, and fails where one is read after its drop.
#[derive(Debug)]
struct Counted {
    alive: Arc<AtomicUsize>,
    value: usize,
}

impl Counted {
    fn new(alive: &Arc<AtomicUsize>, value: usize) -> Arc<Self> {
        alive.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self { alive: Arc::clone(alive), value })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.value = usize::MAX;
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_borrowed_outlives_its_replacement() {
    let alive = Arc::default();
    let slot = Slot::new(Some(Counted::new(&alive, 1)));
    let guard = epoch::pin();
    let borrowed = slot.load(&guard).expect("it is there");
    let shared = slot.share(&guard).expect("it is there");
    let old = slot.replace(Some(Counted::new(&alive, 2)), &guard).expect("it was there");
    assert_eq!((borrowed.value, old.value, shared.value), (1, 1, 1));
    let (inside, is_new) = slot.fill(Counted::new(&alive, 3), &guard);
    assert_eq!((inside.value, is_new), (2, false));
    assert!(slot.replace(None, &guard).is_some() && slot.load(&guard).is_none());
    assert!(slot.fill(Counted::new(&alive, 4), &guard).1);
    drop((guard, shared, slot));
    // Deferred drops happen as epochs pass, which tests beside this one may delay.
    let is_gone = |_: &u32| {
        epoch::pin().flush();
        thread::yield_now();
        alive.load(Ordering::SeqCst) == 0
    };
    assert!((0..2_000_000).any(|it| is_gone(&it)), "{alive:?} are left");
}

#[test]
fn what_is_borrowed_outlives_the_slot() {
    let alive = Arc::default();
    let slot = Slot::new(Some(Counted::new(&alive, 1)));
    let guard = epoch::pin();
    let borrowed = slot.load(&guard).expect("it is there");
    drop(slot);
    assert_eq!((borrowed.value, alive.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn readers_beside_replacements_read_living_values() {
    let alive: Arc<AtomicUsize> = Arc::default();
    let slot = Slot::new(Some(Counted::new(&alive, 0)));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 20_000 {
                    let guard = epoch::pin();
                    let value = slot.load(&guard).expect("it is never empty").value;
                    assert!(value >= last && value <= 20_000, "{value} after {last}");
                    last = value;
                }
            });
        }
        for value in 1..=20_000 {
            slot.replace(Some(Counted::new(&alive, value)), &epoch::pin());
        }
    });
}
