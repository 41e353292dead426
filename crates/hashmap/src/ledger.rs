//! How many bytes a map has unlinked and not yet freed.
//!
//! What frees them may run long after the map is gone, on any thread. It must find the count, and a
//! reference count on the count would be shared by all who write. So ledgers are never freed. A map
//! borrows one and gives it back; another map gets it when nothing is owed on it any more. There
//! are about as many as there were at one time maps, and maps dropped that still owed something.

use std::collections::VecDeque;
use std::sync::Mutex;
// Not `crate::sync`: a count is no part of a protocol, and it outlives an exploration.
use std::sync::atomic::{AtomicUsize, Ordering};

/// The count of one map, alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Ledger {
    bytes: AtomicUsize,
}

/// Ledgers that no map has; those first that were given back first.
static POOL: Mutex<VecDeque<&'static Ledger>> = Mutex::new(VecDeque::new());

/// Ledgers of the pool that are looked at before a new one is made.
const ATTEMPTS: usize = 4;

impl Ledger {
    /// A ledger on which nothing is owed, the caller's until [`give_back`](Self::give_back).
    pub(crate) fn borrow() -> &'static Self {
        Self::settled().unwrap_or_else(|| Box::leak(Box::default()))
    }

    fn settled() -> Option<&'static Self> {
        let mut pool = POOL.lock().expect("no holder of this lock panics");
        for _ in 0..ATTEMPTS {
            let ledger = pool.pop_front()?;
            if ledger.bytes() == 0 {
                return Some(ledger);
            }
            pool.push_back(ledger);
        }
        None
    }

    /// Makes the ledger another map's.
    pub(crate) fn give_back(&'static self) {
        POOL.lock().expect("no holder of this lock panics").push_back(self);
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
