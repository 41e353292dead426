//! The memory of what is cached: slabs that go back to the system as a whole.
//!
//! ```text
//!   slab  | 4352 | 4352 | free | 4352 | ... |     slots of one length, for bytes of about so many
//!   slab  |  768 | free |  768 |  768 | ... |
//!   slab  given back: no memory of the process
//! ```
//!
//! When the cache gives way to a memtable, its memory has to be gone. What leaves by the order of
//! the queues lies anywhere, and an allocator keeps it. So then whole slabs leave, those in which
//! least was used; and where one length of slots gives way to another, likewise.
//!
//! # What this module does not do
//!
//! It knows nothing of budgets, and nothing that is very small or very large: that has memory of
//! the allocator, which packs the first better and gives the second back by itself.
#![expect(unsafe_code, reason = "bytes lie in slots that are handed out and taken back by number")]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, Range};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::pages::Pages;
use parking_lot::Mutex;

use super::WeakShelf;

/// What is shorter has no slot.
const LEN_MIN: usize = 512;
/// A slab has so many slots at least.
const SLOTS_MIN: usize = 4;
/// Lengths of slots differ by a sixteenth or less.
const STEPS_BITS: u32 = 4;
const SLAB_MIN: usize = 64 << 10;
const SLAB_MAX: usize = 1 << 20;
/// A cache has about so many slabs.
const SLABS: usize = 512;
/// A smaller one has none: what readers have still would be much of it.
const CAPACITY_MIN: usize = 8 << 20;
const _: () = assert!(CAPACITY_MIN / SLAB_MIN >= 128, "one slab is little of any cache");
/// There is address space for a quarter more than the cache may hold: what has left it may be in
/// use for a while.
const SPARE: usize = 4;

/// Where the cache has what lies in a slot: the slots of a table, and the place among them.
pub(super) type Tenant = (WeakShelf, usize);

/// Memory for what is cached.
pub(crate) struct Slabs {
    pages: Pages,
    slab_len: usize,
    /// Bytes of slots in which nothing is, and of the others.
    free: AtomicUsize,
    used: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// All that were ever used.
    slabs: Vec<Slab>,
    /// Those that were given back.
    vacant: Vec<usize>,
    /// By the length of their slots: those that have a free one.
    open: BTreeMap<usize, Vec<usize>>,
    /// Where the search for a slab to clear goes on.
    hand: usize,
}

#[derive(Debug, Default)]
struct Slab {
    /// The length of its slots; zero where it is vacant.
    slot_len: usize,
    free: Vec<usize>,
    tenants: Vec<Option<Tenant>>,
}

impl Slabs {
    /// Slabs for a cache of so many bytes; `None` where that is too little to be worth it, and
    /// where the system has no memory to give.
    pub(super) fn new(capacity: usize) -> Option<Arc<Self>> {
        if capacity < CAPACITY_MIN {
            return None;
        }
        let slab_len = (capacity / SLABS).next_power_of_two().clamp(SLAB_MIN, SLAB_MAX);
        let pages = Pages::new(capacity.checked_add(capacity / SPARE)?)?;
        let [free, used] = [const { AtomicUsize::new(0) }; 2];
        Some(Arc::new(Self { pages, slab_len, free, used, state: Mutex::default() }))
    }

    /// Bytes of slots in which nothing is.
    pub(super) fn free(&self) -> usize {
        // Relaxed: a size.
        self.free.load(Ordering::Relaxed)
    }

    /// Bytes of slots in which something is, also if the cache let it go and a reader has it still.
    pub(super) fn used(&self) -> usize {
        // Relaxed: a size.
        self.used.load(Ordering::Relaxed)
    }

    /// Copies bytes into a slot. `None` where they are not for slots, or none is left.
    fn put(self: &Arc<Self>, bytes: &[u8], tenant: Tenant) -> Option<Bytes> {
        if !(LEN_MIN..=self.slab_len / SLOTS_MIN).contains(&bytes.len()) {
            return None;
        }
        let slot_len = slot_len(bytes.len());
        let at = self.take(slot_len, tenant)?;
        // SAFETY: the slot is within its slab, and that within the pages: `take` saw to it.
        let start = unsafe { self.pages.base().add(at) };
        // SAFETY: the slot is as long as the bytes or longer, and nobody else's until it is left.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
        Some(Bytes { start, len: bytes.len(), home: Some(Arc::clone(self)) })
    }

    /// Where a slot is that was free.
    fn take(&self, slot_len: usize, tenant: Tenant) -> Option<usize> {
        let mut state = self.state.lock();
        let State { slabs, vacant, open, .. } = &mut *state;
        let open = open.entry(slot_len).or_default();
        if open.is_empty() {
            let number = vacant.pop().or_else(|| {
                let fits = (slabs.len() + 1) * self.slab_len <= self.pages.size();
                fits.then(|| slabs.push(Slab::default())).map(|()| slabs.len() - 1)
            })?;
            slabs[number] = Slab::new(slot_len, self.slab_len / slot_len);
            open.push(number);
            self.free.fetch_add(self.slab_len, Ordering::Relaxed); // Relaxed: a size.
        }
        let number = *open.last().expect("one was just added, if there was none");
        let slab = &mut slabs[number];
        let slot = slab.free.pop().expect("an open slab has a free slot");
        slab.tenants[slot] = Some(tenant);
        if slab.free.is_empty() {
            open.pop();
        }
        self.free.fetch_sub(slot_len, Ordering::Relaxed); // Relaxed: a size.
        self.used.fetch_add(slot_len, Ordering::Relaxed); // Relaxed: as above.
        Some(number * self.slab_len + slot * slot_len)
    }

    /// Frees the slot that begins there, and gives the slab back where it was the last one in use.
    fn leave(&self, start: NonNull<u8>) {
        let at = start.addr().get() - self.pages.base().addr().get();
        let number = at / self.slab_len;
        let mut state = self.state.lock();
        let State { slabs, open, .. } = &mut *state;
        let slab = &mut slabs[number];
        let slot = at % self.slab_len / slab.slot_len;
        slab.tenants[slot] = None;
        slab.free.push(slot);
        self.free.fetch_add(slab.slot_len, Ordering::Relaxed); // Relaxed: a size.
        self.used.fetch_sub(slab.slot_len, Ordering::Relaxed); // Relaxed: as above.
        let open = open.entry(slab.slot_len).or_default();
        if slab.free.len() == 1 {
            open.push(number);
        }
        if slab.free.len() < slab.tenants.len() {
            return;
        }
        open.retain(|it| *it != number);
        *slab = Slab::default();
        self.free.fetch_sub(self.slab_len, Ordering::Relaxed); // Relaxed: a size.
        drop(state);
        // SAFETY: none of its slots is in use, and nobody gets one before it is vacant.
        unsafe { self.pages.give_back(self.range(number)) };
        self.state.lock().vacant.push(number);
    }

    fn range(&self, number: usize) -> Range<usize> {
        number * self.slab_len..(number + 1) * self.slab_len
    }

    /// Who lives in the next so many slabs, in turn.
    pub(super) fn next(&self, count: usize) -> Vec<Vec<Tenant>> {
        let mut state = self.state.lock();
        let State { slabs, hand, .. } = &mut *state;
        let mut found = Vec::with_capacity(count);
        for _ in 0..slabs.len() {
            if found.len() == count {
                break;
            }
            *hand = (*hand + 1) % slabs.len();
            let tenants: Vec<_> = slabs[*hand].tenants.iter().flatten().cloned().collect();
            if !tenants.is_empty() {
                found.push(tenants);
            }
        }
        found
    }
}

impl Slab {
    fn new(slot_len: usize, slots: usize) -> Self {
        Self { slot_len, free: (0..slots).rev().collect(), tenants: vec![None; slots] }
    }
}

impl fmt::Debug for Slabs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slabs").field("slab_len", &self.slab_len).finish_non_exhaustive()
    }
}

/// The length of slots for so many bytes.
fn slot_len(bytes: usize) -> usize {
    bytes.next_multiple_of(1 << (bytes - 1).ilog2().saturating_sub(STEPS_BITS))
}

/// Bytes that do not change: in a slot, or in memory of their own. As long as a vector, since what
/// every read looks at lies beside it.
pub(crate) struct Bytes {
    /// Invariant: `len` bytes from here are written, and nobody writes them before the drop.
    start: NonNull<u8>,
    len: usize,
    /// Whose slot it is; none where it is a boxed slice.
    home: Option<Arc<Slabs>>,
}

const _: () = assert!(size_of::<Bytes>() == size_of::<Vec<u8>>());

// SAFETY: the bytes belong to this alone, whichever thread drops it.
unsafe impl Send for Bytes {}
// SAFETY: shared, they are only read.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// What it takes of memory.
    pub(crate) fn capacity(&self) -> usize {
        self.home.as_ref().map_or(self.len, |_| slot_len(self.len))
    }

    /// The same bytes in a slot, if they are for one.
    pub(super) fn housed(self, slabs: &Arc<Slabs>, tenant: Tenant) -> Self {
        slabs.put(&self, tenant).unwrap_or(self)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let bytes = Box::leak(bytes.into_boxed_slice());
        Self { len: bytes.len(), start: NonNull::from(bytes).cast(), home: None }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are written there and do not change, by the invariant.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Some(slabs) = &self.home {
            slabs.leave(self.start);
            return;
        }
        let bytes = ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.len);
        // SAFETY: `from` took it out of its box.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

#[cfg(test)]
mod tests;
