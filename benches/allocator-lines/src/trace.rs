//! Scripts of requests that every contender follows, over and over.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use harness::contract::{Allocator, Unsupported};
use harness::duel::Subject;
use harness::rng::SplitMix64;
use harness::workload::{Size, Sizes};

use super::raw::{Block, Start};

/// One request: the block of a place is made, or freed.
///
/// Eight bytes, and a free tells the layout again, so that a table holds addresses alone: what a
/// process keeps beside the blocks weighs on its peak of memory, the same for every contender.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// The place, and [`FREES`].
    place: u32,
    /// The size, and above [`SIZE_BITS`] the exponent of the alignment.
    shape: u32,
}

/// The bit of a place that says that its block is freed.
const FREES: u32 = 1 << 31;
const SIZE_BITS: u32 = 27;

impl Request {
    fn make(place: usize, size: usize, align: usize) -> Self {
        let narrow = |it: usize| u32::try_from(it).expect("scripts are small");
        let (place, size) = (narrow(place), narrow(size));
        assert!(place < FREES && size < 1 << SIZE_BITS, "{size} bytes at {place} are too many");
        Self { place, shape: align.ilog2() << SIZE_BITS | size }
    }

    fn freed(self) -> Self {
        Self { place: self.place | FREES, ..self }
    }

    fn frees(self) -> bool {
        self.place & FREES != 0
    }

    fn place(self) -> usize {
        (self.place & !FREES) as usize
    }

    fn size(self) -> usize {
        (self.shape & ((1 << SIZE_BITS) - 1)) as usize
    }

    fn align(self) -> usize {
        1 << (self.shape >> SIZE_BITS)
    }
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
    /// What was asked for in each place last.
    made: Vec<Request>,
    rng: SplitMix64,
}

impl Writer {
    fn write<S: Script>(size: Size) -> Self {
        let mut writer = Self { requests: Vec::new(), made: Vec::new(), rng: SplitMix64::new(7) };
        S::write(&mut writer, size);
        writer
    }

    fn make(&mut self, place: usize, size: usize, align: usize) {
        let request = Request::make(place, size, align);
        self.requests.push(request);
        if place == self.made.len() {
            self.made.push(request);
        } else {
            self.made[place] = request;
        }
    }

    fn free(&mut self, place: usize) {
        self.requests.push(self.made[place].freed());
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

/// Small blocks of `frag`.
const FRAGMENTS: Sizes = Sizes { smoke: 2_000, quick: 200_000, full: 2_000_000 };
/// Operations of `frag`, once through.
pub(super) const FRAGMENTING: Sizes = Sizes { smoke: 4_720, quick: 472_000, full: 4_720_000 };

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
        let count = FRAGMENTS.at(size);
        let count = usize::try_from(count).expect("fewer than all addresses");
        for place in 0..count {
            let size = script.between(16, 512);
            script.make(place, size, 8);
        }
        let order = script.order(count);
        let (freed, kept) = order.split_at(count / 10 * 9);
        for place in freed {
            script.free(*place);
        }
        // The mean of the sizes is five times that of before: as many bytes come as went.
        let refilled = &freed[..freed.len() / 5];
        for place in refilled {
            let size = script.between(512, 2_048);
            script.make(*place, size, 8);
        }
        refilled.iter().chain(kept).for_each(|place| script.free(*place));
    }
}

/// A script and how far each thread has got in it.
struct Followed<A, S> {
    script: Vec<Request>,
    places: usize,
    threads: [Mutex<State>; THREADS],
    kinds: PhantomData<fn() -> (A, S)>,
}

/// Where a thread is in the script, and the block of each place. A thread makes the table when it
/// begins: a line has no table for threads that it has not.
#[derive(Debug, Default)]
struct State {
    next: usize,
    blocks: Vec<Option<Start>>,
}

/// The most threads of a line.
const THREADS: usize = 4;

pub(super) fn make<A: Allocator, S: Script>(size: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let Writer { requests: script, made, .. } = Writer::write::<S>(size);
    let threads = Default::default();
    Ok(Box::new(Followed::<A, S> { script, places: made.len(), threads, kinds: PhantomData }))
}

impl<A: Allocator, S: Script> Subject for Followed<A, S> {
    fn run(&self, thread: usize, _: u64, operations: u64) -> u64 {
        let mut state = self.threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let State { next, blocks } = &mut *state;
        if blocks.is_empty() {
            *blocks = vec![None; self.places];
        }
        let mut sum = 0_u64;
        for _ in 0..operations {
            let request = self.script[*next];
            *next = if *next + 1 == self.script.len() { 0 } else { *next + 1 };
            let (size, align) = (request.size(), request.align());
            let place = &mut blocks[request.place()];
            if request.frees() {
                let start = place.take().expect("scripts free what they make");
                start.block(size, align).free::<A>();
            } else {
                let block = Block::new::<A>(size, align);
                *place = Some(if S::USED { block.used() } else { block }.start());
                sum += size as u64;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::workload::Size;

    use super::{
        Aligned, Big64, ChurnLarge, ChurnMid, ChurnSmall, FRAGMENTING, Fifo64, FifoMix,
        Fragmenting, Large, Lifo64, LifoMix, Random64, RandomMix, Request, Script, Writer,
    };

    fn requests<S: Script>(size: Size) -> Vec<Request> {
        Writer::write::<S>(size).requests
    }

    fn is_sound<S: Script>() {
        let mut live = BTreeMap::new();
        for request in requests::<S>(Size::Smoke) {
            let layout = (request.size(), request.align());
            if request.frees() {
                assert_eq!(live.remove(&request.place()), Some(layout), "{request:?}");
            } else {
                assert_eq!(live.insert(request.place(), layout), None, "{request:?}");
            }
        }
        assert!(live.is_empty(), "{} blocks are left", live.len());
    }

    #[test]
    fn scripts_free_what_they_make_and_know_its_layout() {
        is_sound::<Lifo64>();
        is_sound::<Fifo64>();
        is_sound::<Random64>();
        is_sound::<LifoMix>();
        is_sound::<FifoMix>();
        is_sound::<RandomMix>();
        is_sound::<Big64>();
        is_sound::<ChurnSmall>();
        is_sound::<ChurnMid>();
        is_sound::<ChurnLarge>();
        is_sound::<Aligned>();
        is_sound::<Large>();
        is_sound::<Fragmenting>();
    }

    #[test]
    fn a_request_holds_what_it_was_made_of() {
        let request = Request::make(2_000_000, 16 << 20, 4_096);
        for request in [request, request.freed()] {
            assert_eq!(request.place(), 2_000_000);
            assert_eq!((request.size(), request.align()), (16 << 20, 4_096));
        }
        assert!(!request.frees() && request.freed().frees());
    }

    #[test]
    fn fragments_are_refilled_with_as_many_bytes() {
        for size in [Size::Smoke, Size::Quick] {
            let requests = requests::<Fragmenting>(size);
            assert_eq!(requests.len() as u64, FRAGMENTING.at(size));
            let (mut live, mut most, mut first) = (0, 0, 0);
            for request in requests {
                if request.frees() {
                    first = first.max(live);
                    live -= request.size();
                } else {
                    live += request.size();
                    most = most.max(live);
                }
            }
            assert!(most * 100 <= first * 105, "{most} bytes at the most, {first} at first");
        }
    }
}
