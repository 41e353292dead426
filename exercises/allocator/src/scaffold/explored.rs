//! The bytes of an arena under the explorer of schedules: every word is one of its atomics, so that
//! threads may be switched at each.

use harness::sync::atomic::{AtomicUsize, Ordering};

use super::arena::{Address, WORD};

/// Words. Bytes are not to be had.
#[derive(Debug)]
pub(super) struct Memory(Box<[AtomicUsize]>);

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        Self((0..bytes / WORD).map(|_| AtomicUsize::new(0)).collect())
    }

    pub(super) fn word(&self, address: Address) -> usize {
        // Relaxed: as in a plain build.
        self.0[address / WORD].load(Ordering::Relaxed)
    }

    pub(super) fn set_word(&self, address: Address, value: usize) {
        // Relaxed: as in a plain build.
        self.0[address / WORD].store(value, Ordering::Relaxed);
    }

    pub(super) fn zero(&self, start: Address, bytes: usize) {
        (start..start + bytes).step_by(WORD).for_each(|at| self.set_word(at, 0));
    }

    pub(super) fn copy(&self, from: Address, to: Address, bytes: usize) {
        for offset in (0..bytes).step_by(WORD) {
            self.set_word(to + offset, self.word(from + offset));
        }
    }

    pub(super) fn purge(&self, start: Address, bytes: usize) {
        self.zero(start, bytes);
    }
}
