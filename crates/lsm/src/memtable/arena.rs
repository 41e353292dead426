//! The memory of a memtable: records that are written once and never move.
//!
//! ```text
//!   record at a multiple of 8:  | stamp 8 | older 4 | key len 4 | value len 4 | key | value |
//! ```
//!
//! A record is the version of a key that one change made; `older` is the record of the version
//! before it. Room is handed out by one counter, so that no two records overlap; it is given back
//! all at once with the arena. A [`Handle`] is a record's place. Whoever holds one may read the
//! record, so handles travel between threads by release and acquire only.
#![expect(
    unsafe_code,
    reason = "records are written behind a shared reference, before anyone reads"
)]

use std::alloc::{self, Layout};
use std::num::NonZeroU32;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::pages::Pages;

use crate::stamp::Stamp;

/// Records begin at multiples of this.
const ALIGN: usize = 8;
/// What stands before a record's key.
const HEADER: usize = 20;
/// Handles count in units of `ALIGN` with 32 bits.
const CAPACITY_MAX: usize = (u32::MAX as usize) * ALIGN;

/// Memory for records.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Invariant: `capacity` bytes at least, zero where nothing was written. They go back to the
    /// system with the arena, so that two memtables never take the memory of three.
    pages: Pages,
    capacity: usize,
    used: AtomicUsize,
}

/// The place of a record in its arena; never that of another arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(NonZeroU32);

impl Arena {
    /// An arena of so many bytes at most; the system gives the memory when it is touched.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(ALIGN, CAPACITY_MAX).next_multiple_of(ALIGN);
        // The first unit stays free: no handle is zero.
        Self { pages: pages(capacity), capacity, used: AtomicUsize::new(ALIGN) }
    }

    /// What a record takes.
    pub(crate) fn span(key: usize, value: usize) -> usize {
        (HEADER + key + value).next_multiple_of(ALIGN)
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> usize {
        // Relaxed: a size, nothing is reached through it.
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that there are.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether records of so many bytes together still fit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.capacity - self.used() >= bytes
    }

    /// Writes a record. Panics where it does not fit: ask [`Arena::has_room`] first.
    pub(crate) fn push(
        &self,
        stamp: Stamp,
        older: Option<Handle>,
        key: &[u8],
        value: &[u8],
    ) -> Handle {
        let span = Self::span(key.len(), value.len());
        // Relaxed: ranges are disjoint by the counter alone; the handle publishes the bytes.
        let at = self.used.fetch_add(span, Ordering::Relaxed);
        assert!(at + span <= self.capacity, "{span} bytes at {at} exceed {}", self.capacity);
        let older = older.map_or(0, |it| it.0.get());
        let lens = (len(key).to_le_bytes(), len(value).to_le_bytes());
        let parts: [&[u8]; 6] =
            [&stamp.bits().to_le_bytes(), &older.to_le_bytes(), &lens.0, &lens.1, key, value];
        let mut to = at;
        for part in parts {
            // SAFETY: `to` and the part lie within the range that the counter gave to this call,
            // which was checked to be within the capacity; nobody else has its handle yet.
            unsafe { self.write(to, part) };
            to += part.len();
        }
        let unit = u32::try_from(at / ALIGN).expect("the capacity is below `CAPACITY_MAX`");
        Handle(NonZeroU32::new(unit).expect("the first unit is never given out"))
    }

    /// # Safety
    ///
    /// The bytes must fit into the arena at `at`, and nobody may read or write them meanwhile.
    unsafe fn write(&self, at: usize, bytes: &[u8]) {
        // SAFETY: the caller keeps `at` within the arena.
        let target = unsafe { self.pages.base().add(at) }.as_ptr();
        // SAFETY: the caller vouches for the range; an arena's own bytes are no argument of `push`
        // while they are unwritten, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }

    /// The record of a handle of this arena.
    #[inline]
    pub(crate) fn record(&self, handle: Handle) -> Record<'_> {
        let at = handle.0.get() as usize * ALIGN;
        assert!(at + HEADER <= self.capacity, "the handle is of another arena");
        // SAFETY: `at` is within the arena, as just checked.
        let start = unsafe { self.pages.base().add(at) };
        // SAFETY: a handle exists only for a record that was written whole and never changes.
        let header = unsafe { slice::from_raw_parts(start.as_ptr(), HEADER) };
        let key = word(header, 12) as usize;
        let value = word(header, 16) as usize;
        assert!(at + HEADER + key + value <= self.capacity, "the handle is of another arena");
        // SAFETY: the header is within the arena, so what follows it is at most one past its end.
        let behind = unsafe { start.add(HEADER) };
        // SAFETY: `push` wrote so many bytes there, within the arena.
        let bytes = unsafe { slice::from_raw_parts(behind.as_ptr(), key + value) };
        Record { header, key: &bytes[..key], value: &bytes[key..] }
    }
}

/// So many bytes of memory from the system, or the end of the process as where an allocation fails.
pub(super) fn pages(bytes: usize) -> Pages {
    Pages::new(bytes).unwrap_or_else(|| {
        let layout = Layout::from_size_align(bytes, ALIGN);
        alloc::handle_alloc_error(layout.expect("a memtable is far below the limit"))
    })
}

/// A version of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    header: &'a [u8],
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl Record<'_> {
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        let bits = self.header[..8].try_into().map(u64::from_le_bytes);
        bits.ok().and_then(Stamp::from_bits).expect("`push` wrote a stamp")
    }

    /// The version before this one.
    #[inline]
    pub(crate) fn older(&self) -> Option<Handle> {
        Handle::from_bits(word(self.header, 8))
    }
}

impl Handle {
    /// The handle as a number, for an atomic; zero is no handle.
    pub(crate) fn bits(self) -> u32 {
        self.0.get()
    }

    /// The handle of [`Handle::bits`].
    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self)
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the range has four bytes"))
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a batch refuses longer keys and values")
}
