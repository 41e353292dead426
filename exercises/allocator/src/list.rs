//! A list of free blocks that lies in them: what you write for stage 2, with a length, for later.
#![expect(unsafe_code, reason = "free blocks hold the list")]

use std::ptr::null_mut;

use crate::CHUNK;

/// Free blocks of one size: each has the next one in its first word.
#[derive(Debug)]
pub struct List {
    first: *mut u8,
    length: usize,
}

// SAFETY: its blocks are nobody else's.
unsafe impl Send for List {}

impl List {
    /// No blocks.
    pub const EMPTY: Self = Self { first: null_mut(), length: 0 };

    /// Makes a block the first.
    ///
    /// # Safety
    ///
    /// It is free, nobody else's, and has room for a pointer at its place.
    #[inline]
    pub unsafe fn push(&mut self, block: *mut u8) {
        // SAFETY: the contract of this function.
        unsafe { block.cast::<*mut u8>().write(self.first) };
        *self = Self { first: block, length: self.length + 1 };
    }

    /// Takes the first block.
    #[inline]
    pub fn pop(&mut self) -> Option<*mut u8> {
        let block = self.first;
        if block.is_null() {
            return None;
        }
        // SAFETY: a block of the list is free, and has the next one in it.
        let next = unsafe { block.cast::<*mut u8>().read() };
        *self = Self { first: next, length: self.length - 1 };
        Some(block)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds the blocks of `size` bytes that a chunk has from offset `start` on, in order.
    ///
    /// # Safety
    ///
    /// These bytes are nobody else's, and both numbers are multiples of a pointer's size.
    pub unsafe fn cut(&mut self, chunk: *mut u8, start: usize, size: usize) {
        for offset in (start..=CHUNK - size).step_by(size).rev() {
            // SAFETY: within the chunk.
            let block = unsafe { chunk.add(offset) };
            // SAFETY: the contract of this function.
            unsafe { self.push(block) };
        }
    }
}
