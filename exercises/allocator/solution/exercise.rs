//! The teaching solution: each stage as short as it can honestly be.

use std::alloc::Layout;
use std::mem;

use harness::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use harness::sync::{Mutex, MutexGuard};

use crate::Heap;
use crate::scaffold::{Address, Arena, NONE, Runs, SPAN, WORD, moved};

/// The allocator that runs in the duel under the name `yours`.
pub type Yours = Owned;

/// Stage 1: a place that moves on with each block.
#[derive(Debug)]
pub struct Bump {
    arena: Arena,
    next: AtomicUsize,
}

impl Bump {
    /// Where a block begins and ends that is made at a place.
    fn place(&self, next: Address, layout: Layout) -> Option<(Address, Address)> {
        let start = next.next_multiple_of(layout.align());
        let end = start.checked_add(layout.size())?;
        (end <= self.arena.len()).then_some((start, end))
    }
}

impl Heap for Bump {
    type Cache = ();

    fn new(arena: Arena) -> Self {
        Self { arena, next: AtomicUsize::new(0) }
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }

    fn allocate(&self, (): &mut (), layout: Layout) -> Option<Address> {
        let end = |next| self.place(next, layout).map(|(_, end)| end);
        // Relaxed, twice: the number is all that threads share here.
        let next = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end).ok()?;
        self.place(next, layout).map(|(start, _)| start)
    }

    fn free(&self, (): &mut (), _block: Address, _layout: Layout) {}
}

/// Sizes and places of stages 2 to 7 are multiples of it: room for two words.
const GRANULE: usize = 2 * WORD;

/// The first granule: a piece of no size that leads to the first free one.
const HEAD: Address = 0;

/// Stage 2: one list of free pieces in the order of their addresses. A piece begins with its size
/// and the address of the next one.
#[derive(Debug)]
pub struct FreeList {
    arena: Arena,
    lock: Mutex<()>,
}

impl FreeList {
    fn size(&self, piece: Address) -> usize {
        self.arena.word(piece)
    }

    fn next(&self, piece: Address) -> Address {
        self.arena.word(piece + WORD)
    }

    fn link(&self, piece: Address, next: Address) {
        self.arena.set_word(piece + WORD, next);
    }

    fn write(&self, piece: Address, size: usize, next: Address) {
        self.arena.set_word(piece, size);
        self.link(piece, next);
    }
}

impl Heap for FreeList {
    type Cache = ();

    fn new(arena: Arena) -> Self {
        let list = Self { arena, lock: Mutex::new(()) };
        list.write(HEAD, 0, GRANULE);
        list.write(GRANULE, list.arena.len() - GRANULE, NONE);
        list
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }

    fn allocate(&self, (): &mut (), layout: Layout) -> Option<Address> {
        let size = layout.size().next_multiple_of(GRANULE);
        let align = layout.align().max(GRANULE);
        let _list = self.lock.lock().expect("no holder panics");
        let mut before = HEAD;
        loop {
            let piece = self.next(before);
            if piece == NONE {
                return None;
            }
            let (end, mut next) = (piece + self.size(piece), self.next(piece));
            let start = piece.next_multiple_of(align);
            if start + size > end {
                before = piece;
                continue;
            }
            // What is left behind the block stays in the list, and what is left before it.
            if start + size < end {
                self.write(start + size, end - start - size, next);
                next = start + size;
            }
            if piece < start {
                self.write(piece, start - piece, next);
            } else {
                self.link(before, next);
            }
            return Some(start);
        }
    }

    fn free(&self, (): &mut (), block: Address, layout: Layout) {
        let mut size = layout.size().next_multiple_of(GRANULE);
        let _list = self.lock.lock().expect("no holder panics");
        let mut before = HEAD;
        while self.next(before) < block {
            before = self.next(before);
        }
        let mut next = self.next(before);
        if block + size == next {
            size += self.size(next);
            next = self.next(next);
        }
        if before + self.size(before) == block {
            self.write(before, self.size(before) + size, next);
        } else {
            self.write(block, size, next);
            self.link(before, block);
        }
    }
}

/// Size classes: the powers of two from a granule to half a span.
const CLASSES: usize = ((SPAN / 2).ilog2() - GRANULE.ilog2()) as usize + 1;

/// The class of a block; `None` where it gets spans of its own. The blocks of a class lie at
/// multiples of their size, so that one that is large enough is also aligned.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(GRANULE).next_power_of_two();
    (size <= SPAN / 2).then(|| (size.ilog2() - GRANULE.ilog2()) as usize)
}

/// The blocks of a span.
fn blocks(span: usize, class: usize) -> impl Iterator<Item = Address> {
    (span * SPAN..(span + 1) * SPAN).step_by(GRANULE << class)
}

/// How many spans a large block has, and which of them may be its first.
fn spans_of(layout: Layout) -> (usize, usize) {
    (layout.size().div_ceil(SPAN), layout.align().div_ceil(SPAN))
}

/// Free blocks: the first one. Each leads to the next.
#[derive(Debug)]
struct List(Address);

impl List {
    fn push(&mut self, arena: &Arena, block: Address) {
        arena.set_word(block, self.0);
        self.0 = block;
    }

    fn pop(&mut self, arena: &Arena) -> Option<Address> {
        if self.0 == NONE {
            return None;
        }
        let next = arena.word(self.0);
        Some(mem::replace(&mut self.0, next))
    }
}

/// Stage 3: a list for each size, and spans for what is large.
#[derive(Debug)]
pub struct Classes {
    arena: Arena,
    lists: [Mutex<List>; CLASSES],
    runs: Mutex<Runs>,
}

impl Classes {
    fn pop(&self, class: usize, list: &mut List) -> Option<Address> {
        if list.0 == NONE {
            let span = self.runs.lock().expect("no holder panics").take(1, 1)?;
            blocks(span, class).for_each(|block| list.push(&self.arena, block));
        }
        list.pop(&self.arena)
    }

    fn list(&self, class: usize) -> MutexGuard<'_, List> {
        self.lists[class].lock().expect("no holder panics")
    }
}

impl Heap for Classes {
    type Cache = ();

    fn new(arena: Arena) -> Self {
        let runs = Mutex::new(Runs::new(arena.spans()));
        Self { arena, lists: std::array::from_fn(|_| Mutex::new(List(NONE))), runs }
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }

    fn allocate(&self, (): &mut (), layout: Layout) -> Option<Address> {
        if let Some(class) = class_of(layout) {
            return self.pop(class, &mut self.list(class));
        }
        let (count, align) = spans_of(layout);
        let first = self.runs.lock().expect("no holder panics").take(count, align)?;
        Some(first * SPAN)
    }

    fn free(&self, (): &mut (), block: Address, layout: Layout) {
        if let Some(class) = class_of(layout) {
            return self.list(class).push(&self.arena, block);
        }
        self.runs.lock().expect("no holder panics").give(block / SPAN, spans_of(layout).0);
    }
}

/// Half of what a magazine holds: what goes to and from the lists under one lock.
const HALF: usize = if cfg!(shuttle) { 2 } else { 32 };

/// Stage 4: what a thread keeps of each class, so that it seldom takes a lock.
#[derive(Debug, Default)]
pub struct Magazines([Vec<Address>; CLASSES]);

/// Stage 4: the same behind a cache for each thread.
#[derive(Debug)]
pub struct Cached(Classes);

impl Cached {
    fn give(&self, class: usize, blocks: impl Iterator<Item = Address>) {
        let mut list = self.0.list(class);
        blocks.for_each(|block| list.push(&self.0.arena, block));
    }
}

impl Heap for Cached {
    type Cache = Magazines;

    fn new(arena: Arena) -> Self {
        Self(Classes::new(arena))
    }

    fn arena(&self) -> &Arena {
        &self.0.arena
    }

    fn allocate(&self, magazines: &mut Magazines, layout: Layout) -> Option<Address> {
        let Some(class) = class_of(layout) else { return self.0.allocate(&mut (), layout) };
        let magazine = &mut magazines.0[class];
        if magazine.is_empty() {
            let mut list = self.0.list(class);
            magazine.extend((0..HALF).map_while(|_| self.0.pop(class, &mut list)));
        }
        magazine.pop()
    }

    fn free(&self, magazines: &mut Magazines, block: Address, layout: Layout) {
        let Some(class) = class_of(layout) else { return self.0.free(&mut (), block, layout) };
        let magazine = &mut magazines.0[class];
        magazine.push(block);
        if magazine.len() == 2 * HALF {
            self.give(class, magazine.drain(..HALF));
        }
    }

    fn leave(&self, magazines: Magazines) {
        for (class, magazine) in magazines.0.into_iter().enumerate() {
            self.give(class, magazine.into_iter());
        }
    }
}

/// What is known of a span with small blocks. All but the owner and the class is the owner's.
#[derive(Debug, Default)]
struct Span {
    owner: AtomicUsize,
    class: AtomicUsize,
    /// The first free block.
    free: AtomicUsize,
    /// Blocks that are not free; those in the mailbox are not.
    used: AtomicUsize,
    /// Whether it is among the spans that its owner looks at for a free block.
    is_open: AtomicBool,
}

/// How long a span has been free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// It reads as zero, and has no memory.
    Clean,
    /// Since the last tick.
    Restless,
    /// Since a tick before.
    Resting,
}

/// Spans that nobody owns.
#[derive(Debug)]
struct Pool {
    runs: Runs,
    ages: Box<[Age]>,
}

impl Pool {
    /// Spans in a row, and whether they read as zero.
    fn take(&mut self, count: usize, align: usize) -> Option<(usize, bool)> {
        let first = self.runs.take(count, align)?;
        Some((first, self.ages[first..first + count].iter().all(|age| *age == Age::Clean)))
    }

    fn give(&mut self, first: usize, count: usize) {
        self.runs.give(first, count);
        self.ages[first..first + count].fill(Age::Restless);
    }
}

/// Stages 5 to 7: what a thread owns, until another one adopts it.
#[derive(Debug, Default)]
pub struct Local {
    /// The number of its mailbox; none before its first small block.
    number: Option<usize>,
    /// For each class, spans that may have a free block.
    open: [Vec<usize>; CLASSES],
}

/// How many threads may be there at once.
const OWNERS: usize = if cfg!(shuttle) { 4 } else { 4_096 };

/// Stages 5 to 7: each span has an owner, who alone hands out its blocks.
#[derive(Debug)]
pub struct Owned {
    arena: Arena,
    spans: Box<[Span]>,
    pool: Mutex<Pool>,
    /// For each owner, the last block that others have freed; each leads to the one before.
    mailboxes: Box<[AtomicUsize]>,
    /// What ended threads have left.
    orphans: Mutex<Vec<Local>>,
    numbers: AtomicUsize,
}

impl Owned {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().expect("no holder panics")
    }

    /// Something that an ended thread has left, or a new number.
    fn adopt(&self) -> Option<Local> {
        let orphan = self.orphans.lock().expect("no holder panics").pop();
        orphan.or_else(|| {
            // Relaxed: each number is given once, and that is all.
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            (number < OWNERS).then(|| Local { number: Some(number), ..Local::default() })
        })
    }

    /// A free block of our spans. Relaxed, here and in `take_back`: they are ours.
    fn pop(&self, open: &mut Vec<usize>) -> Option<Address> {
        while let Some(&index) = open.last() {
            let span = &self.spans[index];
            let block = span.free.load(Ordering::Relaxed);
            if block != NONE {
                span.free.store(self.arena.word(block), Ordering::Relaxed);
                span.used.store(span.used.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                return Some(block);
            }
            span.is_open.store(false, Ordering::Relaxed);
            open.pop();
        }
        None
    }

    /// Takes a block of our own back, and gives its span away if that was the last one in use.
    fn take_back(&self, local: &mut Local, block: Address) {
        let index = block / SPAN;
        let span = &self.spans[index];
        self.arena.set_word(block, span.free.load(Ordering::Relaxed));
        span.free.store(block, Ordering::Relaxed);
        let used = span.used.load(Ordering::Relaxed) - 1;
        span.used.store(used, Ordering::Relaxed);
        let open = &mut local.open[span.class.load(Ordering::Relaxed)];
        if !span.is_open.swap(true, Ordering::Relaxed) {
            open.push(index);
        }
        // One is kept, or a block that comes and goes would take a span each time.
        if used == 0 && open.len() > 1 {
            open.retain(|it| *it != index);
            self.pool().give(index, 1);
        }
    }

    /// Puts a block into the mailbox of its owner.
    fn post(&self, owner: usize, block: Address) {
        let mailbox = &self.mailboxes[owner];
        // Relaxed: the exchange says whether it is still so.
        let mut last = mailbox.load(Ordering::Relaxed);
        loop {
            self.arena.set_word(block, last);
            // Release: the owner sees the link, and nothing of what the user did comes later.
            let posted =
                mailbox.compare_exchange(last, block, Ordering::Release, Ordering::Relaxed);
            let Err(newer) = posted else { return };
            last = newer;
            harness::sync::hint::spin_loop();
        }
    }

    /// Takes back all that has come by post.
    fn collect(&self, local: &mut Local, number: usize) {
        // Acquire: pairs with the Release in `post`.
        let mut block = self.mailboxes[number].swap(NONE, Ordering::Acquire);
        while block != NONE {
            let before = self.arena.word(block);
            self.take_back(local, block);
            block = before;
        }
    }

    fn small(&self, local: &mut Local, class: usize) -> Option<Address> {
        if local.number.is_none() {
            *local = self.adopt()?;
        }
        if let Some(block) = self.pop(&mut local.open[class]) {
            return Some(block);
        }
        let number = local.number?;
        self.collect(local, number);
        let open = &mut local.open[class];
        if open.is_empty() {
            let index = self.pool().take(1, 1)?.0;
            let mut list = List(NONE);
            blocks(index, class).for_each(|block| list.push(&self.arena, block));
            let span = &self.spans[index];
            // Relaxed, all: who gets a block of it has seen this before the block.
            span.owner.store(number, Ordering::Relaxed);
            span.class.store(class, Ordering::Relaxed);
            span.free.store(list.0, Ordering::Relaxed);
            span.used.store(0, Ordering::Relaxed);
            span.is_open.store(true, Ordering::Relaxed);
            open.push(index);
        }
        self.pop(open)
    }

    /// A large block, and whether it reads as zero.
    fn large(&self, layout: Layout) -> Option<(Address, bool)> {
        let (count, align) = spans_of(layout);
        self.pool().take(count, align).map(|(first, is_zero)| (first * SPAN, is_zero))
    }
}

impl Heap for Owned {
    type Cache = Local;

    fn new(arena: Arena) -> Self {
        let spans = arena.spans();
        let pool = Pool { runs: Runs::new(spans), ages: vec![Age::Clean; spans].into() };
        Self {
            arena,
            spans: (0..spans).map(|_| Span::default()).collect(),
            pool: Mutex::new(pool),
            mailboxes: (0..OWNERS).map(|_| AtomicUsize::new(NONE)).collect(),
            orphans: Mutex::new(Vec::new()),
            numbers: AtomicUsize::new(0),
        }
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }

    fn allocate(&self, local: &mut Local, layout: Layout) -> Option<Address> {
        match class_of(layout) {
            Some(class) => self.small(local, class),
            None => self.large(layout).map(|(block, _)| block),
        }
    }

    fn allocate_zeroed(&self, local: &mut Local, layout: Layout) -> Option<Address> {
        let (block, is_zero) = match class_of(layout) {
            Some(class) => (self.small(local, class)?, false),
            None => self.large(layout)?,
        };
        if !is_zero {
            self.arena.zero(block, layout.size());
        }
        Some(block)
    }

    fn free(&self, local: &mut Local, block: Address, layout: Layout) {
        if class_of(layout).is_none() {
            return self.pool().give(block / SPAN, spans_of(layout).0);
        }
        // Relaxed: whoever handed us the block has seen its owner.
        let owner = self.spans[block / SPAN].owner.load(Ordering::Relaxed);
        if local.number == Some(owner) {
            self.take_back(local, block);
        } else {
            self.post(owner, block);
        }
    }

    fn resize(
        &self,
        local: &mut Local,
        block: Address,
        layout: Layout,
        size: usize,
    ) -> Option<Address> {
        let target = Layout::from_size_align(size, layout.align()).ok()?;
        let (old, new) = (spans_of(layout).0, spans_of(target).0);
        let first = block / SPAN;
        let stays = match (class_of(layout), class_of(target)) {
            (Some(class), other) => other == Some(class),
            (None, Some(_)) => false,
            (None, None) if new <= old => {
                self.pool().give(first + new, old - new);
                true
            }
            (None, None) => self.pool().runs.take_at(first + old, new - old),
        };
        if stays { Some(block) } else { moved(self, local, block, layout, size) }
    }

    fn leave(&self, mut local: Local) {
        if let Some(number) = local.number {
            self.collect(&mut local, number);
            self.orphans.lock().expect("no holder panics").push(local);
        }
    }

    fn tick(&self) {
        let mut pool = self.pool();
        let Pool { runs, ages } = &mut *pool;
        for span in runs.free() {
            ages[span] = match ages[span] {
                Age::Restless => Age::Resting,
                Age::Resting => {
                    self.arena.purge(span, 1);
                    Age::Clean
                }
                Age::Clean => Age::Clean,
            };
        }
    }
}
