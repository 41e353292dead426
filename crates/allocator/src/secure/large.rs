//! Blocks with a mapping of their own, between guards.
//!
//! ```text
//!   | guard, 16 MiB | rest of a page | block | canary, < 16 B | guard, 16 MiB |
//! ```
//!
//! The block ends where the guard begins, up to its alignment: what reads or writes beyond it ends
//! the program there and then, and what misses it by less than a guard as well: 16 MiB, where the
//! process has the addresses. A freed mapping is closed, and its addresses wait in a queue, so
//! that what still uses them ends there too. Those that left it last are kept for the next blocks
//! of their sizes, which saves half of the calls of the system that a block costs.

#![expect(unsafe_code, reason = "mappings are opened and closed by address")]

use std::ptr::NonNull;

use self::table::{Entry, Table};
use super::contents::Bytes;
use super::plan::{PAGE, Plan};
use super::verdict;
use super::{Act, Owner, Request};
use crate::os::{Linux, Os, guarded};
use crate::segment::SEGMENT;

mod table;

/// Freed mappings that keep their addresses.
const WAITING: usize = 32;
/// Mappings that left the queue and keep their addresses: as many as may leave it at once where a
/// program makes all its blocks anew in turns.
const SPARES: usize = 32;
/// Where a block ends: what C promises of the alignment of every block.
const GRAIN: usize = 16;

/// See the module's header. Behind a lock.
#[derive(Debug)]
pub(super) struct Large {
    plan: &'static Plan,
    table: Table,
    /// Addresses of blocks that were freed; zero where there is none.
    waiting: [usize; WAITING],
    oldest: usize,
    spares: [Option<Mapping>; SPARES],
    /// The one to give back next, where all are taken.
    oldest_spare: usize,
    live_bytes: usize,
}

/// Addresses that cannot be accessed, and that nobody uses.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: usize,
    size: usize,
}

impl Large {
    pub(super) const fn new(plan: &'static Plan) -> Self {
        let table = Table::new(plan);
        Self {
            plan,
            table,
            waiting: [0; WAITING],
            oldest: 0,
            spares: [None; SPARES],
            oldest_spare: 0,
            live_bytes: 0,
        }
    }

    /// A block; `None` where there is no memory, or an alignment is above half a segment.
    pub(super) fn allocate(&mut self, request: Request) -> Option<NonNull<u8>> {
        if request.size > isize::MAX.cast_unsigned() - 4 * SEGMENT || request.align > SEGMENT / 2 {
            return None;
        }
        let align = request.align.max(GRAIN);
        let open = request.size.max(1).next_multiple_of(align.min(PAGE)).next_multiple_of(PAGE);
        // Above a page, an alignment needs room to move in.
        let slack = if align > PAGE { align } else { 0 };
        let guard = self.plan.margin();
        let map = self.reserve(guard + slack + open + guard)?;
        let first = map.start + guard;
        let opened = if align > PAGE { first.next_multiple_of(align) } else { first };
        let start =
            if align > PAGE { opened } else { (opened + open - request.size) & !(align - 1) };
        let entry = Entry {
            start,
            size: request.size,
            align: request.align,
            map: map.start,
            mapped: map.size,
            opened,
            open,
            owner: request.owner.0,
            freed: false,
            closed: false,
        };
        let place = std::ptr::with_exposed_provenance_mut(opened);
        // SAFETY: it lies within the mapping, which is ours.
        if !unsafe { guarded::open(place, open) } || !self.table.insert(entry) {
            map.give_back();
            return None;
        }
        bytes_of(&entry).from(start + request.size - opened).write_canary();
        self.live_bytes += request.size;
        NonNull::new(std::ptr::with_exposed_provenance_mut(start))
    }

    fn reserve(&mut self, size: usize) -> Option<Mapping> {
        let of_size = |place: &mut Option<Mapping>| place.take_if(|spare| spare.size == size);
        if let Some(spare) = self.spares.iter_mut().find_map(of_size) {
            return Some(spare);
        }
        let mut start = NonNull::new(guarded::reserve(size));
        if start.is_none() {
            // Where addresses are scarce, none are kept.
            self.spares.iter_mut().filter_map(Option::take).for_each(Mapping::give_back);
            start = NonNull::new(guarded::reserve(size));
        }
        Some(Mapping { start: start?.expose_provenance().get(), size })
    }

    /// Keeps a mapping for a block of its size, and gives back the one that was kept longest where
    /// there is no room for it.
    fn keep(&mut self, mapping: Mapping) {
        let free = self.spares.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.oldest_spare = (self.oldest_spare + 1) % SPARES;
            self.oldest_spare
        });
        if let Some(longest) = self.spares[place].replace(mapping) {
            longest.give_back();
        }
    }

    /// The block at an address. Ends the process where there is none, or it is another than the
    /// caller believes.
    fn judge(&self, block: NonNull<u8>, act: Act) -> Entry {
        let address = block.addr().get();
        let Some(entry) = self.table.get(address) else {
            if let Some(around) = self.table.iter().find(|it| it.holds(address) && !it.freed) {
                verdict::inside(block, address_of(around.start), around.size, act.verb);
            }
            verdict::foreign(block, act.verb);
        };
        if entry.freed {
            verdict::freed_before(block, act.verb);
        }
        if let Some(layout) = act.layout
            && (layout.size() != entry.size || layout.align() != entry.align)
        {
            verdict::mismatch(block, (entry.size, entry.align), layout, act.verb);
        }
        expect_whole(&entry);
        entry
    }

    pub(super) fn request_of(&self, block: NonNull<u8>, act: Act) -> Request {
        let entry = self.judge(block, act);
        Request { size: entry.size, align: entry.align, owner: Owner(entry.owner) }
    }

    pub(super) fn free(&mut self, block: NonNull<u8>, act: Act) {
        let entry = self.judge(block, act);
        self.take_back(entry);
    }

    fn take_back(&mut self, entry: Entry) {
        self.live_bytes -= entry.size;
        let place = std::ptr::with_exposed_provenance_mut(entry.opened);
        // SAFETY: the block is given up. Where the system refuses, the pages stay: what uses them
        // is then not noticed.
        let closed = unsafe { guarded::close(place, entry.open) };
        self.table.insert(Entry { freed: true, closed, ..entry });
        let left = std::mem::replace(&mut self.waiting[self.oldest], entry.start);
        self.oldest = (self.oldest + 1) % WAITING;
        let Some(entry) = self.table.remove(left) else { return };
        let left = Mapping { start: entry.map, size: entry.mapped };
        if entry.closed { self.keep(left) } else { left.give_back() }
    }

    pub(super) fn destroy(&mut self, owner: Owner) {
        let mine = |entry: &&Entry| !entry.freed && entry.owner == owner.0;
        loop {
            let Some(entry) = self.table.iter().find(mine).copied() else { return };
            expect_whole(&entry);
            self.take_back(entry);
        }
    }

    /// Looks at all canaries.
    pub(super) fn examine(&self) {
        self.table.iter().filter(|entry| !entry.freed).for_each(expect_whole);
    }

    /// Bytes of blocks that are out.
    pub(super) fn bytes(&self) -> usize {
        self.live_bytes
    }
}

impl Mapping {
    fn give_back(self) {
        // SAFETY: nobody knows of the mapping, or its block was given up long ago.
        unsafe { Linux.unmap(std::ptr::with_exposed_provenance_mut(self.start), self.size) };
    }
}

fn address_of(start: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::with_exposed_provenance_mut(start)).expect("no block lies at zero")
}

fn bytes_of(entry: &Entry) -> Bytes {
    // SAFETY: they were opened when the block was handed out, and it is out.
    unsafe { Bytes::new(address_of(entry.opened), entry.open) }
}

/// Ends the process where something was written before the block or behind it.
fn expect_whole(entry: &Entry) {
    let bytes = bytes_of(entry);
    let before = entry.start - entry.opened;
    if !bytes.from(before + entry.size).is_canary() {
        verdict::overrun(address_of(entry.start), entry.size);
    }
    // SAFETY: as in `bytes_of`.
    if !unsafe { Bytes::new(address_of(entry.opened), before) }.is_zero() {
        verdict::underrun(address_of(entry.start), entry.size);
    }
}
