//! How many bytes a map has unlinked and not yet freed.
//!
//! What frees them may run long after the map is gone, on any thread. It must find the count, and a
//! reference count on the count would be shared by all who write. So ledgers are never freed. A map
//! borrows one and gives it back; the next map gets it with what is still owed. There are as many
//! as there were maps at one time.

use std::sync::Mutex;
// Not `crate::sync`: a count is no part of a protocol, and it outlives an exploration.
use std::sync::atomic::{AtomicUsize, Ordering};

/// The count of one map, alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Ledger {
    bytes: AtomicUsize,
}

/// Ledgers that no map has.
static POOL: Mutex<Vec<&'static Ledger>> = Mutex::new(Vec::new());

impl Ledger {
    /// A ledger that is the caller's until [`give_back`](Self::give_back).
    pub(crate) fn borrow() -> &'static Self {
        let pooled = POOL.lock().expect("no holder of this lock panics").pop();
        pooled.unwrap_or_else(|| Box::leak(Box::default()))
    }

    /// Makes the ledger another map's.
    pub(crate) fn give_back(&'static self) {
        POOL.lock().expect("no holder of this lock panics").push(self);
    }

    /// Notes that this much was unlinked.
    pub(crate) fn add(&self, bytes: usize) {
        // Relaxed: a count publishes nothing.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that this much was freed.
    pub(crate) fn settle(&self, bytes: usize) {
        // Relaxed: as above.
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What is owed.
    pub(crate) fn bytes(&self) -> usize {
        // Relaxed: as above.
        self.bytes.load(Ordering::Relaxed)
    }
}
