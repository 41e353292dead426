//! Heaps that are left and taken over under every schedule that an explorer can think of, and
//! bugs planted in their code, each of which must be found.
//!
//! These are the heaps that programs run on, with slabs, lists, a pool and real memory; only the
//! system below gives the same addresses to each run. A run is judged by what it handed out: no
//! block twice, none written over, and nothing lost once all is free.

#![expect(unsafe_code, reason = "heaps are called as threads would call them")]

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use harness::check::schedule::explore;
#[cfg(any(loom, shuttle))]
use harness::check::schedule::find_failure;
use harness::sync::thread;

use crate::heap::{Heap, Role};
use crate::options::Options;
use crate::os::{Linux, Os};
#[cfg(any(loom, shuttle))]
use crate::planted::{self, Bug};
use crate::segment::{HEAD, SEGMENT, SLICES};
use crate::size_class::LARGEST;
use crate::world::World;

/// Schedules in which a planted bug must be found.
#[cfg(any(loom, shuttle))]
const TRIES: u64 = 2_000;

/// A block of which eight make a slab, so that each parcel has one.
const LARGE: usize = LARGEST;
/// One that is collected in parcels, and used again by whoever freed it.
const SMALL: usize = 1024;

/// Room for the heaps of a run, and one segment, which are wiped for the next run.
#[derive(Debug)]
struct Ground {
    room: usize,
    segment: usize,
}

impl Ground {
    fn new() -> &'static Self {
        let room = Linux.map(0, SEGMENT).expose_provenance();
        let all = Linux.map(0, 2 * SEGMENT).expose_provenance();
        Box::leak(Box::new(Self { room, segment: all.next_multiple_of(SEGMENT) }))
    }

    /// A world without heaps.
    fn world(&'static self) -> &'static World {
        for start in [self.room, self.segment] {
            let start = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: runs come one after another, and the one before has ended.
            assert!(unsafe { Linux.purge(start, SEGMENT) }, "the system refuses");
        }
        let world: &'static World = Box::leak(Box::new(World::new(self)));
        world.set_options(Options::new().huge_pages(false));
        world
    }
}

impl Os for Ground {
    fn map(&self, _: usize, size: usize) -> *mut u8 {
        let start = if size == SEGMENT { self.segment } else { self.room };
        std::ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn unmap(&self, _: *mut u8, _: usize) {
        unreachable!("a segment is aligned");
    }

    unsafe fn purge(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    unsafe fn relocate(&self, _: *mut u8, _: usize, _: *mut u8) -> bool {
        false
    }

    fn advise_huge(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn is_touched(&self, _: *mut u8) -> bool {
        false
    }

    fn now_ms(&self) -> u64 {
        0
    }

    fn processor(&self) -> u32 {
        0
    }
}

/// A world, and the blocks of it that are out, each with its size.
#[derive(Clone)]
struct Scene {
    world: &'static World,
    out: Arc<Mutex<BTreeMap<usize, usize>>>,
}

impl Scene {
    fn new(ground: &'static Ground) -> Self {
        Self { world: ground.world(), out: Arc::default() }
    }

    /// What a thread begins with.
    fn heap(&self) -> &'static Heap {
        self.world.heap(Role::Thread).expect("there is memory")
    }

    fn out<R>(&self, act: impl FnOnce(&mut BTreeMap<usize, usize>) -> R) -> R {
        act(&mut self.out.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn make(&self, heap: &'static Heap, size: usize) -> usize {
        let start = heap.allocate(size, 8).expose_provenance();
        assert!(start != 0, "no {size} bytes although there is memory");
        let before = self.out(|out| out.insert(start, size));
        assert_eq!(before, None, "the block at {start:#x} is out already");
        // SAFETY: it is ours, and longer than a word.
        unsafe { std::ptr::with_exposed_provenance_mut::<usize>(start).write(!start) };
        start
    }

    fn free(&self, heap: &'static Heap, start: usize) {
        assert!(self.out(|out| out.remove(&start)).is_some(), "a mistake of the test");
        let block = std::ptr::with_exposed_provenance_mut::<usize>(start);
        // SAFETY: it is out until the next line.
        assert_eq!(unsafe { block.read() }, !start, "the block at {start:#x} is written over");
        let block = NonNull::new(block.cast()).expect("a block");
        // SAFETY: it is out, and nobody else frees it.
        unsafe { heap.free(block) };
    }

    /// Frees what is out, ends, and looks at what is left.
    fn end(&self) {
        let heap = self.heap();
        while let Some(start) = self.out(|out| out.keys().next().copied()) {
            self.free(heap, start);
        }
        heap.leave();
        self.world.collect();
        let used = self.world.pool.used.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(used, 0, "slices are lost");
        self.world.pool.each_segment(|segment| {
            let owned = (HEAD..SLICES).filter(|it| segment.slab(*it).owner() != 0).count();
            assert_eq!(owned, 0, "slices that are not used have an owner");
        });
    }
}

/// A thread ends while two others free blocks of its slab that is full, and need blocks themselves:
/// each may take the slab over, find that the other has, or post to whoever has it.
fn a_full_slab_is_left(ground: &'static Ground) {
    let scene = Scene::new(ground);
    let heap = scene.heap();
    let blocks: Vec<usize> = (0..9).map(|_| scene.make(heap, LARGE)).collect();
    let threads = [(scene.heap(), blocks[0]), (scene.heap(), blocks[1])].map(|(heap, block)| {
        let scene = scene.clone();
        thread::spawn(move || {
            scene.free(heap, block);
            scene.make(heap, LARGE);
            heap.leave();
        })
    });
    heap.leave();
    for thread in threads {
        thread.join().expect("nobody panics");
    }
    scene.end();
}

/// A thread has ended whose slab has free blocks. One begins, which may take its heap, and one
/// needs a block, and may take its slab.
fn a_slab_with_room_was_left(ground: &'static Ground) {
    let scene = Scene::new(ground);
    // The heap that was made last is the first that one who begins looks at.
    let (needy, heap) = (scene.heap(), scene.heap());
    let block = scene.make(heap, LARGE);
    heap.leave();
    let needing = {
        let scene = scene.clone();
        thread::spawn(move || {
            scene.make(needy, LARGE);
            scene.free(needy, block);
            needy.leave();
        })
    };
    let beginning = {
        let scene = scene.clone();
        thread::spawn(move || {
            let heap = scene.heap();
            scene.make(heap, LARGE);
            heap.leave();
        })
    };
    for thread in [needing, beginning] {
        thread.join().expect("nobody panics");
    }
    scene.end();
}

/// Two threads have blocks of each other and use them again, and both end.
fn guests_are_left(ground: &'static Ground) {
    let scene = Scene::new(ground);
    let heaps = [scene.heap(), scene.heap()];
    let blocks = heaps.map(|heap| (0..16).map(|_| scene.make(heap, SMALL)).collect::<Vec<_>>());
    let [first, second] = blocks;
    let threads = [(heaps[0], second), (heaps[1], first)].map(|(heap, blocks)| {
        let scene = scene.clone();
        thread::spawn(move || {
            for block in blocks {
                scene.free(heap, block);
            }
            scene.make(heap, SMALL);
            heap.leave();
        })
    });
    for thread in threads {
        thread.join().expect("nobody panics");
    }
    scene.end();
}

#[test]
fn schedules_of_a_full_slab() {
    let ground = Ground::new();
    explore("schedules::schedules_of_a_full_slab", move || a_full_slab_is_left(ground));
}

#[test]
fn schedules_of_a_slab_with_room() {
    let ground = Ground::new();
    explore("schedules::schedules_of_a_slab_with_room", move || a_slab_with_room_was_left(ground));
}

#[test]
fn schedules_of_guests() {
    let ground = Ground::new();
    explore("schedules::schedules_of_guests", move || guests_are_left(ground));
}

/// Real threads need luck, so that the planted bugs are for the explorers.
#[cfg(any(loom, shuttle))]
#[test]
fn schedules_find_planted_bugs() {
    let ground = Ground::new();
    for bug in [
        Bug::ForgetsParcels,
        Bug::KeepsGuests,
        Bug::ForgetsFull,
        Bug::KeepsStrangers,
        Bug::ClaimsNothing,
        Bug::HandsBackEarly,
        Bug::AdoptsBlindly,
        // Of a word, loom remembers but the last access, and so does not come to this one.
        #[cfg(shuttle)]
        Bug::StaysOnList,
    ] {
        let found = planted::with(bug, || {
            [a_full_slab_is_left, a_slab_with_room_was_left, guests_are_left]
                .into_iter()
                .find_map(|run| find_failure(TRIES, move || run(ground)))
        });
        assert!(found.is_some(), "{bug:?} was not found");
    }
}
