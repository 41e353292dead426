//! Your heaps, in the shape in which the suite and the duel take every allocator.
//!
//! Each is one for the whole process, and each thread gets its cache when it comes for the first
//! time.
#![expect(unsafe_code, reason = "an allocator is one by an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use harness::contract::Allocator;

use crate::Heap;
use crate::exercise;
use crate::scaffold::{ALIGN_MAX, Address, Arena, SPAN};

/// Spans of the one arena: 2 GiB, of which only what is written to costs memory.
const SPANS: usize = (2 << 30) / SPAN;

/// What a thread has of a heap, until it ends.
struct Seat<H: Heap> {
    heap: &'static H,
    cache: RefCell<H::Cache>,
}

impl<H: Heap> Drop for Seat<H> {
    fn drop(&mut self) {
        self.heap.leave(mem::take(self.cache.get_mut()));
    }
}

macro_rules! judged {
    ($($(#[$text:meta])* $name:ident: $heap:ty;)+) => {$(
        $(#[$text])*
        #[derive(Debug)]
        pub struct $name;

        impl $name {
            fn heap() -> &'static $heap {
                static HEAP: OnceLock<$heap> = OnceLock::new();
                HEAP.get_or_init(|| <$heap>::new(Arena::new(SPANS)))
            }

            /// Calls `work` with the heap and what this thread has of it.
            fn with<R>(work: impl FnOnce(&$heap, &mut <$heap as Heap>::Cache) -> R) -> R {
                thread_local! {
                    static SEAT: Seat<$heap> =
                        Seat { heap: $name::heap(), cache: RefCell::default() };
                }
                let mut work = Some(work);
                let mut call = |heap: &$heap, cache: &mut _| work.take().map(|it| it(heap, cache));
                let done = SEAT.try_with(|seat| call(seat.heap, &mut seat.cache.borrow_mut()));
                let done = done.unwrap_or_else(|_| {
                    // The thread is about to end, and its cache is gone.
                    let mut cache = Default::default();
                    let done = call(Self::heap(), &mut cache);
                    Self::heap().leave(cache);
                    done
                });
                done.expect("it was called once")
            }
        }

        // SAFETY: whether the heap keeps the contract is what is judged. Blocks are bytes of the
        // arena, which `pointer` has looked at.
        unsafe impl GlobalAlloc for $name {
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                Self::with(|heap, cache| {
                    let block = fits(layout).then(|| heap.allocate(cache, layout)).flatten();
                    pointer(heap, layout.size(), block)
                })
            }

            unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
                Self::with(|heap, cache| {
                    let block = fits(layout).then(|| heap.allocate_zeroed(cache, layout));
                    pointer(heap, layout.size(), block.flatten())
                })
            }

            unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
                Self::with(|heap, cache| heap.free(cache, heap.arena().address(block), layout));
            }

            unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
                Self::with(|heap, cache| {
                    let block = heap.arena().address(block);
                    pointer(heap, size, heap.resize(cache, block, layout, size))
                })
            }
        }

        impl Allocator for $name {
            const NAME: &'static str = "yours";

            fn get() -> &'static Self {
                &Self
            }

            fn collect(&self) {
                (0..3).for_each(|_| Self::heap().tick());
            }
        }
    )+};
}

judged! {
    /// Stage 1.
    Bump: exercise::Bump;
    /// Stage 2.
    FreeList: exercise::FreeList;
    /// Stage 3.
    Classes: exercise::Classes;
    /// Stage 4.
    Cached: exercise::Cached;
    /// Stages 5 to 7.
    Owned: exercise::Owned;
    /// What you call yours.
    Yours: exercise::Yours;
}

fn fits(layout: Layout) -> bool {
    layout.align() <= ALIGN_MAX
}

/// Where a block is, which must lie in the arena; null where there is none.
fn pointer<H: Heap>(heap: &H, size: usize, block: Option<Address>) -> *mut u8 {
    let Some(block) = block else { return ptr::null_mut() };
    heap.arena().assert_bytes(block, size);
    heap.arena().pointer(block)
}
