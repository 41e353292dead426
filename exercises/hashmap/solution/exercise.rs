//! The teaching solution: each stage as short as it can honestly be.
#![expect(unsafe_code, reason = "stages 6 to 8 free memory by hand")]

use std::collections::HashMap;

use crossbeam_epoch::{self as epoch, Guard};
use harness::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use harness::sync::{Mutex, RwLock};

use crate::Map;

/// The map that runs in the duel under the name `yours`.
pub type Yours = EpochMap<u64>;

/// Mixes the bits of a key, so that neighbours part.
fn hash(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

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

/// Stage 3: open addressing by hand, for one thread.
#[derive(Debug)]
pub struct Probing {
    places: Vec<Place>,
    /// Places that are not `Never`.
    used: usize,
}

impl Probing {
    /// An empty table.
    pub fn new() -> Self {
        Self { places: vec![Place::Never; 8], used: 0 }
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
        self.find(key).and_then(|index| match self.places[index] {
            Place::Live(_, value) => Some(value),
            _ => None,
        })
    }

    /// Sets the value of `key`; the one before.
    pub fn insert(&mut self, key: u64, value: u64) -> Option<u64> {
        let former = self.get(key);
        if let Some(index) = self.find(key) {
            self.places[index] = Place::Live(key, value);
            return former;
        }
        if (self.used + 1) * 4 > self.places.len() * 3 {
            self.rebuild();
        }
        let free = self.probe(key).find(|&index| !matches!(self.places[index], Place::Live(..)));
        let index = free.expect("a quarter of the places was never used");
        self.used += usize::from(self.places[index] == Place::Never);
        self.places[index] = Place::Live(key, value);
        None
    }

    /// Removes `key`; its value.
    pub fn remove(&mut self, key: u64) -> Option<u64> {
        let former = self.get(key)?;
        let index = self.find(key)?;
        self.places[index] = Place::Dead;
        Some(former)
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
        let entries = self.entries();
        let length = (entries.len() * 2).next_power_of_two().max(8) * 2;
        *self = Self { places: vec![Place::Never; length], used: 0 };
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl Default for Probing {
    fn default() -> Self {
        Self::new()
    }
}

/// Places of the tables of stages 4 and 5. They do not grow.
const PLACES: usize = if cfg!(shuttle) { 16 } else { 1 << 14 };

/// A key and its value, each plus one, so that zero is none. A key once written stays.
#[derive(Debug, Default)]
struct Cell {
    key: AtomicU64,
    value: AtomicU64,
}

/// The places that both stages search.
#[derive(Debug)]
struct Cells(Box<[Cell]>);

impl Cells {
    fn new() -> Self {
        Self((0..PLACES).map(|_| Cell::default()).collect())
    }

    /// The cells of a key in the order of a search.
    fn probe(&self, key: u64) -> impl Iterator<Item = &Cell> {
        (0..PLACES).map(move |step| &self.0[(hash(key) + step) % PLACES])
    }

    fn find(&self, key: u64) -> Option<&Cell> {
        for cell in self.probe(key) {
            // Acquire: pairs with the Release of the key; behind it we see the value.
            match cell.key.load(Ordering::Acquire) {
                0 => return None,
                found if found == key + 1 => return Some(cell),
                _ => {}
            }
        }
        None
    }

    fn get(&self, key: u64) -> Option<u64> {
        // Acquire: who sees a value sees what its writer did before.
        self.find(key)?.value.load(Ordering::Acquire).checked_sub(1)
    }

    fn for_each(&self, mut visit: impl FnMut(u64, &u64)) {
        for cell in &self.0 {
            // Acquire, twice: as in `find` and `get`.
            let key = cell.key.load(Ordering::Acquire).checked_sub(1);
            let value = cell.value.load(Ordering::Acquire).checked_sub(1);
            if let (Some(key), Some(value)) = (key, value) {
                visit(key, &value);
            }
        }
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        let cell = self.find(key)?;
        let step = |word: u64| word.checked_sub(1).map(|value| change(&value) + 1);
        // AcqRel: one writer after the other. Acquire: as in `get`.
        let former = cell.value.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).ok()?;
        former.checked_sub(1).map(|value| change(&value))
    }
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
        self.cells.get(key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        let _writer = self.writer.lock().expect("no holder panics");
        if let Some(cell) = self.cells.find(key) {
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
        self.cells.find(key)?.value.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        let _writer = self.writer.lock().expect("no holder panics");
        self.cells.update(key, change)
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
            match claimed {
                Ok(_) => return cell,
                Err(found) if found == key + 1 => return cell,
                Err(_) => {}
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
        self.0.get(key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        // AcqRel: one writer after the other; readers see what we did before.
        self.claim(key).value.swap(value + 1, Ordering::AcqRel).checked_sub(1)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        // AcqRel: as in `insert`.
        self.0.find(key)?.value.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    fn update(&self, key: u64, change: impl Fn(&u64) -> u64) -> Option<u64> {
        self.0.update(key, change)
    }

    fn for_each(&self, visit: impl FnMut(u64, &u64)) {
        self.0.for_each(visit);
    }
}

/// The entries of a bin. Never changed: a writer makes a new one.
type Bin<V> = Vec<(u64, V)>;

/// The lowest bit of a bin's pointer: no writer replaces it any more.
const FROZEN: usize = 1;

/// The bins of one size.
#[derive(Debug)]
struct Table<V>(Box<[AtomicPtr<Bin<V>>]>);

/// Stages 6 to 8: bins that are replaced as a whole, freed when no reader can see them, and moved
/// to a larger table without a lock.
#[derive(Debug)]
pub struct EpochMap<V> {
    table: AtomicPtr<Table<V>>,
    entries: AtomicUsize,
}

/// A pointer as it may be followed.
fn thawed<V>(bin: *mut Bin<V>) -> *mut Bin<V> {
    bin.map_addr(|address| address & !FROZEN)
}

fn is_frozen<V>(bin: *mut Bin<V>) -> bool {
    bin.addr() & FROZEN != 0
}

impl<V: Clone + Send + Sync + 'static> Table<V> {
    fn new(bins: Vec<Bin<V>>) -> Self {
        Self(bins.into_iter().map(|bin| AtomicPtr::new(Box::into_raw(Box::new(bin)))).collect())
    }

    fn bin(&self, key: u64) -> &AtomicPtr<Bin<V>> {
        &self.0[hash(key) % self.0.len()]
    }

    /// The entries of a bin as they are now.
    #[expect(clippy::unused_self, reason = "the table is the proof that the bin is not freed")]
    fn entries<'g>(&self, bin: &AtomicPtr<Bin<V>>, _guard: &'g Guard) -> &'g Bin<V> {
        // Acquire: pairs with the Release of whoever put it there.
        let bin = thawed(bin.load(Ordering::Acquire));
        // SAFETY: a bin is retired after it was replaced, and freed when all guards from before
        // that are gone; ours is one of them.
        unsafe { &*bin }
    }
}

impl<V> Drop for Table<V> {
    fn drop(&mut self) {
        for bin in &self.0 {
            // Relaxed: nobody else has the table any more.
            let bin = thawed(bin.load(Ordering::Relaxed));
            // SAFETY: the table owns its bins, and each came from a box.
            drop(unsafe { Box::from_raw(bin) });
        }
    }
}

/// Frees what a pointer led to when no guard of now is left.
fn retire<T: Send + 'static>(former: *mut T, guard: &Guard) {
    let former = former.expose_provenance();
    let free = move || {
        // SAFETY: it came from a box and was unlinked by one thread, the one that retired it.
        drop(unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<T>(former)) });
    };
    // SAFETY: whoever pins from now on cannot reach it, and the closure owns what it frees.
    unsafe { guard.defer_unchecked(free) };
}

impl<V: Clone + Send + Sync + 'static> EpochMap<V> {
    fn table<'g>(&self, _guard: &'g Guard) -> &'g Table<V> {
        // Acquire: pairs with the Release in `grow`.
        // SAFETY: never null; retired after it was replaced, as bins are.
        unsafe { &*self.table.load(Ordering::Acquire) }
    }

    /// Replaces what `key` has by what `change` makes of it; what it had and what it has.
    fn change(&self, key: u64, change: impl Fn(Option<&V>) -> Option<V>) -> (Option<V>, Option<V>) {
        let guard = epoch::pin();
        loop {
            let table = self.table(&guard);
            let bin = table.bin(key);
            // Acquire: as in `entries`.
            let seen = bin.load(Ordering::Acquire);
            if is_frozen(seen) {
                self.grow(table, &guard);
                continue;
            }
            // SAFETY: as in `entries`.
            let entries = unsafe { &*seen };
            let former = entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.1);
            let new = change(former);
            let mut changed: Bin<V> = entries.iter().filter(|it| it.0 != key).cloned().collect();
            changed.extend(new.clone().map(|value| (key, value)));
            let changed = Box::into_raw(Box::new(changed));
            // Release: publishes the new bin. Relaxed: a failure tells nothing.
            let won = bin.compare_exchange(seen, changed, Ordering::Release, Ordering::Relaxed);
            if won.is_ok() {
                let former = former.cloned();
                retire(seen, &guard);
                self.count(table, former.is_some(), new.is_some(), &guard);
                return (former, new);
            }
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(changed) });
            harness::sync::hint::spin_loop();
        }
    }

    fn count(&self, table: &Table<V>, was_there: bool, is_there: bool, guard: &Guard) {
        // Relaxed: a wish to grow.
        if is_there && !was_there {
            let entries = self.entries.fetch_add(1, Ordering::Relaxed) + 1;
            if entries > table.0.len() * 4 {
                self.grow(table, guard);
            }
        } else if was_there && !is_there {
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Moves all entries to a table of twice as many bins. Every thread that comes by does the
    /// whole of it; one of them wins.
    fn grow(&self, table: &Table<V>, guard: &Guard) {
        for bin in &table.0 {
            // AcqRel: what was written is frozen with it.
            let freeze = |bin: *mut Bin<V>| Some(bin.map_addr(|address| address | FROZEN));
            let frozen = bin.fetch_update(Ordering::AcqRel, Ordering::Acquire, freeze);
            frozen.expect("`freeze` never declines");
        }
        let mut bins = vec![Bin::new(); table.0.len() * 2];
        for bin in &table.0 {
            for (key, value) in table.entries(bin, guard) {
                let index = hash(*key) % bins.len();
                bins[index].push((*key, value.clone()));
            }
        }
        let larger = Box::into_raw(Box::new(Table::new(bins)));
        let former = std::ptr::from_ref(table).cast_mut();
        // Release: publishes the table. Relaxed: a failure tells nothing.
        let won = self.table.compare_exchange(former, larger, Ordering::Release, Ordering::Relaxed);
        if won.is_ok() {
            retire(former, guard);
        } else {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(larger) });
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Map<V> for EpochMap<V> {
    fn new() -> Self {
        let table = Box::new(Table::new(vec![Bin::new()]));
        Self { table: AtomicPtr::new(Box::into_raw(table)), entries: AtomicUsize::new(0) }
    }

    fn get(&self, key: u64) -> Option<V> {
        let guard = epoch::pin();
        let table = self.table(&guard);
        let entries = table.entries(table.bin(key), &guard);
        entries.iter().find(|entry| entry.0 == key).map(|entry| entry.1.clone())
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
        let table = self.table(&guard);
        for bin in &table.0 {
            table.entries(bin, &guard).iter().for_each(|(key, value)| visit(*key, value));
        }
    }
}

impl<V> Drop for EpochMap<V> {
    fn drop(&mut self) {
        // Relaxed: nobody else has the map.
        let table = self.table.load(Ordering::Relaxed);
        // SAFETY: it came from a box, and nobody else has the map.
        drop(unsafe { Box::from_raw(table) });
    }
}
