//! Progress: a writer that is suspended at any step stops no reader, and no writer of another bin.
//!
//! The steps of a writer are taken by hand, and after each the map must be of use to others.

use std::hash::RandomState;

use super::*;
use crate::raw::inline::{Core, Session};
use crate::zeroed::Pages;

type Map = Core<RandomState>;

fn map_with(keys: u64) -> Map {
    let map = Map::new(64, RandomState::new()).expect("memory for 64 bins");
    let session = Session::new(&map);
    for key in 0..keys {
        session.insert(key, key);
    }
    map
}

/// Every key that is in no locked bin can be read and written, and the others read.
fn is_of_use(map: &Map, keys: u64, busy: usize) {
    let session = Session::new(map);
    for key in 0..keys {
        assert_eq!(session.get(key), Some(key));
        let elsewhere = session.with_table(|table| table.index(session.hash(key)) != busy);
        if elsewhere {
            assert_eq!(session.insert(key, key), Some(key));
            assert_eq!(session.remove(key), Some(key));
            assert_eq!(session.try_insert(key, key), None);
        }
    }
}

#[test]
fn a_suspended_insertion_stops_no_reader() {
    let map = map_with(300);
    let session = Session::new(&map);
    let hash = session.hash(1_000);
    session.with_table(|table| {
        let (bin, busy) = (table.bin(hash), table.index(hash));
        let state = bin.head.state();
        assert!(bin.head.try_lock(state));
        is_of_use(&map, 300, busy);
        assert!(!bin.head.try_lock(state), "the lock is taken");
        let slot = bin.head.tags().free_slot().expect("64 bins have room for 300");
        bin.slots[slot].fill(1_000, 7);
        is_of_use(&map, 300, busy);
        assert_eq!(session.get(1_000), None, "nothing says yet that it is there");
        bin.head.set_tag(slot, hash);
        is_of_use(&map, 300, busy);
        assert_eq!(session.get(1_000), Some(7), "one store made it visible");
        bin.head.publish(state.changed());
        is_of_use(&map, 300, usize::MAX);
        assert!(!bin.head.is_still(state), "who searched before must search anew");
    });
}

#[test]
fn a_suspended_removal_stops_no_reader() {
    let map = map_with(301);
    let session = Session::new(&map);
    let hash = session.hash(300);
    session.with_table(|table| {
        let (bin, busy) = (table.bin(hash), table.index(hash));
        let found = table.find(bin, hash, 300).expect("it was inserted");
        let Place::Home(slot) = found.place else { panic!("64 bins have room for 301") };
        let state = bin.head.state();
        assert!(bin.head.try_lock(state));
        assert_eq!(session.get(300), Some(300));
        bin.head.clear_tag(slot);
        is_of_use(&map, 300, busy);
        assert_eq!(session.get(300), None);
        bin.head.publish(state.changed());
        is_of_use(&map, 300, usize::MAX);
    });
}

/// A mover that has claimed a chunk and is gone: others move it.
#[test]
fn a_suspended_mover_delays_nobody() {
    let map = map_with(300);
    let session = Session::new(&map);
    session.with_table(|table| {
        table.begin_resize(128, Pages::Small);
        let next = table.next().expect("it was just made");
        assert!(next.arrivals.claim().is_some());
    });
    for key in 0..300 {
        assert_eq!(session.get(key), Some(key));
        assert_eq!(session.insert(key, key), Some(key));
    }
    assert_eq!(session.with_table(Table::len), 128, "the others have finished the migration");
    is_of_use(&map, 300, usize::MAX);
}

/// A mover that stands still with a bin's lock: the bin is read where it is, the rest moves.
#[test]
fn a_mover_suspended_with_a_lock_stops_no_reader() {
    let map = map_with(300);
    let session = Session::new(&map);
    session.with_table(|table| {
        let bin = table.bin_at(5);
        let state = bin.head.state();
        assert!(bin.head.try_lock(state));
        table.begin_resize(128, Pages::Small);
        is_of_use(&map, 300, 5);
        assert_eq!(session.with_table(Table::len), 64, "one bin has not moved");
        bin.head.publish(state);
        is_of_use(&map, 300, usize::MAX);
        assert_eq!(session.with_table(Table::len), 128);
    });
}
