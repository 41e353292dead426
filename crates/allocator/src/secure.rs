//! Secure mode: what is known of a block lies where no overrun of a block reaches it.
//!
//! ```text
//!   blocks: a region for each class                           states: far from all blocks
//!   | guard | slab: slot slot slot ... | guard | slab ...     | slot: size, align, owner, state |
//!                    '-> | asked for | canary |
//!
//!            allocate: any free slot            free: wiped
//!   free ------------------------------> out -----------------> quarantined
//!     ^       must read as zero                 canary whole         |
//!     '--------------------------------------------------------------'
//!                 pushed out by a later free; must still read as zero
//! ```
//!
//! Every rule that is broken ends the process with a message that names the block:
//!
//! | misuse                               | found                                              |
//! |--------------------------------------|----------------------------------------------------|
//! | freed twice, foreign, inside a block | at the free: the state of the slot says so         |
//! | size or alignment is not the one     | at a free that tells them                          |
//! | written beyond the end, or before    | at the free of it or one beside it, or at exit     |
//! | written after it was freed           | when it leaves the quarantine, is used, or at exit |
//! | overrun on and on; large: freed, far | at once: the page cannot be accessed               |
//! | read after it was freed              | not found, but it reads as zero                    |
//! | zero bytes that are read or written  | at once: no page of them can be accessed           |
//!
//! A write that misses its block reaches no table unless it misses by a whole region, 32 GiB
//! (`plan`), or jumps from a large block over its guard of 16 MiB: the tables, and what cannot be
//! accessed on both sides of them, are one reservation. Where a process may have fewer addresses,
//! both are smaller in proportion.
//!
//! Blocks above [`LARGEST`](crate::size_class::LARGEST) have a mapping of their own (`large`), and
//! end where its guard begins. A slot is chosen at random among the free ones of a slab, and waits
//! in the quarantine for a random number of frees.
//!
//! # What this module does not do
//!
//! It is not fast: a lock for each class, no thread has anything to itself, and blocks are wiped.
//! Small blocks that are overrun into the block behind are found at a free, not at the write.

#![expect(unsafe_code, reason = "blocks are handed out and given back by address")]

mod class;
mod contents;
mod idle;
mod large;
mod plan;
mod quarantine;
mod random;
mod verdict;

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use self::class::Class;
use self::large::Large;
use self::plan::{ALL, Plan};
use crate::lock::Locked;
use crate::os::random;
use crate::stats::Stats;

/// Whose block it is: a heap of one's own, or nobody's in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    /// Blocks of no heap of one's own.
    pub(crate) const COMMON: Self = Self(0);

    /// One that nobody was before.
    pub(crate) fn fresh() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        // Relaxed: a count.
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What a block was asked for with.
#[derive(Clone, Copy, Debug)]
struct Request {
    size: usize,
    align: usize,
    owner: Owner,
}

/// What is done with an address: for the message.
#[derive(Clone, Copy, Debug)]
struct Act {
    verb: &'static str,
    /// What the caller believes of the block.
    layout: Option<Layout>,
}

/// Nobody asked for a block yet, or gave one back.
const UNDECIDED: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(UNDECIDED);
static PLAN: Plan = Plan::new();
static CLASSES: [Locked<Class>; ALL] = {
    let mut class = 0;
    let mut all = [const { Locked::new(Class::new(0)) }; ALL];
    while class < ALL {
        all[class] = Locked::new(Class::new(class));
        class += 1;
    }
    all
};
static LARGE: Locked<Large> = Locked::new(Large::new(&PLAN));

/// Whether the process runs in this mode.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    // Acquire: pairs with the Release in `start`. A block that is none may be freed by a thread
    // that has nothing else to do with the one that began the mode.
    MODE.load(Ordering::Acquire) == ON
}

/// Whether the process is not set up yet: a free may come before the first allocation, and is
/// wrong.
#[inline(always)]
pub(crate) fn is_undecided() -> bool {
    // Relaxed: whoever finds it undecided waits for the decision.
    MODE.load(Ordering::Relaxed) == UNDECIDED
}

/// Leaves the mode off for good.
pub(crate) fn leave_off() {
    MODE.store(OFF, Ordering::Relaxed); // Relaxed: nothing goes with it.
}

/// Begins the mode, before the first block is handed out.
///
/// Ends the process where the system has no room for it: to go on would be to promise what is not
/// kept.
pub(crate) fn start() {
    let reserved = PLAN.reserve() && CLASSES.iter().all(|it| it.with(|class| class.start(&PLAN)));
    if !reserved {
        verdict::die(format_args!("there are no addresses for secure mode"));
    }
    reseed();
    MODE.store(ON, Ordering::Release); // Release: pairs with the Acquire in `is_on`.
}

/// Sees to it that what is left is looked at when the process ends.
pub(crate) fn watch_exit() {
    // SAFETY: the function lives for ever. Where there is no room for it, nobody looks.
    unsafe { libc::atexit(at_exit) };
}

/// Draws new secrets for the choice of slots; a child of `fork` must not choose as its parent.
pub(crate) fn reseed() {
    for class in &CLASSES {
        class.with(|class| class.reseed(random()));
    }
}

/// A block, which reads as zero; null where there is no memory.
pub(crate) fn allocate(size: usize, align: usize, owner: Owner) -> *mut u8 {
    let request = Request { size, align, owner };
    let block = match plan::class_for(size, align) {
        Some(class) => CLASSES[class].with(|class| class.allocate(request)),
        None => LARGE.with(|large| large.allocate(request)),
    };
    block.map_or(std::ptr::null_mut(), NonNull::as_ptr)
}

/// Frees a block; `layout` is what the caller believes of it.
pub(crate) fn free(block: NonNull<u8>, layout: Option<Layout>) {
    let act = Act { verb: "freed", layout };
    match PLAN.find(block.addr().get()) {
        Some(place) => CLASSES[place.class].with(|class| class.free(place, block, act)),
        None => LARGE.with(|large| large.free(block, act)),
    }
}

/// Bytes of a block: exactly those that were asked for.
pub(crate) fn usable_size(block: NonNull<u8>) -> usize {
    request_of(block, Act { verb: "measured", layout: None }).size
}

/// Changes the size of a block, which moves unless its slot is the one for the new size as well.
pub(crate) fn reallocate(block: NonNull<u8>, layout: Option<Layout>, size: usize) -> *mut u8 {
    let act = Act { verb: "resized", layout };
    let old = request_of(block, act);
    let new = Request { size, ..old };
    if let Some(place) = PLAN.find(block.addr().get())
        && plan::class_for(size, old.align) == Some(place.class)
    {
        CLASSES[place.class].with(|class| class.resize(place, block, new));
        return block.as_ptr();
    }
    let to = allocate(size, old.align, old.owner);
    if !to.is_null() {
        // SAFETY: both are blocks that are out, and at least that long.
        unsafe { to.copy_from_nonoverlapping(block.as_ptr(), old.size.min(size)) };
        free(block, None);
    }
    to
}

fn request_of(block: NonNull<u8>, act: Act) -> Request {
    match PLAN.find(block.addr().get()) {
        Some(place) => CLASSES[place.class].with(|class| class.request_of(place, block, act)),
        None => LARGE.with(|large| large.request_of(block, act)),
    }
}

/// Frees all blocks of a heap of one's own.
pub(crate) fn destroy(owner: Owner) {
    for class in &CLASSES {
        class.with(|class| class.destroy(owner));
    }
    LARGE.with(|large| large.destroy(owner));
}

/// Gives back to the system what no block lies in.
pub(crate) fn collect() {
    for class in &CLASSES {
        class.with(Class::collect);
    }
}

/// Adds what this mode holds to a snapshot.
pub(crate) fn count(stats: &mut Stats) {
    for class in &CLASSES {
        let (live, held) = class.with(|class| class.bytes());
        stats.live += live;
        stats.held += held;
    }
    let large = LARGE.with(|large| large.bytes());
    stats.live += large;
    stats.held += large;
    stats.mapped += PLAN.bytes();
}

/// Closes all locks for a `fork`.
pub(crate) fn close() {
    CLASSES.iter().for_each(Locked::close);
    LARGE.close();
}

/// Opens them again, in the parent and in the child.
pub(crate) fn open() {
    LARGE.open();
    CLASSES.iter().for_each(Locked::open);
}

/// Looks at all that is out or in quarantine once more.
extern "C" fn at_exit() {
    for class in &CLASSES {
        // A thread that ends the process from a handler of a signal may hold the lock itself.
        class.try_with(|class| class.examine());
    }
    LARGE.try_with(|large| large.examine());
}

#[cfg(test)]
mod tests;
