//! What the later stages need and what is the point of none of them: given, to be used as it is.
//!
//! | for stages | what                                                                       |
//! |------------|----------------------------------------------------------------------------|
//! | 2 to 8     | [`hash`]                                                                   |
//! | 4 and 5    | [`Cells`]: atomic keys and values in one array, and the order of a search  |
//! | 6 to 8     | [`Owned`], [`Table`]: boxes behind atomic pointers; [`freeze`], [`retire`] |
//!
//! You may write all of it yourself instead: nothing else knows of it.
#![expect(unsafe_code, reason = "bins are freed by hand")]

use crossbeam_epoch::Guard;
use harness::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Mixes the bits of a key, so that neighbours part.
pub fn hash(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

/// Places of the tables of stages 4 and 5. They do not grow.
pub const PLACES: usize = if cfg!(shuttle) { 16 } else { 1 << 14 };

/// A place for a key and its value, each plus one, so that zero is none.
#[derive(Debug, Default)]
pub struct Cell {
    /// For a key.
    pub key: AtomicU64,
    /// For its value.
    pub value: AtomicU64,
}

/// All places.
#[derive(Debug)]
pub struct Cells(Box<[Cell]>);

impl Cells {
    /// Places of zeros.
    pub fn new() -> Self {
        Self((0..PLACES).map(|_| Cell::default()).collect())
    }

    /// The cells of a key in the order of a search: from its own on, each once.
    pub fn probe(&self, key: u64) -> impl Iterator<Item = &Cell> {
        (0..PLACES).map(move |step| &self.0[(hash(key) + step) % PLACES])
    }

    /// Calls `visit` for each cell that has a value.
    pub fn for_each(&self, mut visit: impl FnMut(u64, &u64)) {
        for cell in &self.0 {
            // Acquire, twice: as who searches for a key reads them.
            let key = cell.key.load(Ordering::Acquire).checked_sub(1);
            let value = cell.value.load(Ordering::Acquire).checked_sub(1);
            if let (Some(key), Some(value)) = (key, value) {
                visit(key, &value);
            }
        }
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

/// An atomic pointer to a value in a box. What it leads to last is freed with it.
#[derive(Debug)]
pub struct Owned<T>(AtomicPtr<T>);

impl<T> Owned<T> {
    /// A pointer to `value`.
    ///
    /// # Safety
    ///
    /// Whatever is put there later must come from `Box::into_raw` (it may be [frozen](freeze)) and
    /// be in no other place; what was there before is freed by [`retire`] and nobody else.
    pub unsafe fn new(value: T) -> Self {
        Self(AtomicPtr::new(Box::into_raw(Box::new(value))))
    }

    /// The pointer itself.
    pub fn pointer(&self) -> &AtomicPtr<T> {
        &self.0
    }

    /// What it leads to now, frozen or not.
    pub fn read<'g>(&self, _guard: &'g Guard) -> &'g T {
        // Acquire: pairs with the Release of whoever put it there.
        let value = thawed(self.0.load(Ordering::Acquire));
        // SAFETY: by the contract of `new` it was in a box; it is retired after it was replaced,
        // and freed when all guards from before that are gone. Ours is one of them.
        unsafe { &*value }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // Relaxed: nobody else has it any more.
        let value = thawed(self.0.load(Ordering::Relaxed));
        // SAFETY: the contract of `new`.
        drop(unsafe { Box::from_raw(value) });
    }
}

/// The entries of a bin. Never changed: a writer makes a new one.
pub type Bin<V> = Vec<(u64, V)>;

/// The bins of one size.
#[derive(Debug)]
pub struct Table<V>(Box<[Owned<Bin<V>>]>);

impl<V> Table<V> {
    /// A table of these bins.
    ///
    /// # Safety
    ///
    /// For each bin, the contract of [`Owned::new`].
    pub unsafe fn new(bins: Vec<Bin<V>>) -> Self {
        // SAFETY: the contract of this function.
        Self(bins.into_iter().map(|bin| unsafe { Owned::new(bin) }).collect())
    }

    /// The bins.
    pub fn bins(&self) -> &[Owned<Bin<V>>] {
        &self.0
    }

    /// The bin of a key.
    pub fn bin(&self, key: u64) -> &Owned<Bin<V>> {
        &self.0[hash(key) % self.0.len()]
    }
}

/// The lowest bit of a pointer: no writer replaces it any more.
const FROZEN: usize = 1;

/// Marks a pointer, so that every compare-and-swap with what was there before fails.
pub fn freeze<T>(owned: &Owned<T>) {
    let mark = |value: *mut T| Some(value.map_addr(|address| address | FROZEN));
    // AcqRel: what was written is frozen with it. Acquire: as readers do.
    let frozen = owned.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, mark);
    frozen.expect("`mark` never declines");
}

/// Whether a pointer has the mark.
pub fn is_frozen<T>(value: *mut T) -> bool {
    value.addr() & FROZEN != 0
}

/// A pointer as it may be followed.
fn thawed<T>(value: *mut T) -> *mut T {
    value.map_addr(|address| address & !FROZEN)
}

/// Frees what a pointer led to when no guard of now is left.
///
/// # Safety
///
/// It came from a box, whoever pins from now on cannot reach it, and it is retired once.
pub unsafe fn retire<T: Send + 'static>(former: *mut T, guard: &Guard) {
    let former = former.expose_provenance();
    let free = move || {
        // SAFETY: the contract of this function.
        drop(unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<T>(former)) });
    };
    // SAFETY: the closure owns what it frees, and frees it when nobody can look at it.
    unsafe { guard.defer_unchecked(free) };
}
