//! The bytes of an arena, from the system.
//!
//! They are read and written as atomics, so that a heap with a mistake, which writes to a block
//! that somebody uses, does so without undefined behaviour of its own.
#![expect(unsafe_code, reason = "memory is taken from the system and given back")]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::arena::{ALIGN_MAX, Address, WORD};

/// A mapping, aligned.
#[derive(Debug)]
pub(super) struct Memory {
    /// Its first byte, and how many were mapped.
    mapping: (NonNull<u8>, usize),
    /// The first that is aligned. Invariant: as many bytes as were asked for follow.
    start: NonNull<u8>,
}

// SAFETY: the mapping belongs to this value, and is read and written by atomics.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        let mapped = bytes + ALIGN_MAX;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, at no place in particular.
        let mapping = unsafe {
            mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, flags)
        };
        let mapping = mapping.unwrap_or_else(|error| panic!("no {mapped} bytes: {error}"));
        let mapping = NonNull::new(mapping.cast::<u8>()).expect("nothing is mapped at zero");
        let skipped = mapping.align_offset(ALIGN_MAX);
        // SAFETY: fewer than `ALIGN_MAX` bytes further on is within the mapping.
        let start = unsafe { mapping.add(skipped) };
        Self { mapping: (mapping, mapped), start }
    }

    pub(super) fn pointer(&self, address: Address) -> *mut u8 {
        self.start.as_ptr().wrapping_add(address)
    }

    fn atomic(&self, address: Address) -> &AtomicUsize {
        // SAFETY: the arena has looked that the word is there and aligned, and it is as long as
        // this value.
        unsafe { AtomicUsize::from_ptr(self.pointer(address).cast()) }
    }

    fn byte(&self, address: Address) -> &AtomicU8 {
        // SAFETY: the arena has looked that the byte is there, and it is as long as this value.
        unsafe { AtomicU8::from_ptr(self.pointer(address)) }
    }

    pub(super) fn word(&self, address: Address) -> usize {
        // Relaxed, here and below: what makes blocks change hands orders what is in them.
        self.atomic(address).load(Ordering::Relaxed)
    }

    pub(super) fn set_word(&self, address: Address, value: usize) {
        self.atomic(address).store(value, Ordering::Relaxed);
    }

    pub(super) fn zero(&self, start: Address, bytes: usize) {
        let end = start + bytes;
        let words = words(start, end);
        words.clone().step_by(WORD).for_each(|at| self.set_word(at, 0));
        for at in (start..words.start).chain(words.end..end) {
            self.byte(at).store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn copy(&self, from: Address, to: Address, bytes: usize) {
        let end = from + bytes;
        let is_even = from.abs_diff(to).is_multiple_of(WORD);
        let words = if is_even { words(from, end) } else { end..end };
        let there = |at: Address| to + (at - from);
        words.clone().step_by(WORD).for_each(|at| self.set_word(there(at), self.word(at)));
        for at in (from..words.start).chain(words.end..end) {
            self.byte(there(at)).store(self.byte(at).load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub(super) fn purge(&self, start: Address, bytes: usize) {
        // SAFETY: the pages are of this mapping, and zero is a value for all that may be in them.
        let done = unsafe { madvise(self.pointer(start).cast(), bytes, Advice::LinuxDontNeed) };
        done.expect("whole pages of a mapping can be given back");
    }
}

/// The whole words between two addresses.
fn words(start: Address, end: Address) -> std::ops::Range<Address> {
    let first = start.next_multiple_of(WORD).min(end);
    first..first + (end - first) / WORD * WORD
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (mapping, mapped) = self.mapping;
        // SAFETY: the mapping is ours, and nobody has the arena any more.
        let unmapped = unsafe { munmap(mapping.as_ptr().cast(), mapped) };
        unmapped.expect("a whole mapping can be given back");
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, WORD};

    #[test]
    fn bytes_and_words_are_written_and_no_others() {
        let memory = Memory::new(64 << 10);
        for (start, bytes) in [(0, 64), (3, 2), (3, 30), (8, 17), (5, 3), (16, 0)] {
            for shift in [0, 1, WORD] {
                (0..128).for_each(|at| memory.byte(at).store(7, super::Ordering::Relaxed));
                memory.zero(start, bytes);
                memory.copy(start, 256 + shift + start % WORD, bytes);
                let read = |at: usize| memory.byte(at).load(super::Ordering::Relaxed);
                let is_zero = |at: usize| (start..start + bytes).contains(&at);
                assert!((0..128).all(|at| (read(at) == 0) == is_zero(at)), "{start}, {bytes}");
            }
        }
        memory.set_word(512, usize::MAX);
        memory.copy(512, 1_027, WORD);
        assert!((0..WORD).all(|at| memory.byte(1_027 + at).load(super::Ordering::Relaxed) == 255));
    }
}
