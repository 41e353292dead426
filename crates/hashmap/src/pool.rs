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
//! ```
//!
//! The depot has a lock, and nobody waits for it: who finds it taken goes to the allocator.
//!
//! # What this module does not do
//!
//! It keeps a bounded number of bytes of each size and passes the rest on. It does nothing for
//! entries of more than 128 bytes, or aligned to more than a word.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Mutex;

/// Bytes of a full magazine. Two fit the first-level cache of a core.
const MAGAZINE_BYTES: usize = 12 << 10;

/// Magazines of one size in the depot: 6 MiB. They cover what piles up while a thread is suspended
/// under a pin for a time slice.
const DEPOT_MAGAZINES: usize = 512;

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

/// A thread's magazines of one size.
struct Shelf {
    active: Cell<Magazine>,
    spare: Cell<Magazine>,
}

struct Shelves([Shelf; WORDS_MAX]);

thread_local! {
    static SHELVES: Shelves = const {
        Shelves([const { Shelf { active: Cell::new(Magazine::EMPTY), spare: Cell::new(Magazine::EMPTY) } }; WORDS_MAX])
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

fn layout_of(class: usize) -> Layout {
    Layout::from_size_align((class + 1) * WORD, WORD).expect("a few words")
}

/// Memory for an entry, which has a word at least.
#[inline(always)]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    if let Some(class) = class(layout) {
        // Failure: the thread is ending and its shelves are gone.
        let kept = SHELVES.try_with(|shelves| shelves.0[class].pop(class));
        if let Ok(Some(piece)) = kept {
            return piece;
        }
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
    if let Some(class) = class(layout)
        && SHELVES.try_with(|shelves| shelves.0[class].push(memory, class)).is_ok()
    {
        return;
    }
    // SAFETY: as the caller promises; `allocate` takes it from `alloc` in the end.
    unsafe { alloc::dealloc(memory.as_ptr(), layout) };
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
            // SAFETY: pieces of this class were allocated with its layout.
            unsafe { alloc::dealloc(piece.as_ptr(), layout_of(class)) };
        }
    }
}

impl Shelf {
    #[inline(always)]
    fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let mut active = self.active.get();
        if active.len == 0 {
            active = self.next_active(class)?;
        }
        let piece = active.pop();
        self.active.set(active);
        piece
    }

    #[cold]
    fn next_active(&self, class: usize) -> Option<Magazine> {
        let spare = self.spare.replace(Magazine::EMPTY);
        if spare.len > 0 {
            return Some(spare);
        }
        DEPOTS[class].try_lock().ok()?.pop()
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
            shelf.active.replace(Magazine::EMPTY).part_with(class);
            shelf.spare.replace(Magazine::EMPTY).part_with(class);
        }
    }
}

#[cfg(test)]
mod tests;
