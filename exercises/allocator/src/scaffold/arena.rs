//! The memory that is divided: bytes in a row, numbered from zero.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::memory::Memory;

/// The number of a byte in the arena.
pub type Address = usize;

/// No address: the end of a list.
pub const NONE: Address = Address::MAX;

/// Bytes of a word. Words lie at multiples of it.
pub const WORD: usize = size_of::<usize>();

/// The least size of a block that is in a list when it is free: room for two words.
pub const GRANULE: usize = 2 * WORD;

/// Bytes of a span: what the system gives and takes. Spans lie at multiples of it. Small under the
/// explorer of schedules, where every word is an object.
pub const SPAN: usize = if cfg!(shuttle) { 256 } else { 64 << 10 };

/// The largest alignment. An address that is a multiple of it leads to memory that is aligned to
/// it.
pub const ALIGN_MAX: usize = 4 << 20;

/// Memory that belongs to one heap. It reads as zero until something is written to it.
#[derive(Debug)]
pub struct Arena {
    memory: Memory,
    spans: usize,
    purged: AtomicUsize,
}

impl Arena {
    /// An arena of so many spans.
    ///
    /// Panics where the system has no room for it.
    pub fn new(spans: usize) -> Self {
        Self { memory: Memory::new(spans * SPAN), spans, purged: AtomicUsize::new(0) }
    }

    /// How many spans it has.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// How many bytes it has: the end of the addresses.
    pub fn len(&self) -> usize {
        self.spans * SPAN
    }

    /// Whether it has no memory.
    pub fn is_empty(&self) -> bool {
        self.spans == 0
    }

    /// The word at an address. What its user may have written there is none of the heap's business;
    /// a free block has no user.
    pub fn word(&self, address: Address) -> usize {
        self.assert_word(address);
        self.memory.word(address)
    }

    /// Writes the word at an address.
    pub fn set_word(&self, address: Address, value: usize) {
        self.assert_word(address);
        self.memory.set_word(address, value);
    }

    /// The two words at an address.
    pub fn pair(&self, address: Address) -> (usize, usize) {
        (self.word(address), self.word(address + WORD))
    }

    /// Writes both.
    pub fn set_pair(&self, address: Address, one: usize, other: usize) {
        self.set_word(address, one);
        self.set_word(address + WORD, other);
    }

    /// Writes zeros.
    pub fn zero(&self, start: Address, bytes: usize) {
        self.assert_bytes(start, bytes);
        self.memory.zero(start, bytes);
    }

    /// Copies bytes to a place that has none of them.
    pub fn copy(&self, from: Address, to: Address, bytes: usize) {
        self.assert_bytes(from, bytes);
        self.assert_bytes(to, bytes);
        self.memory.copy(from, to, bytes);
    }

    /// Gives the pages of so many spans back to the system. They read as zero afterwards, and the
    /// first write to one gets a page anew.
    pub fn purge(&self, first: usize, spans: usize) {
        self.assert_bytes(first * SPAN, spans * SPAN);
        self.memory.purge(first * SPAN, spans * SPAN);
        // Relaxed: a count.
        self.purged.fetch_add(spans, Ordering::Relaxed);
    }

    /// How many spans were purged, all told.
    pub fn purged(&self) -> usize {
        // Relaxed: a count.
        self.purged.load(Ordering::Relaxed)
    }

    /// Where a byte really is.
    #[cfg(not(shuttle))]
    pub fn pointer(&self, address: Address) -> *mut u8 {
        self.memory.pointer(address)
    }

    /// The number of the byte that a pointer leads to.
    #[cfg(not(shuttle))]
    pub fn address(&self, pointer: *const u8) -> Address {
        pointer.addr() - self.memory.pointer(0).addr()
    }

    fn assert_word(&self, address: Address) {
        let fits = address.is_multiple_of(WORD) && address < self.len();
        assert!(fits, "there is no word at {address:#x} in an arena of {:#x} bytes", self.len());
    }

    /// Panics where bytes are not all of the arena.
    pub fn assert_bytes(&self, start: Address, bytes: usize) {
        let fits = start.checked_add(bytes).is_some_and(|end| end <= self.len());
        assert!(fits, "{bytes} bytes at {start:#x} are not in the {:#x} of the arena", self.len());
    }
}
