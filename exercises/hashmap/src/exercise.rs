//! Your map. This is the only file that you edit; `cargo study` judges it, stage by stage.
//!
//! Take atomics and locks from `harness::sync`: in a plain build they are those of the standard
//! library, and under the explorer of schedules they are its own. What is no stage's point is in
//! `scaffold.rs`, ready to be used.
//!
//! Stages 6 to 8 free memory by hand, and `unsafe` is denied here. When you come to them, put this
//! below these lines: `#![expect(unsafe_code, reason = "stages 6 to 8 free memory by hand")]`.

use std::marker::PhantomData;

use crate::{Map, stage};

/// The map that runs in the duel under the name `yours`: name your best one here.
pub type Yours = OneLock;

/// Stage 1: all entries behind one lock.
#[derive(Debug)]
pub struct OneLock;

impl Map for OneLock {
    fn new() -> Self {
        stage!(1, "make an empty map behind one lock")
    }

    fn get(&self, _key: u64) -> Option<u64> {
        stage!(1, "look a key up")
    }

    fn insert(&self, _key: u64, _value: u64) -> Option<u64> {
        stage!(1, "set a value and return the one before")
    }

    fn remove(&self, _key: u64) -> Option<u64> {
        stage!(1, "remove a key and return its value")
    }

    fn update(&self, _key: u64, _change: impl Fn(&u64) -> u64) -> Option<u64> {
        stage!(1, "replace a value as one step")
    }

    fn for_each(&self, _visit: impl FnMut(u64, &u64)) {
        stage!(1, "visit every entry")
    }
}

/// Stage 2: the keys are divided among many locks.
#[derive(Debug)]
pub struct Sharded;

impl Map for Sharded {
    fn new() -> Self {
        stage!(2, "make an array of locked maps")
    }

    fn get(&self, _key: u64) -> Option<u64> {
        stage!(2, "look a key up in its shard")
    }

    fn insert(&self, _key: u64, _value: u64) -> Option<u64> {
        stage!(2, "insert into the shard of the key, under one lock from beginning to end")
    }

    fn remove(&self, _key: u64) -> Option<u64> {
        stage!(2, "remove from the shard of the key")
    }

    fn update(&self, _key: u64, _change: impl Fn(&u64) -> u64) -> Option<u64> {
        stage!(2, "update in the shard of the key, under one lock from beginning to end")
    }

    fn for_each(&self, _visit: impl FnMut(u64, &u64)) {
        stage!(2, "visit every shard")
    }
}

/// Stage 3: open addressing by hand, for one thread.
#[derive(Debug)]
pub struct Probing;

impl Probing {
    /// An empty table.
    pub fn new() -> Self {
        stage!(3, "make a table of places that were never used")
    }

    /// The value of `key`.
    pub fn get(&self, _key: u64) -> Option<u64> {
        stage!(3, "probe from the place of the key to the first that was never used")
    }

    /// Sets the value of `key`; the one before.
    pub fn insert(&mut self, _key: u64, _value: u64) -> Option<u64> {
        stage!(3, "put an entry into the first free place of its probe; rebuild when nearly full")
    }

    /// Removes `key`; its value.
    pub fn remove(&mut self, _key: u64) -> Option<u64> {
        stage!(3, "leave a tombstone, so that searches go on behind it")
    }

    /// All entries.
    pub fn entries(&self) -> Vec<(u64, u64)> {
        stage!(3, "collect the entries")
    }
}

impl Default for Probing {
    fn default() -> Self {
        Self::new()
    }
}

/// Stage 4: one writer at a time, and readers that take no lock.
#[derive(Debug)]
pub struct Published;

impl Map for Published {
    fn new() -> Self {
        stage!(4, "make a table of atomics that does not grow, and a lock for writers")
    }

    fn get(&self, _key: u64) -> Option<u64> {
        stage!(4, "search without a lock")
    }

    fn insert(&self, _key: u64, _value: u64) -> Option<u64> {
        stage!(4, "write the value, then publish the key")
    }

    fn remove(&self, _key: u64) -> Option<u64> {
        stage!(4, "take the value away and leave the key")
    }

    fn update(&self, _key: u64, _change: impl Fn(&u64) -> u64) -> Option<u64> {
        stage!(4, "replace the value under the writers' lock")
    }

    fn for_each(&self, _visit: impl FnMut(u64, &u64)) {
        stage!(4, "visit every cell that has a value")
    }
}

/// Stage 5: writers claim a cell by compare-and-swap, and nobody takes a lock.
#[derive(Debug)]
pub struct Claimed;

impl Map for Claimed {
    fn new() -> Self {
        stage!(5, "make the same table without the lock")
    }

    fn get(&self, _key: u64) -> Option<u64> {
        stage!(5, "search without a lock")
    }

    fn insert(&self, _key: u64, _value: u64) -> Option<u64> {
        stage!(5, "claim a cell for the key, then swap the value in")
    }

    fn remove(&self, _key: u64) -> Option<u64> {
        stage!(5, "swap the value out")
    }

    fn update(&self, _key: u64, _change: impl Fn(&u64) -> u64) -> Option<u64> {
        stage!(5, "compare-and-swap the value in a loop")
    }

    fn for_each(&self, _visit: impl FnMut(u64, &u64)) {
        stage!(5, "visit every cell that has a value")
    }
}

/// Stages 6 to 8: bins of any values, which are freed when no reader can see them (stage 6), move
/// to a larger table under readers (stage 7), and change in one step (stage 8).
#[derive(Debug)]
pub struct EpochMap<V>(PhantomData<V>);

impl<V: Clone + Send + Sync + 'static> Map<V> for EpochMap<V> {
    fn new() -> Self {
        stage!(6, "make a table of bins, each behind an atomic pointer")
    }

    fn get(&self, _key: u64) -> Option<V> {
        stage!(6, "pin the epoch, follow the pointer, copy the value")
    }

    fn insert(&self, _key: u64, _value: V) -> Option<V> {
        stage!(6, "replace the whole bin by compare-and-swap, and retire the old one")
    }

    fn remove(&self, _key: u64) -> Option<V> {
        stage!(6, "replace the bin by one without the key")
    }

    fn update(&self, _key: u64, _change: impl Fn(&V) -> V) -> Option<V> {
        stage!(8, "replace a value as one step: read, change, compare-and-swap, or begin again")
    }

    fn for_each(&self, _visit: impl FnMut(u64, &V)) {
        stage!(7, "visit the bins of the table as it was")
    }
}
