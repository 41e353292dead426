//! The teaching solution: each stage as short as it can honestly be.

use std::alloc::Layout;

use harness::sync::atomic::{AtomicUsize, Ordering};
use harness::sync::{Mutex, MutexGuard};

use crate::Heap;
use crate::scaffold::{
    Address, Age, Arena, GRANULE, List, NONE, Runs, SPAN, Span, moved, spans_of,
};

/// The allocator that runs in the duel under the name `yours`.
pub type Yours = Owned;

/// Stage 1: a place that moves on with each block.
#[derive(Debug)]
pub struct Bump {
    arena: Arena,
    next: AtomicUsize,
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
        let start = |next: Address| next.next_multiple_of(layout.align());
        let fits = |end: &Address| *end <= self.arena.len();
        let end = |next| start(next).checked_add(layout.size()).filter(fits);
        // Relaxed, twice: the number is all that threads share here.
        let next = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end).ok()?;
        Some(start(next))
    }

    fn free(&self, (): &mut (), _block: Address, _layout: Layout) {}
}

/// The first granule: a piece of no size that leads to the first free one.
const HEAD: Address = 0;

/// Stage 2: one list of free pieces in the order of their addresses. A piece begins with its size
/// and the address of the next one.
#[derive(Debug)]
pub struct FreeList {
    arena: Arena,
    lock: Mutex<()>,
}

impl Heap for FreeList {
    type Cache = ();

    fn new(arena: Arena) -> Self {
        let list = Self { arena, lock: Mutex::new(()) };
        list.arena.set_pair(HEAD, 0, GRANULE);
        list.arena.set_pair(GRANULE, list.arena.len() - GRANULE, NONE);
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
            let (size_before, piece) = self.arena.pair(before);
            if piece == NONE {
                return None;
            }
            let (room, mut next) = self.arena.pair(piece);
            let (start, end) = (piece.next_multiple_of(align), piece + room);
            if start + size > end {
                before = piece;
                continue;
            }
            // What is left behind the block stays in the list, and what is left before it.
            if start + size < end {
                self.arena.set_pair(start + size, end - start - size, next);
                next = start + size;
            }
            if piece < start {
                self.arena.set_pair(piece, start - piece, next);
            } else {
                self.arena.set_pair(before, size_before, next);
            }
            return Some(start);
        }
    }

    fn free(&self, (): &mut (), block: Address, layout: Layout) {
        let mut size = layout.size().next_multiple_of(GRANULE);
        let _list = self.lock.lock().expect("no holder panics");
        let mut before = HEAD;
        let (mut size_before, mut next) = self.arena.pair(before);
        while next < block {
            before = next;
            (size_before, next) = self.arena.pair(before);
        }
        if block + size == next {
            let (more, behind) = self.arena.pair(next);
            (size, next) = (size + more, behind);
        }
        if before + size_before == block {
            self.arena.set_pair(before, size_before + size, next);
        } else {
            self.arena.set_pair(block, size, next);
            self.arena.set_pair(before, size_before, block);
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

/// Stage 3: a list for each size, and spans for what is large.
#[derive(Debug)]
pub struct Classes {
    arena: Arena,
    lists: [Mutex<List>; CLASSES],
    runs: Mutex<Runs>,
}

impl Classes {
    fn pop(&self, class: usize, list: &mut List) -> Option<Address> {
        if list.is_empty() {
            let span = self.runs.lock().expect("no holder panics").take(1, 1)?;
            *list = List::of_span(&self.arena, span, GRANULE << class);
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
        Self { arena, lists: std::array::from_fn(|_| Mutex::new(List::EMPTY)), runs }
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
    /// For each class, the spans that have a free block.
    open: [Vec<usize>; CLASSES],
}

/// How many threads may be there at once.
const OWNERS: usize = if cfg!(shuttle) { 4 } else { 1_024 };

/// Stages 5 to 7: each span has an owner, who alone hands out its blocks.
#[derive(Debug)]
pub struct Owned {
    arena: Arena,
    spans: Box<[Span]>,
    pool: Mutex<Pool>,
    /// For each owner, the last block that others have freed; each leads to the one before.
    mailboxes: Box<[AtomicUsize]>,
    /// What ended threads have left, and below that what no thread has had yet.
    orphans: Mutex<Vec<Local>>,
}

impl Owned {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().expect("no holder panics")
    }

    /// A free block of our spans.
    fn pop(&self, open: &mut Vec<usize>) -> Option<Address> {
        let span = &self.spans[*open.last()?];
        let block = span.pop(&self.arena);
        if span.is_full() {
            open.pop();
        }
        block
    }

    /// Takes a block of our own back, and gives its span away if that was the last one in use.
    fn take_back(&self, local: &mut Local, block: Address) {
        let index = block / SPAN;
        let span = &self.spans[index];
        let open = &mut local.open[span.class()];
        if span.is_full() {
            open.push(index);
        }
        let used = span.push(&self.arena, block);
        // One is kept, or a block that comes and goes would take a span each time.
        if used == 0 && open.len() > 1 {
            open.retain(|it| *it != index);
            self.pool().give(index, 1);
        }
    }

    /// Puts a block into the mailbox of its owner.
    fn post(&self, owner: usize, block: Address) {
        let link = |last: Address| {
            self.arena.set_word(block, last);
            Some(block)
        };
        // Release: the owner sees the link, and nothing of what the user did comes later. Relaxed:
        // the exchange says whether it is still so.
        let posted = self.mailboxes[owner].fetch_update(Ordering::Release, Ordering::Relaxed, link);
        posted.expect("`link` never declines");
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
            *local = self.orphans.lock().expect("no holder panics").pop()?;
        }
        if let Some(block) = self.pop(&mut local.open[class]) {
            return Some(block);
        }
        let number = local.number?;
        self.collect(local, number);
        let open = &mut local.open[class];
        if open.is_empty() {
            let index = self.pool().take(1, 1)?.0;
            let list = List::of_span(&self.arena, index, GRANULE << class);
            self.spans[index].begin(number, class, list);
            open.push(index);
        }
        self.pop(open)
    }

    /// A block, and whether it reads as zero.
    fn place(&self, local: &mut Local, layout: Layout) -> Option<(Address, bool)> {
        if let Some(class) = class_of(layout) {
            return self.small(local, class).map(|block| (block, false));
        }
        let (count, align) = spans_of(layout);
        self.pool().take(count, align).map(|(first, is_zero)| (first * SPAN, is_zero))
    }
}

impl Heap for Owned {
    type Cache = Local;

    fn new(arena: Arena) -> Self {
        let spans = arena.spans();
        let pool = Pool { runs: Runs::new(spans), ages: vec![Age::Clean; spans].into() };
        let unborn = |number| Local { number: Some(number), ..Local::default() };
        Self {
            arena,
            spans: (0..spans).map(|_| Span::default()).collect(),
            pool: Mutex::new(pool),
            mailboxes: (0..OWNERS).map(|_| AtomicUsize::new(NONE)).collect(),
            orphans: Mutex::new((0..OWNERS).map(unborn).collect()),
        }
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }

    fn allocate(&self, local: &mut Local, layout: Layout) -> Option<Address> {
        self.place(local, layout).map(|(block, _)| block)
    }

    fn allocate_zeroed(&self, local: &mut Local, layout: Layout) -> Option<Address> {
        let (block, is_zero) = self.place(local, layout)?;
        if !is_zero {
            self.arena.zero(block, layout.size());
        }
        Some(block)
    }

    fn free(&self, local: &mut Local, block: Address, layout: Layout) {
        if class_of(layout).is_none() {
            return self.pool().give(block / SPAN, spans_of(layout).0);
        }
        let owner = self.spans[block / SPAN].owner();
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
            (None, None) if new <= old => {
                self.pool().give(first + new, old - new);
                true
            }
            (None, None) => self.pool().runs.take_at(first + old, new - old),
            (one, other) => one == other,
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
            if ages[span] == Age::Resting {
                self.arena.purge(span, 1);
            }
            ages[span] = ages[span].older();
        }
    }
}
