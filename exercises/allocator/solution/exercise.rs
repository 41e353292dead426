//! The teaching solution: each stage as short as it can honestly be.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::Layout;
use std::array;
use std::cell::UnsafeCell;
use std::ptr::null_mut;

use harness::sync::atomic::{AtomicPtr, Ordering};
use harness::sync::{Mutex, hint};

use crate::{CHUNK, Heap, LARGE, List, System, THREADS, moved};

/// The heap that runs in the duel under the name `yours`.
pub type Yours = Owned;

/// Stage 1: a pointer that moves through a chunk, behind a lock.
#[derive(Debug)]
pub struct Bump(System, Mutex<Rest>);

/// What is left of a chunk.
#[derive(Debug)]
struct Rest {
    next: *mut u8,
    left: usize,
}

// SAFETY: it owns what it points to.
unsafe impl Send for Rest {}

impl Rest {
    const NONE: Self = Self { next: null_mut(), left: 0 };

    fn cut(&mut self, system: &System, size: usize, align: usize) -> *mut u8 {
        let mut skip = self.next.align_offset(align);
        if self.left < skip + size {
            let chunk = system.map(CHUNK, CHUNK);
            if chunk.is_null() {
                return chunk;
            }
            *self = Self { next: chunk, left: CHUNK };
            skip = 0;
        }
        let block = self.next.wrapping_add(skip);
        self.next = block.wrapping_add(size);
        self.left -= skip + size;
        block
    }
}

impl Heap for Bump {
    fn new(system: System) -> Self {
        Self(system, Mutex::new(Rest::NONE))
    }

    fn system(&self) -> &System {
        &self.0
    }

    unsafe fn alloc(&self, _me: usize, layout: Layout) -> *mut u8 {
        self.1.lock().expect("no holder panics").cut(&self.0, layout.size(), layout.align())
    }

    unsafe fn free(&self, _me: usize, _block: *mut u8, _layout: Layout) {}
}

/// What a free block of stage 2 has in it.
struct Node {
    next: *mut Node,
    size: usize,
}

/// Stage 2: what was freed is in a list that lies in the free blocks themselves.
#[derive(Debug)]
pub struct FreeList(System, Mutex<(Rest, *mut Node)>);

// SAFETY: the list is behind the lock, and its blocks are nobody else's.
unsafe impl Send for FreeList {}
// SAFETY: as above.
unsafe impl Sync for FreeList {}

/// Size and alignment of a block that has room for a node.
fn with_node(layout: Layout) -> (usize, usize) {
    let align = layout.align().max(align_of::<Node>());
    (layout.size().next_multiple_of(size_of::<Node>()), align)
}

impl Heap for FreeList {
    fn new(system: System) -> Self {
        Self(system, Mutex::new((Rest::NONE, null_mut())))
    }

    fn system(&self) -> &System {
        &self.0
    }

    unsafe fn alloc(&self, _me: usize, layout: Layout) -> *mut u8 {
        let (size, align) = with_node(layout);
        let mut state = self.1.lock().expect("no holder panics");
        let (rest, first) = &mut *state;
        let mut link: *mut *mut Node = first;
        // SAFETY: `link` is the head or in a free block, which we own as long as we hold the lock.
        while let Some(node) = unsafe { (*link).as_mut() } {
            if node.size == size && std::ptr::from_mut(node).addr().is_multiple_of(align) {
                // SAFETY: as above.
                unsafe { *link = node.next };
                return std::ptr::from_mut(node).cast();
            }
            link = &raw mut node.next;
        }
        rest.cut(&self.0, size, align)
    }

    unsafe fn free(&self, _me: usize, block: *mut u8, layout: Layout) {
        let mut state = self.1.lock().expect("no holder panics");
        let node = Node { next: state.1, size: with_node(layout).0 };
        // SAFETY: the block is ours again, with room for a node.
        unsafe { block.cast::<Node>().write(node) };
        state.1 = block.cast();
    }
}

/// The smallest block, and how many classes there are from it to the largest, by doubling.
const SMALLEST: usize = 16;
const CLASSES: usize = (LARGE / SMALLEST).ilog2() as usize + 1;

/// A block lies at a multiple of its size, so that a large alignment is but a large size.
fn class_of(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    (size / SMALLEST).ilog2() as usize
}

/// Stage 3: a list for each class of sizes, so that nobody searches.
#[derive(Debug)]
pub struct Classes(System, Mutex<[List; CLASSES]>);

impl Classes {
    fn take(&self, list: &mut List, class: usize) -> *mut u8 {
        if list.is_empty() {
            let chunk = self.0.map(CHUNK, CHUNK);
            if chunk.is_null() {
                return chunk;
            }
            // SAFETY: fresh memory.
            unsafe { list.cut(chunk, 0, SMALLEST << class) };
        }
        list.pop().expect("a chunk has blocks")
    }
}

impl Heap for Classes {
    fn new(system: System) -> Self {
        Self(system, Mutex::new([List::EMPTY; CLASSES]))
    }

    fn system(&self) -> &System {
        &self.0
    }

    unsafe fn alloc(&self, _me: usize, layout: Layout) -> *mut u8 {
        let class = class_of(layout);
        self.take(&mut self.1.lock().expect("no holder panics")[class], class)
    }

    unsafe fn free(&self, _me: usize, block: *mut u8, layout: Layout) {
        // SAFETY: the block is ours again, and no class is smaller than a pointer.
        unsafe { self.1.lock().expect("no holder panics")[class_of(layout)].push(block) };
    }
}

/// Blocks that go to a thread, or back, at once.
const BATCH: usize = 32;

/// Stage 4: each thread has some blocks of each class at hand, and seldom takes the lock.
#[derive(Debug)]
pub struct Cached(Classes, [UnsafeCell<[List; CLASSES]>; THREADS]);

// SAFETY: of the caches each is used by the thread of its number alone.
unsafe impl Sync for Cached {}

impl Heap for Cached {
    fn new(system: System) -> Self {
        Self(Classes::new(system), array::from_fn(|_| UnsafeCell::new([List::EMPTY; CLASSES])))
    }

    fn system(&self) -> &System {
        self.0.system()
    }

    unsafe fn alloc(&self, me: usize, layout: Layout) -> *mut u8 {
        let class = class_of(layout);
        // SAFETY: no other thread has our number.
        let own = unsafe { &mut (&mut *self.1[me].get())[class] };
        if let Some(block) = own.pop() {
            return block;
        }
        let shared = &mut self.0.1.lock().expect("no holder panics")[class];
        let block = self.0.take(shared, class);
        let more = array::from_fn::<_, BATCH, _>(|_| shared.pop());
        // SAFETY: blocks of the shared list, which are ours now.
        more.into_iter().flatten().for_each(|block| unsafe { own.push(block) });
        block
    }

    unsafe fn free(&self, me: usize, block: *mut u8, layout: Layout) {
        let class = class_of(layout);
        // SAFETY: no other thread has our number.
        let own = unsafe { &mut (&mut *self.1[me].get())[class] };
        // SAFETY: the block is ours again.
        unsafe { own.push(block) };
        if own.len() > 2 * BATCH {
            let shared = &mut self.0.1.lock().expect("no holder panics")[class];
            for block in (0..BATCH).map_while(|_| own.pop()) {
                // SAFETY: a block of our own list.
                unsafe { shared.push(block) };
            }
        }
    }
}

/// What a chunk of stage 5 begins with.
struct Chunk {
    owner: usize,
    class: usize,
    /// Blocks that are not in `free`.
    live: usize,
    free: List,
}

/// The part of the heap that one thread owns.
#[derive(Debug)]
struct Part {
    /// Of each class, the chunks that have free blocks.
    open: UnsafeCell<[Vec<*mut Chunk>; CLASSES]>,
    /// Blocks that others freed: each has the next one in its first word.
    sent: AtomicPtr<u8>,
}

/// Stages 5 to 7: each chunk has an owner, to whom others send its blocks.
#[derive(Debug)]
pub struct Owned {
    system: System,
    parts: [Part; THREADS],
    /// Chunks that nobody owns, as numbers that a pointer can be made of again.
    empty: Mutex<Vec<usize>>,
}

// SAFETY: of the parts each is used by the thread of its number alone, apart from `sent`.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

fn chunk_of(block: *mut u8) -> *mut Chunk {
    block.map_addr(|address| address & !(CHUNK - 1)).cast()
}

impl Owned {
    /// The caller has the number `me`, and no other reference of this kind.
    #[expect(clippy::mut_from_ref, reason = "the number of a thread is what makes it the only one")]
    unsafe fn open(&self, me: usize) -> &mut [Vec<*mut Chunk>; CLASSES] {
        // SAFETY: the contract of this function.
        unsafe { &mut *self.parts[me].open.get() }
    }

    /// Puts a block back into its chunk, which is the caller's.
    unsafe fn put_back(open: &mut [Vec<*mut Chunk>; CLASSES], block: *mut u8) {
        // SAFETY: the chunk is the caller's, and the block is free.
        let chunk = unsafe { &mut *chunk_of(block) };
        if chunk.free.is_empty() {
            open[chunk.class].push(chunk);
        }
        chunk.live -= 1;
        // SAFETY: as above.
        unsafe { chunk.free.push(block) };
    }

    fn take_in(&self, me: usize, open: &mut [Vec<*mut Chunk>; CLASSES]) {
        // Acquire: pairs with the Release in `send`; behind it we see the links.
        let mut block = self.parts[me].sent.swap(null_mut(), Ordering::Acquire);
        while !block.is_null() {
            // SAFETY: what was sent to us is free, of our chunks, and has the next one in it.
            let next = unsafe { block.cast::<*mut u8>().read() };
            // SAFETY: as above.
            unsafe { Self::put_back(open, block) };
            block = next;
        }
    }

    fn send(&self, owner: usize, block: *mut u8) {
        let sent = &self.parts[owner].sent;
        // Relaxed: only compared.
        let mut first = sent.load(Ordering::Relaxed);
        loop {
            // SAFETY: the block is free, and ours until it is sent.
            unsafe { block.cast::<*mut u8>().write(first) };
            // Release: publishes the link. Relaxed: only compared.
            match sent.compare_exchange(first, block, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => first = found,
            }
            hint::spin_loop();
        }
    }

    fn new_chunk(&self, me: usize, class: usize) -> *mut Chunk {
        let empty = self.empty.lock().expect("no holder panics").pop();
        let chunk = empty
            .map_or_else(|| self.system.map(CHUNK, CHUNK), std::ptr::with_exposed_provenance_mut);
        if !chunk.is_null() {
            let size = SMALLEST << class;
            let mut free = List::EMPTY;
            // SAFETY: fresh memory, or discarded.
            unsafe { free.cut(chunk, size.max(size_of::<Chunk>().next_power_of_two()), size) };
            // SAFETY: fresh memory, before its first block.
            unsafe { chunk.cast::<Chunk>().write(Chunk { owner: me, class, live: 0, free }) };
        }
        chunk.cast()
    }
}

impl Heap for Owned {
    fn new(system: System) -> Self {
        let part = |_| Part { open: UnsafeCell::default(), sent: AtomicPtr::new(null_mut()) };
        Self { system, parts: array::from_fn(part), empty: Mutex::default() }
    }

    fn system(&self) -> &System {
        &self.system
    }

    unsafe fn alloc(&self, me: usize, layout: Layout) -> *mut u8 {
        let class = class_of(layout);
        // SAFETY: `me` is our number.
        let open = unsafe { self.open(me) };
        if open[class].is_empty() {
            self.take_in(me, open);
        }
        if open[class].is_empty() {
            let chunk = self.new_chunk(me, class);
            if chunk.is_null() {
                return null_mut();
            }
            open[class].push(chunk);
        }
        let last = open[class].last().expect("there is one now");
        // SAFETY: a chunk of ours.
        let chunk = unsafe { &mut **last };
        let block = chunk.free.pop().expect("an open chunk has free blocks");
        chunk.live += 1;
        if chunk.free.is_empty() {
            open[class].pop();
        }
        block
    }

    unsafe fn free(&self, me: usize, block: *mut u8, layout: Layout) {
        // SAFETY: a chunk with a live block keeps its owner, and this is written before the block
        // was handed out. No reference: the rest of the head is its owner's.
        let owner = unsafe { (&raw const (*chunk_of(block)).owner).read() };
        if owner == me {
            // SAFETY: the chunk is ours, and so is the block again.
            unsafe { Self::put_back(self.open(me), block) };
        } else {
            self.send(owner, block);
        }
    }

    unsafe fn purge(&self, me: usize) {
        // SAFETY: `me` is our number.
        let open = unsafe { self.open(me) };
        self.take_in(me, open);
        for chunks in open {
            // SAFETY: chunks of ours.
            for chunk in chunks.extract_if(.., |chunk| unsafe { (**chunk).live == 0 }) {
                // SAFETY: all of its blocks are free, and in no list but its own.
                unsafe { self.system.discard(chunk.cast(), CHUNK) };
                self.empty.lock().expect("no holder panics").push(chunk.expose_provenance());
            }
        }
    }

    unsafe fn resize(&self, me: usize, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that this is a layout.
        let other = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class_of(other) == class_of(layout) {
            return block;
        }
        // SAFETY: the contract is the same.
        unsafe { moved(self, me, block, layout, size) }
    }
}
