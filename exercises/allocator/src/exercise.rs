//! Your allocator. This is the only file that you edit; `cargo study` judges it, stage by stage.
//!
//! Take atomics and locks from `harness::sync`: in a plain build they are those of the standard
//! library, and under the explorer of schedules they are its own. Memory comes from [`System`],
//! a [`CHUNK`](crate::CHUNK) at a time; large blocks are none of your concern.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::Layout;

use crate::{Heap, System, moved, stage};

/// The heap that runs in the duel under the name `yours`: name your best one here.
pub type Yours = Bump;

/// Stage 1: a pointer that moves through a chunk, behind a lock. Nothing small is ever used again.
#[derive(Debug)]
pub struct Bump;

impl Heap for Bump {
    fn new(_system: System) -> Self {
        stage!(1, "make a heap without a chunk")
    }

    fn system(&self) -> &System {
        stage!(1, "return the system that `new` was given")
    }

    unsafe fn alloc(&self, _me: usize, _layout: Layout) -> *mut u8 {
        stage!(1, "round the pointer up to the alignment, and move it behind the block")
    }

    unsafe fn free(&self, _me: usize, _block: *mut u8, _layout: Layout) {
        stage!(1, "forget it")
    }
}

/// Stage 2: what was freed is in a list that lies in the free blocks themselves.
#[derive(Debug)]
pub struct FreeList;

impl Heap for FreeList {
    fn new(_system: System) -> Self {
        stage!(2, "make an empty list")
    }

    fn system(&self) -> &System {
        stage!(2, "return the system that `new` was given")
    }

    unsafe fn alloc(&self, _me: usize, _layout: Layout) -> *mut u8 {
        stage!(2, "take the first block of the list that fits, else move the pointer")
    }

    unsafe fn free(&self, _me: usize, _block: *mut u8, _layout: Layout) {
        stage!(2, "write the link and the size into the block, and make it the first of the list")
    }
}

/// Stage 3: a list for each class of sizes, so that nobody searches.
#[derive(Debug)]
pub struct Classes;

impl Heap for Classes {
    fn new(_system: System) -> Self {
        stage!(3, "make an empty list for each class")
    }

    fn system(&self) -> &System {
        stage!(3, "return the system that `new` was given")
    }

    unsafe fn alloc(&self, _me: usize, _layout: Layout) -> *mut u8 {
        stage!(3, "take the first block of the class; cut a chunk into blocks where there is none")
    }

    unsafe fn free(&self, _me: usize, _block: *mut u8, _layout: Layout) {
        stage!(3, "make it the first block of its class")
    }
}

/// Stage 4: each thread has some blocks of each class at hand, and seldom takes the lock.
#[derive(Debug)]
pub struct Cached;

impl Heap for Cached {
    fn new(_system: System) -> Self {
        stage!(4, "make the lists of stage 3, and some more for each thread")
    }

    fn system(&self) -> &System {
        stage!(4, "return the system that `new` was given")
    }

    unsafe fn alloc(&self, _me: usize, _layout: Layout) -> *mut u8 {
        stage!(4, "take a block of the thread's own; fetch many at once where there is none")
    }

    unsafe fn free(&self, _me: usize, _block: *mut u8, _layout: Layout) {
        stage!(4, "keep it; where there are too many, give many back at once")
    }
}

/// Stages 5 to 7: each chunk has an owner, to whom others send its blocks (stage 5); chunks that
/// are free as a whole go back (stage 6), and blocks grow where they are (stage 7).
#[derive(Debug)]
pub struct Owned;

impl Heap for Owned {
    fn new(_system: System) -> Self {
        stage!(5, "make a heap for each thread, and a place where others leave blocks for it")
    }

    fn system(&self) -> &System {
        stage!(5, "return the system that `new` was given")
    }

    unsafe fn alloc(&self, _me: usize, _layout: Layout) -> *mut u8 {
        stage!(5, "take a block of an own chunk; take in what others sent; else cut a new chunk")
    }

    unsafe fn free(&self, _me: usize, _block: *mut u8, _layout: Layout) {
        stage!(5, "find the chunk and its owner; keep the block, or send it there")
    }

    unsafe fn purge(&self, _me: usize) {
        stage!(6, "discard each chunk of which no block is in use, and remember it as empty")
    }

    unsafe fn resize(&self, me: usize, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Stage 7: where it is large enough, let it stay where it is.
        // SAFETY: the contract is the same.
        unsafe { moved(self, me, block, layout, size) }
    }
}
