//! Spans of small blocks: the list of those that are free, and what is known of a span.

use harness::sync::atomic::{AtomicUsize, Ordering};

use super::{Address, Arena, NONE, SPAN};

/// Free blocks, the last one that came first. The first word of each is the address of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(Address);

impl List {
    /// No blocks.
    pub const EMPTY: Self = Self(NONE);

    /// A whole span, divided into blocks of a size.
    pub fn of_span(arena: &Arena, span: usize, size: usize) -> Self {
        let mut list = Self::EMPTY;
        let blocks = (span * SPAN..(span + 1) * SPAN).step_by(size);
        blocks.rev().for_each(|block| list.push(arena, block));
        list
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Puts a block before the others.
    pub fn push(&mut self, arena: &Arena, block: Address) {
        arena.set_word(block, self.0);
        self.0 = block;
    }

    /// Takes the first one.
    pub fn pop(&mut self, arena: &Arena) -> Option<Address> {
        if self.is_empty() {
            return None;
        }
        let first = self.0;
        self.0 = arena.word(first);
        Some(first)
    }
}

/// What is known of a span with small blocks. All but the owner and the class concerns the owner
/// alone: it is atomic only because all threads have it before them, and never needs an exchange.
#[derive(Debug, Default)]
pub struct Span {
    owner: AtomicUsize,
    class: AtomicUsize,
    free: AtomicUsize,
    used: AtomicUsize,
}

// Relaxed, everywhere: who gets a block of the span has seen its owner and class before the block,
// and the rest is the owner's.
impl Span {
    /// Begins a life with an owner, with all its blocks free.
    pub fn begin(&self, owner: usize, class: usize, blocks: List) {
        self.owner.store(owner, Ordering::Relaxed);
        self.class.store(class, Ordering::Relaxed);
        self.free.store(blocks.0, Ordering::Relaxed);
        self.used.store(0, Ordering::Relaxed);
    }

    /// The number of its owner.
    pub fn owner(&self) -> usize {
        self.owner.load(Ordering::Relaxed)
    }

    /// The class of its blocks.
    pub fn class(&self) -> usize {
        self.class.load(Ordering::Relaxed)
    }

    /// Whether it has no free block.
    pub fn is_full(&self) -> bool {
        self.free.load(Ordering::Relaxed) == NONE
    }

    /// Takes its first free block. The owner's alone.
    pub fn pop(&self, arena: &Arena) -> Option<Address> {
        let mut free = List(self.free.load(Ordering::Relaxed));
        let block = free.pop(arena)?;
        self.free.store(free.0, Ordering::Relaxed);
        self.used.store(self.used.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Some(block)
    }

    /// Takes a block back; how many are still in use, of which those on their way are. The owner's
    /// alone.
    pub fn push(&self, arena: &Arena, block: Address) -> usize {
        let mut free = List(self.free.load(Ordering::Relaxed));
        free.push(arena, block);
        self.free.store(free.0, Ordering::Relaxed);
        let used = self.used.load(Ordering::Relaxed) - 1;
        self.used.store(used, Ordering::Relaxed);
        used
    }
}

/// How long a span has been free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It has no memory, and reads as zero: as the system gave it, or purged.
    Clean,
    /// Since the last tick.
    Restless,
    /// Since a tick before.
    Resting,
}

impl Age {
    /// What it is after a tick, which purges what was resting.
    #[must_use]
    pub fn older(self) -> Self {
        if self == Self::Restless { Self::Resting } else { Self::Clean }
    }
}
