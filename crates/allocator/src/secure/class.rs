//! The slots of one class, and the states that they go through.
//!
//! ```text
//!   slabs with a free slot:  first -> next -> ...     a slab: live | free bits | next
//!   slots:                   state of each, by its number
//! ```
//!
//! All of this lies in tables far from all blocks, of which only what is used costs memory. Zero
//! bytes are sound values of all of it: no block, no slab, free.

#![expect(unsafe_code, reason = "states and slots are found by address")]

use std::cell::Cell;
use std::ptr::NonNull;

use super::contents::Bytes;
use super::idle::Idle;
use super::plan::{PAGE, Place, Plan, ZERO, slab_size, slot_size, slots_in_slab};
use super::quarantine::Quarantine;
use super::random::Random;
use super::verdict;
use super::{Act, Owner, Request};
use crate::bitmap::Bitmap;
use crate::os::{Linux, Os, guarded};
use crate::size_class::SLICE;

/// Bytes before and behind the slot of a block that are looked at when it is freed, and somewhat
/// more where slots are small: what is written to an element of an array that there is not.
const EDGE: usize = 64;
/// The most slots of a slab: those of 16 bytes.
const SLOTS: usize = SLICE / 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Never handed out; zeroed memory begins with it.
    Free = 0,
    Out = 1,
    Quarantined = 2,
    /// Free after it was out.
    Left = 3,
}

/// What is known of a slot.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Slot {
    owner: u32,
    /// Of the block, or of the last one.
    size: u16,
    align_log2: u8,
    state: State,
}

const _: () = assert!(size_of::<Slot>() == 8);

/// What is known of a slab.
#[derive(Debug)]
#[repr(C)]
struct Slab {
    /// Blocks that are out.
    live: Cell<u32>,
    /// Slots that are free; the others are out or in quarantine.
    free_count: Cell<u32>,
    /// The next slab with a free slot, by its number and one.
    next: Cell<u32>,
    /// Whether it is in the queue of those that are empty, or were.
    idle: Cell<bool>,
    free: Bitmap<{ SLOTS / 64 }>,
}

/// The tables of a class, which are as long as its region has room for.
#[derive(Clone, Copy, Debug)]
struct Tables {
    plan: &'static Plan,
    slabs: &'static [Slab],
    slots: &'static [Cell<Slot>],
}

/// See the module's header. Behind a lock.
#[derive(Debug)]
pub(super) struct Class {
    class: usize,
    tables: Option<Tables>,
    /// Slabs that were opened: the first ones.
    opened: usize,
    /// The first slab with a free slot, by its number and one.
    first: u32,
    live_bytes: usize,
    random: Random,
    quarantine: Quarantine,
    idle: Idle,
}

// SAFETY: the tables are reached from here alone, and this lies behind a lock.
unsafe impl Send for Class {}

impl Class {
    pub(super) const fn new(class: usize) -> Self {
        Self {
            class,
            tables: None,
            opened: 0,
            first: 0,
            live_bytes: 0,
            random: Random::new(),
            quarantine: Quarantine::new(slot_size(class)),
            idle: Idle::new(class),
        }
    }

    /// Opens the tables; false where there is no room for them.
    pub(super) fn start(&mut self, plan: &'static Plan) -> bool {
        let slabs = plan.slabs(self.class);
        let slots = slabs * slots_in_slab(self.class);
        let Some(of_slabs) = plan.table(slabs * size_of::<Slab>()) else { return false };
        let Some(of_slots) = plan.table(slots * size_of::<Slot>()) else { return false };
        // SAFETY: the table is that long, zeroed, ours, and never closed.
        let slabs = unsafe { std::slice::from_raw_parts(of_slabs.as_ptr().cast(), slabs) };
        // SAFETY: as above.
        let slots = unsafe { std::slice::from_raw_parts(of_slots.as_ptr().cast(), slots) };
        self.tables = Some(Tables { plan, slabs, slots });
        true
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.random.reseed(seed);
    }

    fn tables(&self) -> Tables {
        self.tables.expect("mapped before the first block is asked for")
    }

    fn size(&self) -> usize {
        slot_size(self.class)
    }

    /// Address of a slot, by its number.
    fn address(&self, slot: usize) -> NonNull<u8> {
        let count = slots_in_slab(self.class);
        let slab = self.tables().plan.slab(self.class, slot / count);
        let start = std::ptr::with_exposed_provenance_mut(slab + slot % count * self.size());
        NonNull::new(start).expect("a slab does not lie at zero")
    }

    /// The bytes of a slot of an opened slab; `None` where they cannot be accessed.
    fn bytes_of(&self, slot: usize) -> Option<Bytes> {
        // SAFETY: the slab was opened when its first slot was handed out.
        (self.class != ZERO).then(|| unsafe { Bytes::new(self.address(slot), self.size()) })
    }

    /// A block; `None` where there is no memory.
    pub(super) fn allocate(&mut self, request: Request) -> Option<NonNull<u8>> {
        if self.first == 0 && !self.open_slab() {
            return None;
        }
        let (tables, index, count) =
            (self.tables(), self.first as usize - 1, slots_in_slab(self.class));
        let slab = &tables.slabs[index];
        let start = self.random.below(count);
        let found = slab.free.find_run(start, 1, 1).or_else(|| slab.free.find_run(0, 1, 1));
        let inside = found.expect("a slab of the list has a free slot");
        slab.free.fill(inside, 1, false);
        slab.live.set(slab.live.get() + 1);
        slab.free_count.set(slab.free_count.get() - 1);
        if slab.free_count.get() == 0 {
            self.first = slab.next.replace(0);
        }
        let slot = index * count + inside;
        self.expect_untouched(slot);
        self.hand_out(slot, request);
        Some(self.address(slot))
    }

    fn hand_out(&mut self, slot: usize, request: Request) {
        self.live_bytes += request.size;
        self.tables().slots[slot].set(Slot {
            owner: request.owner.0,
            size: u16::try_from(request.size).expect("less than a slot"),
            align_log2: u8::try_from(request.align.trailing_zeros()).expect("below 64"),
            state: State::Out,
        });
        if let Some(bytes) = self.bytes_of(slot) {
            bytes.from(request.size).write_canary();
        }
    }

    fn open_slab(&mut self) -> bool {
        let (tables, index) = (self.tables(), self.opened);
        let Some(slab) = tables.slabs.get(index) else { return false };
        let start = tables.plan.slab(self.class, index);
        if self.class != ZERO && !open(start, slab_size(self.class)) {
            // A process may have so many mappings and no more. Without the guard between them, this
            // slab and the one before are a single mapping.
            if index == 0 || !open(start - PAGE, slab_size(self.class) + PAGE) {
                return false;
            }
        }
        let count = slots_in_slab(self.class);
        slab.free.fill(0, count, true);
        slab.free_count.set(u32::try_from(count).expect("at most 4096"));
        slab.next.set(self.first);
        self.opened += 1;
        self.first = u32::try_from(self.opened).expect("a region has fewer slabs");
        true
    }

    /// The number of the slot that a block lies in and what is known of it. Ends the process where
    /// there is no block that begins there, or it is another than the caller believes.
    fn judge(&self, place: Place, block: NonNull<u8>, act: Act) -> (usize, Slot) {
        let count = slots_in_slab(self.class);
        if place.slab >= self.opened || place.slot >= count {
            verdict::foreign(block, act.verb);
        }
        let number = place.slab * count + place.slot;
        let slot = self.tables().slots[number].get();
        match slot.state {
            State::Out if place.inside > 0 => {
                let size = usize::from(slot.size);
                verdict::inside(block, self.address(number), size, act.verb);
            }
            State::Out => {}
            State::Quarantined | State::Left => verdict::freed_before(block, act.verb),
            State::Free => verdict::foreign(block, act.verb),
        }
        if let Some(layout) = act.layout
            && (layout.size() != usize::from(slot.size) || layout.align() != 1 << slot.align_log2)
        {
            let known = (usize::from(slot.size), 1 << slot.align_log2);
            verdict::mismatch(block, known, layout, act.verb);
        }
        self.expect_whole(number);
        let near = EDGE.div_ceil(self.size());
        let (first, last) = (near.min(place.slot), near.min(count - 1 - place.slot));
        for before in number - first..number {
            self.expect_whole_beside(before, number);
        }
        for behind in number + 1..=number + last {
            self.expect_whole_beside(behind, number);
        }
        (number, slot)
    }

    /// Ends the process where something was written that nobody may have written: behind a block
    /// that is out, or over one that is not.
    fn expect_whole(&self, number: usize) {
        let slot = self.tables().slots[number].get();
        match (slot.state, self.bytes_of(number)) {
            (State::Out, Some(bytes)) if !bytes.from(usize::from(slot.size)).is_canary() => {
                verdict::overrun(self.address(number), usize::from(slot.size));
            }
            (State::Quarantined, _) => self.expect_untouched(number),
            _ => {}
        }
    }

    /// The same for a slot within [`EDGE`] of a block that is out, as far as it is.
    fn expect_whole_beside(&self, beside: usize, number: usize) {
        let slot = self.tables().slots[beside].get();
        if slot.state == State::Out {
            return self.expect_whole(beside);
        }
        let edge = EDGE.min(self.size());
        let looked_at = |bytes: Bytes| {
            if beside < number { bytes.from(self.size() - edge) } else { bytes.first(edge) }
        };
        if self.bytes_of(beside).is_none_or(|bytes| looked_at(bytes).is_zero()) {
            return;
        }
        if slot.state != State::Free {
            verdict::written_while_free(self.address(beside));
        }
        // Nobody ever had it: so it was this block that was missed.
        let (start, size) =
            (self.address(number), usize::from(self.tables().slots[number].get().size));
        if beside < number { verdict::underrun(start, size) } else { verdict::overrun(start, size) }
    }

    fn expect_untouched(&self, slot: usize) {
        if self.bytes_of(slot).is_some_and(|bytes| !bytes.is_zero()) {
            verdict::written_while_free(self.address(slot));
        }
    }

    pub(super) fn request_of(&self, place: Place, block: NonNull<u8>, act: Act) -> Request {
        let (_, slot) = self.judge(place, block, act);
        Request {
            size: usize::from(slot.size),
            align: 1 << slot.align_log2,
            owner: Owner(slot.owner),
        }
    }

    /// Changes the size of a block within its slot.
    pub(super) fn resize(&mut self, place: Place, block: NonNull<u8>, request: Request) {
        let act = Act { verb: "resized", layout: None };
        let (number, slot) = self.judge(place, block, act);
        let old = usize::from(slot.size);
        if let Some(bytes) = self.bytes_of(number) {
            // What was canary reads as zero from now on, and what was the end of the block is gone.
            bytes.from(old.min(request.size)).wipe();
        }
        self.live_bytes -= old;
        self.hand_out(number, request);
    }

    pub(super) fn free(&mut self, place: Place, block: NonNull<u8>, act: Act) {
        let (number, slot) = self.judge(place, block, act);
        self.take_back(number, slot);
    }

    fn take_back(&mut self, number: usize, slot: Slot) {
        if let Some(bytes) = self.bytes_of(number) {
            bytes.wipe();
        }
        self.live_bytes -= usize::from(slot.size);
        let tables = self.tables();
        tables.slots[number].set(Slot { state: State::Quarantined, ..slot });
        let index = number / slots_in_slab(self.class);
        let slab = &tables.slabs[index];
        slab.live.set(slab.live.get() - 1);
        let entered = u32::try_from(number).expect("a region has fewer slots");
        if let Some(left) = self.quarantine.push(entered, &mut self.random) {
            self.release(left as usize);
        }
        if slab.live.get() == 0 && self.class != ZERO && !slab.idle.replace(true) {
            let index = u32::try_from(index).expect("a region has fewer slabs");
            if let Some(left) = self.idle.push(index) {
                self.leave_idle(left as usize);
            }
        }
    }

    /// A slot may be used again.
    fn release(&mut self, number: usize) {
        self.expect_untouched(number);
        let (tables, count) = (self.tables(), slots_in_slab(self.class));
        let slot = &tables.slots[number];
        slot.set(Slot { state: State::Left, ..slot.get() });
        let slab = &tables.slabs[number / count];
        slab.free.fill(number % count, 1, true);
        if slab.free_count.get() == 0 {
            slab.next.set(self.first);
            self.first = u32::try_from(number / count + 1).expect("a region has fewer slabs");
        }
        slab.free_count.set(slab.free_count.get() + 1);
    }

    /// A slab was empty a while ago, and gives its pages back if it still is.
    fn leave_idle(&self, index: usize) {
        let slab = &self.tables().slabs[index];
        slab.idle.set(false);
        if slab.live.get() == 0 {
            self.purge(index);
        }
    }

    /// Gives the pages of an empty slab back: all of it reads as zero before and after.
    fn purge(&self, index: usize) {
        let count = slots_in_slab(self.class);
        (index * count..(index + 1) * count).for_each(|slot| self.expect_untouched(slot));
        let start = self.address(index * count).as_ptr();
        // SAFETY: nothing in it is used.
        unsafe { Linux.purge(start, slab_size(self.class)) };
    }

    pub(super) fn collect(&mut self) {
        let empty = |index: &usize| self.tables().slabs[*index].live.get() == 0;
        if self.class != ZERO {
            (0..self.opened).filter(empty).for_each(|index| self.purge(index));
        }
    }

    pub(super) fn destroy(&mut self, owner: Owner) {
        for number in 0..self.opened * slots_in_slab(self.class) {
            let slot = self.tables().slots[number].get();
            if slot.state == State::Out && slot.owner == owner.0 {
                self.expect_whole(number);
                self.take_back(number, slot);
            }
        }
    }

    /// Looks at all canaries, and at all that waits.
    pub(super) fn examine(&self) {
        let out = 0..self.opened * slots_in_slab(self.class);
        out.for_each(|number| self.expect_whole(number));
    }

    /// Bytes of blocks that are out, and of slabs with such a block.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let tables = self.tables();
        let used = tables.slabs[..self.opened].iter().filter(|slab| slab.live.get() > 0).count();
        (self.live_bytes, used * slab_size(self.class))
    }
}

fn open(start: usize, size: usize) -> bool {
    // SAFETY: the addresses are those of a slab that was not opened, and of a guard.
    unsafe { guarded::open(std::ptr::with_exposed_provenance_mut(start), size) }
}
