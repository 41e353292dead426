//! Memory of entries, kept for the entries that are made next.
//!
//! Every insertion, replacement and update makes an entry, and reclamation frees them in bags, a
//! hundred at a time, often on another thread. A general allocator has a short list for the quick
//! case, which a bag overruns; then each piece goes the long way, there and back. Here a thread has
//! two *magazines* for each size, and full ones are passed between threads as a whole (Bonwick and
//! Adams, "Magazines and Vmem", 2001).
//!
//! ```text
//!   thread:  active [piece -> piece -> ...]   spare [piece -> ...]      the link is in the piece
//!                                                ^  |
//!                          take when both empty  |  v  give when both full
//!   depot (all threads):               [ magazine, magazine, ... ]
//!
//!   slab:    | live | piece | piece | piece | ...                       64 KiB, aligned to that
//! ```
//!
//! Pieces are cut from *slabs*, one after the other, without a header of their own: with two words
//! of key and value an entry takes 24 bytes where a general allocator takes 32. A slab counts the
//! pieces that are not given back; the last one frees it. Its address is that of any piece, rounded
//! down.
//!
//! The depot has a lock, and nobody waits for it: who finds it taken cuts a slab, or gives back.
//!
//! # What this module does not do
//!
//! It keeps a bounded number of bytes of each size and gives the rest back. A slab with one piece
//! in use stays whole. It does nothing for entries of more than 128 bytes, or aligned to more than
//! a word.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::Cell;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
// Not `crate::sync`: slabs outlive an exploration, and the pool is no part of what is explored.
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a full magazine. Two fit the first-level cache of a core.
const MAGAZINE_BYTES: usize = 12 << 10;

/// Magazines of one size in the depot: 6 MiB. They cover what piles up while a thread is suspended
/// under a pin for a time slice.
const DEPOT_MAGAZINES: usize = 512;

/// Bytes of a slab, and its alignment.
const SLAB_BYTES: usize = 64 << 10;

/// Where the pieces of a slab begin.
const SLAB_HEAD: usize = 64;

/// The largest size that is kept, in words.
const WORDS_MAX: usize = 16;

const WORD: usize = 8;

/// A kept piece: the link to the next.
struct Piece {
    next: *mut Piece,
}

/// Pieces of one size, last in, first out.
#[derive(Clone, Copy)]
struct Magazine {
    head: *mut Piece,
    len: usize,
}

// SAFETY: a magazine owns its pieces, which are memory that nobody uses.
unsafe impl Send for Magazine {}

/// The part of a slab that was not cut yet.
#[derive(Clone, Copy)]
struct Rest {
    next: *mut u8,
    pieces: usize,
}

/// What a thread has of one size.
struct Shelf {
    active: Cell<Magazine>,
    spare: Cell<Magazine>,
    rest: Cell<Rest>,
}

struct Shelves([Shelf; WORDS_MAX]);

thread_local! {
    static SHELVES: Shelves = const {
        Shelves([const { Shelf::new() }; WORDS_MAX])
    };
}

static DEPOTS: [Mutex<Vec<Magazine>>; WORDS_MAX] = [const { Mutex::new(Vec::new()) }; WORDS_MAX];

/// The number of the shelf for a layout, if it is kept: sizes are whole words, as entries are
/// aligned to one.
#[inline(always)]
fn class(layout: Layout) -> Option<usize> {
    let is_kept = layout.align() == WORD && layout.size() <= WORDS_MAX * WORD;
    is_kept.then(|| layout.size() / WORD - 1)
}

/// Memory for an entry, which has a word at least.
#[inline(always)]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    if let Some(class) = class(layout) {
        // Failure: the thread is ending and its shelves are gone.
        return SHELVES.try_with(|shelves| shelves.0[class].pop(class)).unwrap_or_else(|_| {
            let shelf = Shelf::new();
            let piece = shelf.pop(class);
            shelf.clear(class);
            piece
        });
    }
    // SAFETY: an entry has a hash, so the size is not zero.
    let memory = unsafe { alloc::alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Takes memory back.
///
/// # Safety
///
/// It is from [`allocate`] with the same layout, and nobody uses it.
#[inline(always)]
pub(crate) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    if let Some(class) = class(layout) {
        if SHELVES.try_with(|shelves| shelves.0[class].push(memory, class)).is_err() {
            // SAFETY: it was cut from a slab by `allocate`, and nobody uses it.
            unsafe { give_back(memory, 1) };
        }
        return;
    }
    // SAFETY: as the caller promises; what is not kept comes from `alloc`.
    unsafe { alloc::dealloc(memory.as_ptr(), layout) };
}

/// Slabs that are counted at once. A prime, since slabs may well lie a power of two apart.
const TALLIES: usize = 1021;

/// Memory of one layout that is given up by many at once, as when a map is dropped. It is not kept,
/// and it is not touched: pieces are counted, and a slab learns of as many as there were in a row.
pub(crate) struct Returns {
    layout: Layout,
    tallies: Box<[Tally; TALLIES]>,
}

/// Pieces of one slab, as many as `count`, of which `piece` is one.
#[derive(Clone, Copy)]
struct Tally {
    piece: *mut u8,
    count: usize,
}

impl Returns {
    pub(crate) fn new(layout: Layout) -> Self {
        let none = Tally { piece: ptr::null_mut(), count: 0 };
        Self { layout, tallies: Box::new([none; TALLIES]) }
    }

    /// Takes memory back.
    ///
    /// # Safety
    ///
    /// It is from [`allocate`] with this layout, and nobody uses it.
    #[inline]
    pub(crate) unsafe fn add(&mut self, memory: NonNull<u8>) {
        if class(self.layout).is_none() {
            // SAFETY: as the caller promises.
            return unsafe { free(memory, self.layout) };
        }
        let slab = memory.addr().get() / SLAB_BYTES;
        let tally = &mut self.tallies[slab % TALLIES];
        if tally.piece.addr() / SLAB_BYTES != slab {
            tally.settle();
        }
        *tally = Tally { piece: memory.as_ptr(), count: tally.count + 1 };
    }
}

impl Tally {
    /// Gives the pieces back to their slab.
    fn settle(&mut self) {
        let count = mem::replace(&mut self.count, 0);
        if let Some(piece) = NonNull::new(self.piece)
            && count > 0
        {
            // SAFETY: so many pieces of this slab were added, which nobody uses.
            unsafe { give_back(piece, count) };
        }
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        self.tallies.iter_mut().for_each(Tally::settle);
    }
}

impl Magazine {
    const EMPTY: Self = Self { head: ptr::null_mut(), len: 0 };

    #[inline(always)]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let piece = NonNull::new(self.head)?;
        // SAFETY: the magazine owns its pieces, and `push` wrote a link into each.
        self.head = unsafe { piece.as_ref() }.next;
        self.len -= 1;
        Some(piece.cast())
    }

    #[inline(always)]
    fn push(&mut self, memory: NonNull<u8>) {
        let piece = memory.cast::<Piece>();
        // SAFETY: the caller gives the memory away; it has a word, and is aligned to one.
        unsafe { piece.write(Piece { next: self.head }) };
        self.head = piece.as_ptr();
        self.len += 1;
    }

    /// Gives the pieces to other threads, or back to the allocator.
    #[cold]
    fn part_with(mut self, class: usize) {
        if let Ok(mut depot) = DEPOTS[class].try_lock()
            && depot.len() < DEPOT_MAGAZINES
            && self.len > 0
        {
            depot.push(self);
            return;
        }
        while let Some(piece) = self.pop() {
            // SAFETY: pieces in magazines were cut from slabs, and nobody uses them.
            unsafe { give_back(piece, 1) };
        }
    }
}

const SLAB_LAYOUT: Layout = match Layout::from_size_align(SLAB_BYTES, SLAB_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a slab is aligned to its size, a power of two"),
};

impl Rest {
    const EMPTY: Self = Self { next: ptr::null_mut(), pieces: 0 };

    /// A new slab, all of whose pieces are the caller's.
    #[cold]
    #[expect(clippy::cast_ptr_alignment, reason = "a slab is aligned to its size")]
    fn new(class: usize) -> Self {
        let pieces = (SLAB_BYTES - SLAB_HEAD) / ((class + 1) * WORD);
        // SAFETY: the size is not zero.
        let slab = unsafe { alloc::alloc(SLAB_LAYOUT) };
        if slab.is_null() {
            handle_alloc_error(SLAB_LAYOUT);
        }
        // SAFETY: the head of the slab has room for a word, aligned to much more.
        unsafe { slab.cast::<AtomicUsize>().write(AtomicUsize::new(pieces)) };
        // SAFETY: within the slab.
        Self { next: unsafe { slab.add(SLAB_HEAD) }, pieces }
    }

    /// The next piece, of those that there are.
    #[inline]
    fn cut(&mut self, class: usize) -> NonNull<u8> {
        debug_assert!(self.pieces > 0, "cut from an empty rest");
        // SAFETY: not null, since it is within a slab.
        let piece = unsafe { NonNull::new_unchecked(self.next) };
        self.pieces -= 1;
        // Wrapping: after the last piece it may point behind the slab; nobody looks there.
        self.next = self.next.wrapping_add((class + 1) * WORD);
        piece
    }
}

/// Gives pieces back to their slab, and the slab to the allocator if they were the last.
///
/// # Safety
///
/// `piece` was cut, or is the first of `count` pieces not cut, and they are the caller's to give.
#[expect(clippy::cast_ptr_alignment, reason = "a slab is aligned to its size")]
unsafe fn give_back(piece: NonNull<u8>, count: usize) {
    let slab = piece.as_ptr().map_addr(|address| address & !(SLAB_BYTES - 1));
    // SAFETY: slabs are aligned to their size, so this is the head of the one the piece is in; it
    // lives while a piece is not given back, and ours is not.
    let live = unsafe { &*slab.cast::<AtomicUsize>() };
    // Release: what was done to the piece comes before the slab is freed. Acquire: on the last one,
    // for those of the others. (One instruction for both; a fence would be worth it if this were
    // hot.)
    if live.fetch_sub(count, Ordering::AcqRel) == count {
        // SAFETY: from `alloc` with this layout; all pieces were given back.
        unsafe { alloc::dealloc(slab, SLAB_LAYOUT) };
    }
}

impl Shelf {
    const fn new() -> Self {
        Self {
            active: Cell::new(Magazine::EMPTY),
            spare: Cell::new(Magazine::EMPTY),
            rest: Cell::new(Rest::EMPTY),
        }
    }

    #[inline(always)]
    fn pop(&self, class: usize) -> NonNull<u8> {
        let mut active = self.active.get();
        if let Some(piece) = active.pop() {
            self.active.set(active);
            return piece;
        }
        self.pop_slow(class)
    }

    #[inline(never)]
    fn pop_slow(&self, class: usize) -> NonNull<u8> {
        let mut spare = self.spare.replace(Magazine::EMPTY);
        if spare.len == 0 {
            let mut rest = self.rest.get();
            if rest.pieces > 0 {
                let piece = rest.cut(class);
                self.rest.set(rest);
                return piece;
            }
            spare = DEPOTS[class].try_lock().ok().and_then(|mut it| it.pop()).unwrap_or(spare);
        }
        if let Some(piece) = spare.pop() {
            self.active.set(spare);
            return piece;
        }
        let mut rest = Rest::new(class);
        let piece = rest.cut(class);
        self.rest.set(rest);
        piece
    }

    /// Parts with everything.
    fn clear(&self, class: usize) {
        self.active.replace(Magazine::EMPTY).part_with(class);
        self.spare.replace(Magazine::EMPTY).part_with(class);
        let rest = self.rest.replace(Rest::EMPTY);
        if let Some(next) = NonNull::new(rest.next)
            && rest.pieces > 0
        {
            // SAFETY: the pieces that were not cut are ours.
            unsafe { give_back(next, rest.pieces) };
        }
    }

    #[inline(always)]
    fn push(&self, memory: NonNull<u8>, class: usize) {
        let mut active = self.active.get();
        if active.len >= MAGAZINE_BYTES / WORD / (class + 1) {
            let spare = self.spare.replace(active);
            active = Magazine::EMPTY;
            if spare.len > 0 {
                spare.part_with(class);
            }
        }
        active.push(memory);
        self.active.set(active);
    }
}

impl Drop for Shelves {
    fn drop(&mut self) {
        for (class, shelf) in self.0.iter().enumerate() {
            shelf.clear(class);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
