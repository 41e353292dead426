//! Blocks that change hands, and threads that come and go.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};
use std::thread;

use harness::contract::{Allocator, Unsupported};
use harness::duel::Subject;
use harness::rng::SplitMix64;
use harness::workload::Size;

use super::raw::Block;

/// Sizes of a line.
pub(super) trait Sizes: 'static {
    fn size(rng: &mut SplitMix64) -> usize;
}

pub(super) struct Fixed64;
pub(super) struct Mixed;

impl Sizes for Fixed64 {
    fn size(_: &mut SplitMix64) -> usize {
        64
    }
}

impl Sizes for Mixed {
    fn size(rng: &mut SplitMix64) -> usize {
        usize::try_from(16 + rng.below(1_009)).expect("a small size")
    }
}

/// Blocks that are handed over at once, so that the hand-over costs little.
const HANDFUL: usize = 256;
/// Handfuls on the way.
const ON_THE_WAY: usize = 8;

/// One thread makes, the other frees. The rings of blocks go round and are never allocated anew.
struct Passing<A, S> {
    full: Mutex<Vec<Vec<Block>>>,
    empty: Mutex<Vec<Vec<Block>>>,
    kinds: PhantomData<fn() -> (A, S)>,
}

pub(super) fn passing<A: Allocator, S: Sizes>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let empty = (0..ON_THE_WAY).map(|_| Vec::with_capacity(HANDFUL)).collect();
    let full = Mutex::new(Vec::with_capacity(ON_THE_WAY));
    Ok(Box::new(Passing::<A, S> { full, empty: Mutex::new(empty), kinds: PhantomData }))
}

fn receive(from: &Mutex<Vec<Vec<Block>>>) -> Vec<Block> {
    loop {
        let handful = from.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match handful {
            Some(handful) => return handful,
            None => thread::yield_now(),
        }
    }
}

fn send(to: &Mutex<Vec<Vec<Block>>>, handful: Vec<Block>) {
    to.lock().unwrap_or_else(PoisonError::into_inner).push(handful);
}

impl<A: Allocator, S: Sizes> Subject for Passing<A, S> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let mut rng = SplitMix64::new(round);
        let mut left = usize::try_from(operations).expect("fewer than all addresses");
        let mut sum = 0;
        while left > 0 {
            let count = left.min(HANDFUL);
            left -= count;
            if thread == 0 {
                let mut handful = receive(&self.empty);
                handful.extend((0..count).map(|_| Block::new::<A>(S::size(&mut rng), 8)));
                sum += handful.iter().map(|block| block.size() as u64).sum::<u64>();
                send(&self.full, handful);
            } else {
                let mut handful = receive(&self.full);
                handful.drain(..).for_each(Block::free::<A>);
                send(&self.empty, handful);
            }
        }
        sum
    }
}

/// Places of the shared table.
const TABLE: usize = 4_096;

/// Threads replace blocks of one table, so that of what each frees half or more is of others.
struct Table<A> {
    places: Vec<Mutex<Option<Block>>>,
    allocator: PhantomData<fn() -> A>,
}

pub(super) fn table<A: Allocator>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let places = (0..TABLE).map(|_| Mutex::new(None)).collect();
    Ok(Box::new(Table::<A> { places, allocator: PhantomData }))
}

impl<A: Allocator> Subject for Table<A> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let mut rng = SplitMix64::new(round * 4 + thread as u64);
        let mut sum = 0;
        for _ in 0..operations {
            let place = usize::try_from(rng.below(TABLE as u64)).expect("below a usize");
            let size = Mixed::size(&mut rng);
            sum += size as u64;
            let new = Block::new::<A>(size, 8);
            let place = self.places[place].lock();
            let old = place.unwrap_or_else(PoisonError::into_inner).replace(new);
            if let Some(old) = old {
                old.free::<A>();
            }
        }
        sum
    }
}

/// Blocks that a short-lived thread makes.
const BLOCKS: usize = 100;

struct Threads<A>(PhantomData<fn() -> A>);

pub(super) fn threads<A: Allocator>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Threads::<A>(PhantomData)))
}

impl<A: Allocator> Subject for Threads<A> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        for _ in 0..operations {
            let work = || {
                let blocks: [Block; BLOCKS] =
                    std::array::from_fn(|index| Block::new::<A>(16 + index * 8, 8));
                blocks.into_iter().for_each(Block::free::<A>);
            };
            thread::spawn(work).join().expect("nothing in it panics");
        }
        operations
    }
}
