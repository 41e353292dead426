//! Scripts of requests that every contender follows, over and over.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use harness::contract::{Allocator, Unsupported};
use harness::duel::Subject;
use harness::rng::SplitMix64;
use harness::workload::Size;

use super::raw::Block;

/// One request: a block in this place is made, or, with no size, freed.
#[derive(Clone, Copy, Debug)]
struct Request {
    place: u32,
    size: u32,
    align: u32,
}

/// A script. It begins and ends without a live block.
pub(super) trait Script: 'static {
    /// Whether each page of a block is used.
    const USED: bool = false;

    fn write(script: &mut Writer, size: Size);
}

/// Writes a script, with chance of its own.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Vec<Request>,
    rng: SplitMix64,
}

impl Writer {
    fn make(&mut self, place: usize, size: usize, align: usize) {
        let narrow = |it: usize| u32::try_from(it).expect("scripts are small");
        let request = Request { place: narrow(place), size: narrow(size), align: narrow(align) };
        self.requests.push(request);
    }

    fn free(&mut self, place: usize) {
        self.make(place, 0, 1);
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("below a usize")
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Mostly small, now and then a kilobyte.
    fn mixed(&mut self) -> usize {
        let power = self.below(7);
        self.between(16 << power >> 1, 16 << power)
    }

    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        self.rng.shuffle(&mut order);
        order
    }

    /// `live` blocks, of which `turns` times one at random is made anew.
    fn churn(
        &mut self,
        live: usize,
        turns: usize,
        mut size: impl FnMut(&mut Self) -> (usize, usize),
    ) {
        for place in 0..live {
            let (size, align) = size(self);
            self.make(place, size, align);
        }
        for _ in 0..turns {
            let place = self.below(live);
            let (size, align) = size(self);
            self.free(place);
            self.make(place, size, align);
        }
        (0..live).for_each(|place| self.free(place));
    }
}

macro_rules! scripts {
    ($($name:ident $(, used $used:literal)?: |$script:ident, $size:pat_param| $body:block)+) => {$(
        pub(super) struct $name;

        impl Script for $name {
            $(const USED: bool = $used;)?

            fn write($script: &mut Writer, $size: Size) {
                $body
            }
        }
    )+};
}

const BATCH: usize = 10_000;

fn smaller(size: Size, count: usize) -> usize {
    if size == Size::Smoke { count / 100 } else { count }
}

scripts! {
    Lifo64: |script, _| {
        (0..BATCH).for_each(|place| script.make(place, 64, 8));
        (0..BATCH).rev().for_each(|place| script.free(place));
    }
    Fifo64: |script, _| {
        (0..BATCH).for_each(|place| script.make(place, 64, 8));
        (0..BATCH).for_each(|place| script.free(place));
    }
    Random64: |script, _| {
        (0..BATCH).for_each(|place| script.make(place, 64, 8));
        script.order(BATCH).into_iter().for_each(|place| script.free(place));
    }
    LifoMix: |script, _| {
        for place in 0..BATCH {
            let size = script.mixed();
            script.make(place, size, 8);
        }
        (0..BATCH).rev().for_each(|place| script.free(place));
    }
    FifoMix: |script, _| {
        for place in 0..BATCH {
            let size = script.mixed();
            script.make(place, size, 8);
        }
        (0..BATCH).for_each(|place| script.free(place));
    }
    RandomMix: |script, _| {
        for place in 0..BATCH {
            let size = script.mixed();
            script.make(place, size, 8);
        }
        script.order(BATCH).into_iter().for_each(|place| script.free(place));
    }
    Big64: |script, size| {
        let count = smaller(size, 1_000_000);
        (0..count).for_each(|place| script.make(place, 64, 8));
        (0..count).for_each(|place| script.free(place));
    }
    ChurnSmall: |script, _| {
        script.churn(10_000, 100_000, |script| (script.between(16, 512), 8));
    }
    ChurnMid: |script, _| {
        script.churn(500, 20_000, |script| (script.between(1 << 10, 32 << 10), 8));
    }
    ChurnLarge, used true: |script, _| {
        script.churn(100, 2_000, |script| (script.between(32 << 10, 1 << 20), 8));
    }
    Aligned: |script, _| {
        script.churn(2_000, 20_000, |script| {
            (script.between(16, 2_048), 16 << script.below(9))
        });
    }
    Large, used true: |script, size| {
        let turns = smaller(size, 400);
        script.churn(16, turns, |script| (script.between(1 << 20, 16 << 20), 8));
    }
    Fragmenting: |script, size| {
        let count = smaller(size, 200_000);
        for place in 0..count {
            let size = script.between(16, 512);
            script.make(place, size, 8);
        }
        let order = script.order(count);
        let (freed, kept) = order.split_at(count / 10 * 9);
        for place in freed {
            script.free(*place);
        }
        for place in freed {
            let size = script.between(512, 2_048);
            script.make(*place, size, 8);
        }
        freed.iter().chain(kept).for_each(|place| script.free(*place));
    }
}

/// A script and how far each thread has got in it.
struct Followed<A, S> {
    script: Vec<Request>,
    threads: Vec<Mutex<State>>,
    kinds: PhantomData<fn() -> (A, S)>,
}

#[derive(Debug)]
struct State {
    next: usize,
    blocks: Vec<Option<Block>>,
}

/// The most threads of a line.
const THREADS: usize = 4;

pub(super) fn make<A: Allocator, S: Script>(size: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let mut writer = Writer { requests: Vec::new(), rng: SplitMix64::new(7) };
    S::write(&mut writer, size);
    let places = writer.requests.iter().map(|it| it.place as usize + 1).max().unwrap_or(0);
    let state = || Mutex::new(State { next: 0, blocks: vec![None; places] });
    let threads = (0..THREADS).map(|_| state()).collect();
    let kinds = PhantomData;
    Ok(Box::new(Followed::<A, S> { script: writer.requests, threads, kinds }))
}

impl<A: Allocator, S: Script> Subject for Followed<A, S> {
    fn run(&self, thread: usize, _: u64, operations: u64) -> u64 {
        let mut state = self.threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let State { next, blocks } = &mut *state;
        let mut sum = 0_u64;
        for _ in 0..operations {
            let Request { place, size, align } = self.script[*next];
            *next = if *next + 1 == self.script.len() { 0 } else { *next + 1 };
            let place = &mut blocks[place as usize];
            if size == 0 {
                place.take().expect("scripts free what they make").free::<A>();
            } else {
                let block = Block::new::<A>(size as usize, align as usize);
                *place = Some(if S::USED { block.used() } else { block });
                sum += u64::from(size);
            }
        }
        sum
    }
}
