//! Slots of eight bytes under every schedule that an explorer can think of.

use harness::check::schedule::explore;
use harness::sync::{Arc, thread};

use super::Words;
use crate::keyed::Outcome;
use crate::keyed::strangers::Strangers;
use crate::keyed::table::{Filling, Table};
use crate::quota::Quota;

/// One cell a second, one at once.
const SECOND: u64 = 1_000_000_000;

type Compact = Table<Words>;

fn quota() -> Quota {
    Quota::per_second(1).expect("the quota is legal")
}

fn table() -> Compact {
    Compact::new(&quota(), 1, Filling::Dense, 0).expect("a small table")
}

/// Runs `here` and `there` on two threads that share `table`, and returns what both said.
fn together(
    table: Compact,
    here: impl Fn(&Compact) -> bool,
    there: impl Fn(&Compact) -> bool + Send + 'static,
) -> (bool, bool) {
    let table = Arc::new(table);
    let shared = Arc::clone(&table);
    let other = thread::spawn(move || there(&shared));
    let here = here(&table);
    (here, other.join().expect("nobody panics"))
}

fn ask(key: u64, now_ns: u64) -> impl Fn(&Compact) -> bool {
    move |table| table.take(key, now_ns, 1) == Outcome::Admitted
}

#[test]
fn a_key_has_one_slot() {
    explore("schedules::a_key_has_one_slot", || {
        let (here, there) = together(table(), ask(7, 0), ask(7, 0));
        assert!(here ^ there, "the key has no slot or two: {here} {there}");
    });
}

#[test]
fn a_slot_changes_hands() {
    explore("schedules::a_slot_changes_hands", || {
        let table = table();
        assert!(ask(7, 0)(&table));
        let said = together(table, ask(7, 2 * SECOND), ask(8, 2 * SECOND));
        assert_eq!(said, (true, true), "a full bucket denied");
    });
}

#[test]
fn a_cell_comes_back_once() {
    explore("schedules::a_cell_comes_back_once", || {
        let table = table();
        assert!(ask(7, 0)(&table));
        let gives = |table: &Compact| {
            table.give_back(7, 0, 1);
            ask(7, 0)(table)
        };
        let (here, there) = together(table, ask(7, 0), gives);
        assert!(here ^ there, "one cell was given back: {here} {there}");
    });
}

#[test]
fn a_stranger_passes_once() {
    explore("schedules::a_stranger_passes_once", || {
        let mut table = table();
        table.keep_out(Strangers::new(1, &quota(), 0).expect("a small sketch"));
        let (here, there) = together(table, ask(7, 0), ask(7, 0));
        assert!(here ^ there, "the first cell was given never or twice: {here} {there}");
    });
}
