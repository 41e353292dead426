//! mimalloc v3 in a process without huge pages: smaller, and slower where memory is fresh.
//!
//! Its own option does what the constructor here does, but is read before `main`.

use std::sync::Once;

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: mimalloc::MiMalloc = mimalloc::MiMalloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "mimalloc-nothp";

    fn get() -> &'static Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // A kernel that cannot do this has no huge pages either.
            let _unsupported = rustix::thread::disable_transparent_huge_pages(true);
        });
        &Self
    }
}
