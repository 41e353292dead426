//! One block at a time, or one that grows.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use harness::contract::{Allocator, Unsupported};
use harness::duel::Subject;
use harness::workload::Size;

use super::raw::Block;

struct Pair<A, const SIZE: usize>(PhantomData<fn() -> A>);

pub(super) fn pair<A: Allocator, const SIZE: usize>(
    _: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Pair::<A, SIZE>(PhantomData)))
}

impl<A: Allocator, const SIZE: usize> Subject for Pair<A, SIZE> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        (0..operations).for_each(|_| std::hint::black_box(Block::new::<A>(SIZE, 8)).free::<A>());
        operations
    }
}

struct Zeroed<A, const SIZE: usize>(PhantomData<fn() -> A>);

pub(super) fn zeroed<A: Allocator, const SIZE: usize>(
    _: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Zeroed::<A, SIZE>(PhantomData)))
}

impl<A: Allocator, const SIZE: usize> Subject for Zeroed<A, SIZE> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        for _ in 0..operations {
            std::hint::black_box(Block::zeroed::<A>(SIZE)).used().free::<A>();
        }
        operations
    }
}

/// Steps until the block is freed and starts anew.
const STEPS: usize = 1024;

struct Growing<A, const STEP: usize> {
    block: Mutex<Block>,
    allocator: PhantomData<fn() -> A>,
}

pub(super) fn growing<A: Allocator, const STEP: usize>(
    _: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let block = Mutex::new(Block::new::<A>(STEP, 8));
    Ok(Box::new(Growing::<A, STEP> { block, allocator: PhantomData }))
}

impl<A: Allocator, const STEP: usize> Subject for Growing<A, STEP> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..operations {
            let old = block.size();
            if old >= STEP * STEPS {
                block.free::<A>();
                *block = Block::new::<A>(STEP, 8);
                continue;
            }
            *block = block.grown::<A>(old + STEP);
            (old..old + STEP).step_by(super::raw::PAGE).for_each(|at| {
                block.touched(at);
            });
        }
        block.size() as u64
    }
}

/// Bytes that a vector ends with.
const FULL: usize = 1 << 20;
/// Bytes of an element.
const ELEMENT: usize = 8;

/// A vector: elements are pushed, its block doubles when it is full, and in the end it is dropped.
struct Vector<A> {
    state: Mutex<Option<(Block, usize)>>,
    allocator: PhantomData<fn() -> A>,
}

pub(super) fn vector<A: Allocator>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Vector::<A> { state: Mutex::new(None), allocator: PhantomData }))
}

impl<A: Allocator> Subject for Vector<A> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = 0;
        for _ in 0..operations {
            let (block, used) = state.take().unwrap_or_else(|| (Block::new::<A>(32, 8), 0));
            let full = used == block.size();
            let block = if full { block.grown::<A>(block.size() * 2) } else { block };
            block.touched(used);
            sum += used as u64;
            if used + ELEMENT == FULL {
                block.free::<A>();
            } else {
                *state = Some((block, used + ELEMENT));
            }
        }
        sum
    }
}
