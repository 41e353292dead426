//! Random requests of several heaps over a system that obeys the test, judged by a map of what is
//! out: blocks are disjoint, aligned, keep their contents, are zero where they should be; what
//! cannot be had is null and harms nobody; and what is free goes back.
//!
//! The heaps are those of threads that take turns, so that a run follows from its requests.

#![expect(unsafe_code, reason = "heaps are called as threads would call them")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

use harness::model::ShadowHeap;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::heap::{Heap, Role};
use crate::options::Options;
use crate::os::mock::Mock;
use crate::planted::{self, Bug};
use crate::pool::SPAN_MAX;
use crate::segment::{HEAD, SLICES, Segment, slab_of};
use crate::size_class::SLICE;
use crate::slab::Kind;
use crate::world::World;

#[derive(Clone, Debug)]
enum Request {
    Allocate {
        thread: usize,
        size: usize,
        align: usize,
    },
    /// Many blocks of one size, so that slabs fill up.
    Burst {
        thread: usize,
        size: usize,
        count: usize,
    },
    Free {
        thread: usize,
        block: usize,
    },
    /// Most of what is out, in no order.
    FreeMany {
        thread: usize,
        stride: usize,
    },
    Resize {
        thread: usize,
        block: usize,
        size: usize,
    },
    /// The thread ends; the next request of its number is one of a new thread.
    Exit {
        thread: usize,
    },
    Collect {
        thread: usize,
    },
    /// A block of the heap of one's own, which is made where there is none.
    AllocateInObject {
        size: usize,
        align: usize,
    },
    /// That heap goes: its blocks with it, or they stay as those of a thread that has ended.
    EndObject {
        destroy: bool,
    },
    /// Time passes.
    Wait {
        ms: u64,
    },
    /// The system has no memory for a while, or has again.
    Exhaust(bool),
}

const THREADS: usize = 3;

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1_usize..600,
        3 => 600_usize..70_000,
        2 => 70_000_usize..3_000_000,
        1 => 30_000_000_usize..50_000_000,
    ]
}

fn burst_size() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1_000_usize), Just(9_000), 16_usize..20_000]
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let thread = 0..THREADS;
    let align = prop_oneof![6 => Just(8_usize), 2 => (4_u32..13).prop_map(|it| 1 << it),
        1 => (13_u32..22).prop_map(|it| 1 << it)];
    let request = prop_oneof![
        4 => (size(), align.clone())
            .prop_map(|(size, align)| Request::AllocateInObject { size, align }),
        1 => any::<bool>().prop_map(|destroy| Request::EndObject { destroy }),
        12 => (thread.clone(), size(), align)
            .prop_map(|(thread, size, align)| Request::Allocate { thread, size, align }),
        2 => (thread.clone(), burst_size(), 1_usize..90)
            .prop_map(|(thread, size, count)| Request::Burst { thread, size, count }),
        1 => (thread.clone(), 1_usize..7)
            .prop_map(|(thread, stride)| Request::FreeMany { thread, stride }),
        8 => (thread.clone(), 0_usize..1_000)
            .prop_map(|(thread, block)| Request::Free { thread, block }),
        3 => (thread.clone(), 0_usize..64, size())
            .prop_map(|(thread, block, size)| Request::Resize { thread, block, size }),
        1 => thread.clone().prop_map(|thread| Request::Exit { thread }),
        1 => thread.prop_map(|thread| Request::Collect { thread }),
        1 => (1_u64..2_000).prop_map(|ms| Request::Wait { ms }),
        1 => any::<bool>().prop_map(Request::Exhaust),
    ];
    prop::collection::vec(request, 1..200)
}

/// A block that is out. Its ends hold a tag; writing all of a large one would take long.
#[derive(Clone, Copy, Debug)]
struct Live {
    start: NonNull<u8>,
    size: usize,
    align: usize,
    tag: u8,
    /// Whether it goes when the heap of one's own is destroyed.
    of_object: bool,
}

/// Bytes at each end that hold the tag.
const ENDS: usize = 64;

impl Live {
    fn ends(self) -> impl Iterator<Item = usize> {
        let last = self.size.saturating_sub(ENDS);
        (0..self.size.min(ENDS)).chain(last..self.size)
    }

    fn byte(self, offset: usize) -> NonNull<u8> {
        // SAFETY: within a block that is out.
        unsafe { self.start.add(offset) }
    }

    fn fill(self) {
        // SAFETY: as above.
        self.ends().for_each(|at| unsafe { self.byte(at).write(self.tag) });
    }

    fn holds(self, size: usize) -> bool {
        // SAFETY: as above.
        self.ends().filter(|at| *at < size).all(|at| unsafe { self.byte(at).read() } == self.tag)
    }
}

struct Run {
    world: &'static World,
    os: &'static Mock,
    threads: [Option<&'static Heap>; THREADS],
    object: Option<&'static Heap>,
    shadow: ShadowHeap,
    live: Vec<Live>,
    tag: u8,
}

impl Run {
    fn new() -> Self {
        let os: &'static Mock = Box::leak(Box::new(Mock::new()));
        let world: &'static World = Box::leak(Box::new(World::new(os)));
        world.set_options(Options::new().huge_pages(false));
        let (threads, shadow) = ([None; THREADS], ShadowHeap::default());
        Self { world, os, threads, object: None, shadow, live: Vec::new(), tag: 0 }
    }

    fn heap(&mut self, thread: usize) -> Option<&'static Heap> {
        if self.threads[thread].is_none() {
            self.threads[thread] = self.world.heap(Role::Thread);
        }
        self.threads[thread]
    }

    fn follow(&mut self, request: &Request) -> Result<(), TestCaseError> {
        match *request {
            Request::Allocate { thread, size, align } => self.allocate(thread, size, align)?,
            Request::Burst { thread, size, count } => {
                (0..count).try_for_each(|_| self.allocate(thread, size, 8))?;
            }
            Request::Free { thread, block } => self.free(thread, block)?,
            Request::FreeMany { thread, stride } => {
                let count = self.live.len() / 4 * 3;
                (0..count).try_for_each(|turn| self.free(thread, turn * stride))?;
            }
            Request::Resize { thread, block, size } => self.resize(thread, block, size)?,
            Request::Exit { thread } => {
                if let Some(heap) = self.threads[thread].take() {
                    heap.leave();
                }
            }
            Request::Collect { thread } => {
                if let Some(heap) = self.heap(thread) {
                    heap.collect();
                    self.world.collect();
                }
            }
            Request::AllocateInObject { size, align } => {
                if size <= SPAN_MAX * SLICE {
                    self.object = self.object.or_else(|| self.world.heap(Role::Object));
                    self.allocate_from(self.object, size, align)?;
                }
            }
            Request::EndObject { destroy } => self.end_object(destroy)?,
            Request::Wait { ms } => {
                self.os.now_ms.fetch_add(ms, SeqCst);
                self.world.pool.tick(self.world);
            }
            Request::Exhaust(now) => {
                self.os.maps_left.store(if now { 0 } else { usize::MAX }, SeqCst);
            }
        }
        Ok(())
    }

    fn may_fail(&self) -> bool {
        self.os.maps_left.load(SeqCst) == 0
    }

    fn allocate(&mut self, thread: usize, size: usize, align: usize) -> Result<(), TestCaseError> {
        let heap = self.heap(thread);
        self.allocate_from(heap, size, align)
    }

    fn allocate_from(
        &mut self,
        heap: Option<&'static Heap>,
        size: usize,
        align: usize,
    ) -> Result<(), TestCaseError> {
        let Some(heap) = heap else {
            prop_assert!(self.may_fail(), "no heap although there is memory");
            return Ok(());
        };
        let fresh = match heap.try_allocate(size, align) {
            Some(block) => crate::heap::Fresh { start: block.as_ptr(), zero: false },
            None => heap.allocate_slow(size, align),
        };
        let Some(start) = NonNull::new(fresh.start) else {
            prop_assert!(self.may_fail(), "no {size} bytes although there is memory");
            return Ok(());
        };
        self.tag = self.tag % 250 + 1;
        let of_object = self.object.is_some_and(|object| std::ptr::eq(object, heap));
        let live = Live { start, size, align, tag: self.tag, of_object };
        self.claim(live)?;
        if fresh.zero {
            prop_assert!(Live { tag: 0, ..live }.holds(size), "{live:?} is said to be zero");
        }
        live.fill();
        self.live.push(live);
        Ok(())
    }

    fn claim(&mut self, live: Live) -> Result<(), TestCaseError> {
        let address = live.start.addr().get();
        prop_assert!(address.is_multiple_of(live.align), "{live:?} is not aligned");
        let claimed = self.shadow.claim(address, live.size);
        prop_assert!(claimed.is_ok(), "{live:?}: {claimed:?}");
        Ok(())
    }

    fn take(&mut self, block: usize) -> Option<Live> {
        if self.live.is_empty() {
            return None;
        }
        let live = self.live.swap_remove(block % self.live.len());
        self.shadow.release(live.start.addr().get()).expect("it is out");
        Some(live)
    }

    fn free(&mut self, thread: usize, block: usize) -> Result<(), TestCaseError> {
        let Some(heap) = self.heap(thread) else { return Ok(()) };
        let Some(live) = self.take(block) else { return Ok(()) };
        prop_assert!(live.holds(live.size), "{live:?} was overwritten");
        // SAFETY: it is out, and nobody uses it any more.
        unsafe { heap.free(live.start) };
        Ok(())
    }

    fn resize(&mut self, thread: usize, block: usize, size: usize) -> Result<(), TestCaseError> {
        let Some(heap) = self.heap(thread) else { return Ok(()) };
        let Some(live) = self.take(block) else { return Ok(()) };
        // SAFETY: it is out, and has this size and alignment.
        let start = unsafe { heap.reallocate(live.start, live.size, live.align, size) };
        let Some(start) = NonNull::new(start) else {
            prop_assert!(self.may_fail(), "no {size} bytes although there is memory");
            self.claim(live)?;
            self.live.push(live);
            return Ok(());
        };
        // One that moves is of the heap of the thread from then on.
        let of_object = live.of_object && start == live.start;
        let new = Live { start, size, of_object, ..live };
        self.claim(new)?;
        let kept = Live { size: live.size, ..new };
        prop_assert!(kept.holds(size.min(live.size)), "{live:?} was lost on the way to {size}");
        new.fill();
        self.live.push(new);
        Ok(())
    }

    fn end_object(&mut self, destroy: bool) -> Result<(), TestCaseError> {
        let Some(object) = self.object.take() else { return Ok(()) };
        if destroy {
            for live in self.live.extract_if(.., |live| live.of_object) {
                prop_assert!(live.holds(live.size), "{live:?} was overwritten");
                self.shadow.release(live.start.addr().get()).expect("it is out");
            }
            object.forget_all();
        }
        self.live.iter_mut().for_each(|live| live.of_object = false);
        object.retire();
        Ok(())
    }

    /// Frees all, ends all threads, and looks at what is left.
    fn end(mut self) -> Result<(), TestCaseError> {
        self.os.maps_left.store(usize::MAX, SeqCst);
        self.end_object(false)?;
        while !self.live.is_empty() {
            self.free(0, 0)?;
        }
        for heap in self.threads.iter_mut().filter_map(Option::take) {
            heap.leave();
        }
        // A heap may have left before another sent it its last parcel.
        self.world.collect();
        self.world.pool.round(self.world, true);
        prop_assert_eq!(self.world.pool.used.load(SeqCst), 0, "slices are lost");
        prop_assert_eq!(self.world.pool.dirty.load(SeqCst), 0, "free memory was not given back");
        let all = SLICES - HEAD;
        let mut whole = true;
        self.world.pool.each_segment(|segment| {
            whole &= segment.clean.count(HEAD, all) == all && segment.free.count(HEAD, all) == all;
        });
        prop_assert!(whole, "slices are neither used nor free");
        Ok(())
    }
}

impl Drop for Run {
    /// Unmaps everything, also after a failure: a process has only so many addresses.
    fn drop(&mut self) {
        for live in &self.live {
            // SAFETY: segments are mapped until the line below.
            let slab = unsafe { slab_of(live.start.as_ptr()) };
            if slab.kind.get() == Kind::Huge {
                self.world.pool.give_huge(Segment::of_slab(slab).0);
            }
        }
        self.world.pool.release_all();
    }
}

fn run_all(requests: &[Request]) -> Result<(), TestCaseError> {
    let mut run = Run::new();
    requests.iter().try_for_each(|request| run.follow(request))?;
    run.end()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn heaps_match_the_model(requests in requests()) {
        run_all(&requests)?;
    }
}

/// A block that moved to a mapping of its own forgot its alignment there.
#[test]
fn a_block_that_moves_with_its_pages_keeps_its_alignment() {
    let thread = 0;
    run_all(&[
        Request::Allocate { thread, size: 20 << 20, align: 2 << 20 },
        Request::Allocate { thread, size: 20 << 20, align: 8 },
        Request::Resize { thread, block: 0, size: 36 << 20 },
    ])
    .expect("the oracle has no complaint");
}

/// A heap of one's own took over what a thread had left, and destroyed the blocks in it.
#[test]
fn the_blocks_of_others_outlive_a_heap_of_ones_own() {
    run_all(&[
        Request::Allocate { thread: 0, size: 100, align: 8 },
        Request::Exit { thread: 0 },
        Request::AllocateInObject { size: 100, align: 8 },
        Request::EndObject { destroy: true },
        Request::Free { thread: 1, block: 0 },
    ])
    .expect("the oracle has no complaint");
}

/// Each planted bug is found: by the oracle, or by an assertion on the way.
#[test]
fn planted_bugs_are_found() {
    for bug in [
        Bug::SlabTooLong,
        Bug::DirtyIsZero,
        Bug::LosesTheEnd,
        Bug::ForgetsParcels,
        Bug::KeepsGuests,
        Bug::GrowsOver,
        Bug::ForgetsPurged,
        Bug::StaysFull,
        Bug::ForgetsFull,
        Bug::DestroysStrangers,
    ] {
        let config =
            ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) };
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(
            ProptestConfig { max_shrink_iters: 0, ..config },
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        );
        let outcome = planted::with(bug, || {
            runner.run(&requests(), |requests| {
                let run = std::panic::AssertUnwindSafe(|| run_all(&requests));
                let outcome = std::panic::catch_unwind(run);
                outcome.unwrap_or_else(|_| Err(TestCaseError::fail("an assertion")))
            })
        });
        assert!(outcome.is_err(), "{bug:?} was not found");
    }
}
