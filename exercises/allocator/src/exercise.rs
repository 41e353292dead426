//! Your allocator. This is the only file that you edit; `cargo study` judges it, stage by stage.
//!
//! Take atomics and locks from `harness::sync`: in a plain build they are those of the standard
//! library, and under the explorer of schedules they are its own. Blocks are numbers, and the
//! memory behind them is the `Arena` of `scaffold.rs`, which has what else is no stage's point.

use std::alloc::Layout;

use crate::scaffold::{Address, Arena};
use crate::{Heap, stage};

/// The allocator that runs in the duel under the name `yours`: name your best one here.
pub type Yours = FreeList;

/// Stage 1: a place that moves on with each block.
#[derive(Debug)]
pub struct Bump;

impl Heap for Bump {
    type Cache = ();

    fn new(_arena: Arena) -> Self {
        stage!(1, "begin at the first byte of the arena")
    }

    fn arena(&self) -> &Arena {
        stage!(1, "keep the arena")
    }

    fn allocate(&self, (): &mut (), _layout: Layout) -> Option<Address> {
        stage!(1, "round the place up to the alignment, and move it on by the size, in one step")
    }

    fn free(&self, (): &mut (), _block: Address, _layout: Layout) {
        stage!(1, "do nothing: what is bumped is not taken back")
    }
}

/// Stage 2: one list of free pieces, which lies in them.
#[derive(Debug)]
pub struct FreeList;

impl Heap for FreeList {
    type Cache = ();

    fn new(_arena: Arena) -> Self {
        stage!(2, "make a list of one piece, behind a head that is never handed out")
    }

    fn arena(&self) -> &Arena {
        stage!(2, "keep the arena")
    }

    fn allocate(&self, (): &mut (), _layout: Layout) -> Option<Address> {
        stage!(2, "take the first piece that is large enough, and leave what is over in the list")
    }

    fn free(&self, (): &mut (), _block: Address, _layout: Layout) {
        stage!(2, "put the piece in its place by address, and join it with its neighbours")
    }
}

/// Stage 3: a list for each size, and spans for what is large.
#[derive(Debug)]
pub struct Classes;

impl Heap for Classes {
    type Cache = ();

    fn new(_arena: Arena) -> Self {
        stage!(3, "make an empty list for each size class, and note that all spans are free")
    }

    fn arena(&self) -> &Arena {
        stage!(3, "keep the arena")
    }

    fn allocate(&self, (): &mut (), _layout: Layout) -> Option<Address> {
        stage!(3, "take the first block of its class; where there is none, divide a span")
    }

    fn free(&self, (): &mut (), _block: Address, _layout: Layout) {
        stage!(3, "put the block into the list of its class, or give its spans back")
    }
}

/// Stage 4: what a thread keeps of each class, so that it seldom takes a lock.
#[derive(Debug, Default)]
pub struct Magazines;

/// Stage 4: the same behind a cache for each thread.
#[derive(Debug)]
pub struct Cached;

impl Heap for Cached {
    type Cache = Magazines;

    fn new(_arena: Arena) -> Self {
        stage!(4, "make the heap of stage 3")
    }

    fn arena(&self) -> &Arena {
        stage!(4, "that of the heap of stage 3")
    }

    fn allocate(&self, _magazines: &mut Magazines, _layout: Layout) -> Option<Address> {
        stage!(4, "pop from the magazine; refill an empty one with many blocks under one lock")
    }

    fn free(&self, _magazines: &mut Magazines, _block: Address, _layout: Layout) {
        stage!(4, "push to the magazine; where it is full, give half of it back under one lock")
    }

    fn leave(&self, _magazines: Magazines) {
        stage!(4, "give back what is in the magazines of a thread that ends")
    }
}

/// Stages 5 to 7: what a thread owns, until another one adopts it.
#[derive(Debug, Default)]
pub struct Local;

/// Stages 5 to 7: each span has an owner, who alone hands out its blocks; others post what they
/// free to it (stage 5). Spans without blocks in use go back (stage 6), and blocks grow where they
/// are (stage 7: add `resize`).
#[derive(Debug)]
pub struct Owned;

impl Heap for Owned {
    type Cache = Local;

    fn new(_arena: Arena) -> Self {
        stage!(5, "make a descriptor for each span, and a mailbox for each owner")
    }

    fn arena(&self) -> &Arena {
        stage!(5, "keep the arena")
    }

    fn allocate(&self, _local: &mut Local, _layout: Layout) -> Option<Address> {
        stage!(5, "pop from a span of ours; then see what came by post; then take a new span")
    }

    fn free(&self, _local: &mut Local, _block: Address, _layout: Layout) {
        stage!(5, "push to the list of its span if that is ours, else to its owner's mailbox")
    }

    fn leave(&self, _local: Local) {
        stage!(5, "leave what the thread owned to the next one")
    }

    fn tick(&self) {
        stage!(6, "purge what has been free since the tick before")
    }
}
