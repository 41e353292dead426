//! Tests of the counter.

use std::thread;

use super::*;

#[test]
fn counts_of_many_threads_add_up() {
    let counter = Counter::new();
    // More threads than stripes, and more than once, so that seats are shared and taken again.
    for _ in 0..3 {
        thread::scope(|scope| {
            for thread in 0..STRIPES_MAX + 10 {
                let counter = &counter;
                scope.spawn(move || {
                    let seat = Seat::current();
                    for _ in 0..1_000 {
                        counter.add_at(&seat, 2);
                        counter.add(-1);
                    }
                    counter.add(thread.cast_signed() % 2);
                });
            }
        });
    }
    let threads = 3 * (STRIPES_MAX + 10);
    assert_eq!(counter.sum(), 1_000 * threads + threads / 2);
}

#[test]
fn sum_is_never_below_zero() {
    let counter = Counter::new();
    counter.add(-3);
    assert_eq!(counter.sum(), 0);
    counter.add(5);
    assert_eq!(counter.sum(), 2);
}

#[test]
fn a_seat_is_taken_again_when_its_thread_and_its_handles_are_gone() {
    let held = Seat::current();
    let number = held.number;
    thread::scope(|scope| {
        scope.spawn(|| assert_ne!(Seat::current().number, number));
    });
}

#[test]
fn ticks_come_once_in_a_period() {
    let seat = Seat::take();
    assert_eq!((0..320).filter(|_| seat.tick(32)).count(), 10);
}
