//! The teaching solution: each stage as short as it can honestly be.
#![expect(unsafe_code, reason = "stages 6 to 8 free memory by hand")]

use std::collections::HashMap;
use std::mem;

use crossbeam_epoch::{self as epoch, Guard};
use harness::sync::atomic::Ordering;
use harness::sync::{Mutex, RwLock};

use crate::Map;
use crate::scaffold::{Bin, Cell, Cells, Owned, PLACES, Table, freeze, hash, is_frozen, retire};

/// The map that runs in the duel under the name `yours`.
pub type Yours = EpochMap<u64>;

/// Stage 1: all entries behind one lock.
#[derive(Debug)]
pub struct OneLock(RwLock<HashMap<u64, u64>>);

impl Map for OneLock {
    fn new() -> Self {
        Self(RwLock::new(HashMap::new()))
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.read().expect("no holder panics").get(&key).copied()
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.0.write().expect("no holder panics").insert(key, value)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        self.0.write().expect("no holder panics").remove(&key)
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        let mut entries = self.0.write().expect("no holder panics");
        let value = entries.get_mut(&key)?;
        *value = change(value);
        Some(*value)
    }

    fn for_each(&self, mut visit: impl FnMut(u64, &u64)) {
        // A copy: `visit` may use the map.
        let entries = self.0.read().expect("no holder panics").clone();
        for (&key, value) in &entries {
            visit(key, value);
        }
    }
}

/// How many locks stage 2 has.
const SHARDS: usize = 16;

/// Stage 2: the keys are divided among many locks, so that threads seldom meet.
#[derive(Debug)]
pub struct Sharded([OneLock; SHARDS]);

impl Sharded {
    fn shard(&self, key: u64) -> &OneLock {
        &self.0[hash(key) % SHARDS]
    }
}

impl Map for Sharded {
    fn new() -> Self {
        Self(std::array::from_fn(|_| OneLock::new()))
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.shard(key).get(key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.shard(key).insert(key, value)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        self.shard(key).remove(key)
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        self.shard(key).update(key, change)
    }

    fn for_each(&self, mut visit: impl FnMut(u64, &u64)) {
        self.0.iter().for_each(|shard| shard.for_each(&mut visit));
    }
}

/// What a place of stage 3 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing, ever: here a search ends.
    Never,
    /// Nothing any more: a search goes on.
    Dead,
    Live(u64, u64),
}

impl Place {
    fn value(self) -> Option<u64> {
        if let Self::Live(_, value) = self { Some(value) } else { None }
    }
}

/// Stage 3: open addressing by hand, for one thread.
#[derive(Debug, Default)]
pub struct Probing {
    places: Vec<Place>,
    /// Places that are not `Never`.
    used: usize,
}

impl Probing {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The places of a key in the order of a search: from its own on, each once.
    fn probe(&self, key: u64) -> impl Iterator<Item = usize> + use<> {
        let length = self.places.len();
        (0..length).map(move |step| (hash(key) + step) % length)
    }

    fn find(&self, key: u64) -> Option<usize> {
        for index in self.probe(key) {
            match self.places[index] {
                Place::Never => return None,
                Place::Live(found, _) if found == key => return Some(index),
                _ => {}
            }
        }
        None
    }

    /// The value of `key`.
    pub fn get(&self, key: u64) -> Option<u64> {
        self.find(key).and_then(|index| self.places[index].value())
    }

    /// Sets the value of `key`; the one before.
    pub fn insert(&mut self, key: u64, value: u64) -> Option<u64> {
        if let Some(index) = self.find(key) {
            return mem::replace(&mut self.places[index], Place::Live(key, value)).value();
        }
        if (self.used + 1) * 4 > self.places.len() * 3 {
            self.rebuild();
        }
        let free = self.probe(key).find(|&index| self.places[index].value().is_none());
        let index = free.expect("a quarter of the places was never used");
        self.used += usize::from(self.places[index] == Place::Never);
        self.places[index] = Place::Live(key, value);
        None
    }

    /// Removes `key`; its value.
    pub fn remove(&mut self, key: u64) -> Option<u64> {
        let index = self.find(key)?;
        mem::replace(&mut self.places[index], Place::Dead).value()
    }

    /// All entries.
    pub fn entries(&self) -> Vec<(u64, u64)> {
        let live = |place: &Place| match *place {
            Place::Live(key, value) => Some((key, value)),
            _ => None,
        };
        self.places.iter().filter_map(live).collect()
    }

    /// Moves the entries to a table of twice their room, without the dead places.
    fn rebuild(&mut self) {
        let length = (self.entries().len() * 2).next_power_of_two().max(8) * 2;
        let table = Self { places: vec![Place::Never; length], used: 0 };
        for (key, value) in mem::replace(self, table).entries() {
            self.insert(key, value);
        }
    }
}

/// The cell of a key. A key once written stays.
fn find(cells: &Cells, key: u64) -> Option<&Cell> {
    for cell in cells.probe(key) {
        // Acquire: pairs with the Release of the key; behind it we see the value.
        match cell.key.load(Ordering::Acquire) {
            0 => return None,
            found if found == key + 1 => return Some(cell),
            _ => {}
        }
    }
    None
}

fn value(cells: &Cells, key: u64) -> Option<u64> {
    // Acquire: who sees a value sees what its writer did before.
    find(cells, key)?.value.load(Ordering::Acquire).checked_sub(1)
}

fn update(cells: &Cells, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
    let step = |word: u64| word.checked_sub(1).map(|value| change(&value) + 1);
    let cell = find(cells, key)?;
    // AcqRel: one writer after the other. Acquire: as in `value`.
    let former = cell.value.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).ok()?;
    former.checked_sub(1).map(|value| change(&value))
}

/// Stage 4: one writer at a time, and readers that take no lock.
#[derive(Debug)]
pub struct Published {
    cells: Cells,
    writer: Mutex<()>,
}

impl Map for Published {
    fn new() -> Self {
        Self { cells: Cells::new(), writer: Mutex::new(()) }
    }

    fn get(&self, key: u64) -> Option<u64> {
        value(&self.cells, key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        let _writer = self.writer.lock().expect("no holder panics");
        if let Some(cell) = find(&self.cells, key) {
            // AcqRel: readers see what we did before; we see what the last writer did.
            return cell.value.swap(value + 1, Ordering::AcqRel).checked_sub(1);
        }
        // Relaxed: keys are written under the lock.
        let is_free = |cell: &&Cell| cell.key.load(Ordering::Relaxed) == 0;
        let cell = self.cells.probe(key).find(is_free).expect("the table has room");
        // Relaxed: published with the key.
        cell.value.store(value + 1, Ordering::Relaxed);
        // Release: pairs with the Acquire in `find`.
        cell.key.store(key + 1, Ordering::Release);
        None
    }

    fn remove(&self, key: u64) -> Option<u64> {
        let _writer = self.writer.lock().expect("no holder panics");
        // AcqRel: as in `insert`.
        find(&self.cells, key)?.value.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        let _writer = self.writer.lock().expect("no holder panics");
        update(&self.cells, key, change)
    }

    fn for_each(&self, visit: impl FnMut(u64, &u64)) {
        self.cells.for_each(visit);
    }
}

/// Stage 5: writers claim a cell by compare-and-swap, and nobody takes a lock.
#[derive(Debug)]
pub struct Claimed(Cells);

impl Claimed {
    /// The cell of a key, which is claimed for it if there is none.
    fn claim(&self, key: u64) -> &Cell {
        for cell in self.0.probe(key) {
            // AcqRel: between claims of one cell. Acquire: as in `find`.
            let claimed =
                cell.key.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Acquire);
            if claimed.is_ok() || claimed == Err(key + 1) {
                return cell;
            }
        }
        panic!("the table has room for {PLACES} keys")
    }
}

impl Map for Claimed {
    fn new() -> Self {
        Self(Cells::new())
    }

    fn get(&self, key: u64) -> Option<u64> {
        value(&self.0, key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        // AcqRel: one writer after the other; readers see what we did before.
        self.claim(key).value.swap(value + 1, Ordering::AcqRel).checked_sub(1)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        // AcqRel: as in `insert`.
        find(&self.0, key)?.value.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        update(&self.0, key, change)
    }

    fn for_each(&self, visit: impl FnMut(u64, &u64)) {
        self.0.for_each(visit);
    }
}

/// Stages 6 to 8: bins that are replaced as a whole, freed when no reader can see them, and moved
/// to a larger table without a lock.
#[derive(Debug)]
pub struct EpochMap<V>(Owned<Table<V>>);

/// Entries of a bin from which on the table grows.
const BIN_MAX: usize = 4;

/// Puts `new` in the place of what was `seen`, unless somebody was faster; whether it did.
fn swap_in<T: Send + 'static>(owned: &Owned<T>, seen: *mut T, new: T, guard: &Guard) -> bool {
    let new = Box::into_raw(Box::new(new));
    // Release: publishes the new value. Relaxed: a failure tells nothing.
    let won = owned.pointer().compare_exchange(seen, new, Ordering::Release, Ordering::Relaxed);
    if won.is_ok() {
        // SAFETY: our exchange took it out, so that nobody finds it any more.
        unsafe { retire(seen, guard) };
    } else {
        // SAFETY: nobody else has seen it.
        drop(unsafe { Box::from_raw(new) });
    }
    won.is_ok()
}

impl<V: Clone + Send + Sync + 'static> EpochMap<V> {
    /// Replaces what `key` has by what `change` makes of it; what it had and what it has.
    fn change(&self, key: u64, change: impl Fn(Option<&V>) -> Option<V>) -> (Option<V>, Option<V>) {
        let guard = epoch::pin();
        loop {
            let table = self.0.read(&guard);
            let bin = table.bin(key);
            // Acquire: as readers do.
            let seen = bin.pointer().load(Ordering::Acquire);
            if is_frozen(seen) {
                self.grow(table, &guard);
                continue;
            }
            // SAFETY: not frozen, and as in `Owned::read`.
            let entries = unsafe { &*seen };
            let former = entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.1);
            let new = change(former);
            let mut changed: Bin<V> = entries.iter().filter(|it| it.0 != key).cloned().collect();
            changed.extend(new.clone().map(|value| (key, value)));
            let is_long = changed.len() > BIN_MAX;
            if swap_in(bin, seen, changed, &guard) {
                if is_long {
                    self.grow(table, &guard);
                }
                return (former.cloned(), new);
            }
            harness::sync::hint::spin_loop();
        }
    }

    /// Moves all entries to a table of twice as many bins. Every thread that comes by does the
    /// whole of it; one of them wins.
    fn grow(&self, table: &Table<V>, guard: &Guard) {
        table.bins().iter().for_each(freeze);
        let mut bins = vec![Bin::new(); table.bins().len() * 2];
        for bin in table.bins() {
            for (key, value) in bin.read(guard) {
                let index = hash(*key) % bins.len();
                bins[index].push((*key, value.clone()));
            }
        }
        // SAFETY: `swap_in` puts nothing into a table but its own boxes.
        let larger = unsafe { Table::new(bins) };
        swap_in(&self.0, std::ptr::from_ref(table).cast_mut(), larger, guard);
    }
}

impl<V: Clone + Send + Sync + 'static> Map<V> for EpochMap<V> {
    fn new() -> Self {
        // SAFETY: `swap_in` puts nothing into a table but its own boxes.
        let table = unsafe { Table::new(vec![Bin::new()]) };
        // SAFETY: nor in the place of one.
        Self(unsafe { Owned::new(table) })
    }

    fn get(&self, key: u64) -> Option<V> {
        let guard = epoch::pin();
        let bin = self.0.read(&guard).bin(key).read(&guard);
        bin.iter().find(|entry| entry.0 == key).map(|entry| entry.1.clone())
    }

    fn insert(&self, key: u64, value: V) -> Option<V> {
        self.change(key, |_former| Some(value.clone())).0
    }

    fn remove(&self, key: u64) -> Option<V> {
        self.change(key, |_former| None).0
    }

    fn update(&self, key: u64, change: impl Fn(&V) -> V) -> Option<V> {
        self.change(key, |former| former.map(&change)).1
    }

    fn for_each(&self, mut visit: impl FnMut(u64, &V)) {
        let guard = epoch::pin();
        for (key, value) in self.0.read(&guard).bins().iter().flat_map(|bin| bin.read(&guard)) {
            visit(*key, value);
        }
    }
}
