//! Memory of entries, kept by the thread that freed it for the entries that it makes next.
//!
//! Every insertion, replacement and update makes an entry, and reclamation frees them in bags, some
//! dozens at a time. A general allocator has a short list for the quick case, which a bag overruns;
//! then each piece goes the long way, there and back. Here a thread has one longer list for each
//! size. A piece that was freed last is handed out first, while the caches still have it.
//!
//! ```text
//!   sizes 8, 16, .. 128:   | head | -> piece -> piece -> ...      the link is in the piece itself
//! ```
//!
//! # What this module does not do
//!
//! It keeps at most [`KEPT`] pieces of a size and passes the rest on, and all of them when the thread
//! ends. It does nothing for larger or more aligned entries.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Pieces of one size that a thread keeps: 12 KiB of entries of three words.
const KEPT: usize = 512;

/// The largest size that is kept, in words.
const WORDS_MAX: usize = 16;

const WORD: usize = 8;

/// A kept piece: the link to the next.
struct Piece {
    next: *mut Piece,
}

/// Pieces of one size.
struct List {
    head: Cell<*mut Piece>,
    len: Cell<usize>,
}

struct Lists([List; WORDS_MAX]);

thread_local! {
    static LISTS: Lists = const {
        Lists([const { List { head: Cell::new(ptr::null_mut()), len: Cell::new(0) } }; WORDS_MAX])
    };
}

/// The list for a layout, if it is kept: sizes are whole words, as entries are aligned to one.
#[inline(always)]
fn class(layout: Layout) -> Option<usize> {
    let is_kept = layout.align() == WORD && layout.size() <= WORDS_MAX * WORD;
    is_kept.then(|| layout.size() / WORD - 1)
}

/// Memory for an entry, which has a word at least.
#[inline(always)]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    if let Some(class) = class(layout) {
        // Failure: the thread is ending and its lists are gone.
        let kept = LISTS.try_with(|lists| lists.0[class].pop());
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
        && LISTS.try_with(|lists| lists.0[class].push(memory)) == Ok(true)
    {
        return;
    }
    // SAFETY: as the caller promises; `allocate` takes it from `alloc` in the end.
    unsafe { alloc::dealloc(memory.as_ptr(), layout) };
}

impl List {
    #[inline(always)]
    fn pop(&self) -> Option<NonNull<u8>> {
        let piece = NonNull::new(self.head.get())?;
        // SAFETY: pieces on the list are ours, and `push` wrote a link into each.
        self.head.set(unsafe { piece.as_ref() }.next);
        self.len.set(self.len.get() - 1);
        Some(piece.cast())
    }

    /// False, and nothing done, where the list is full.
    #[inline(always)]
    fn push(&self, memory: NonNull<u8>) -> bool {
        if self.len.get() == KEPT {
            return false;
        }
        let piece = memory.cast::<Piece>();
        // SAFETY: the caller gives the memory away, and it has a word, aligned to one.
        unsafe { piece.write(Piece { next: self.head.get() }) };
        self.head.set(piece.as_ptr());
        self.len.set(self.len.get() + 1);
        true
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        for (list, words) in self.0.iter().zip(1..) {
            let layout = Layout::from_size_align(words * WORD, WORD).expect("a few words");
            while let Some(piece) = list.pop() {
                // SAFETY: kept pieces of this list were allocated with this layout.
                unsafe { alloc::dealloc(piece.as_ptr(), layout) };
            }
        }
    }
}

#[cfg(test)]
mod tests;
