//! The two words of the protocol: what a slot holds and what a bin's header holds.
//!
//! # A slot
//!
//! ```text
//!   63                        19 18 17 16 15       0
//!  | stamp                      | 0  0  0 | 0        |   vacant
//!  | address of the entry       | 0  0  1 | tag      |   live
//!  | address of the entry       | 0  1  1 | tag      |   frozen
//!  | address of the entry       | 1  0  0 | tag      |   offered
//! ```
//!
//! The tag is 16 bits of the entry's hash, from bit `base` on, counted from the top. The base is
//! that of the table: the bits of its bin numbers, rounded down to a multiple of eight. So the tag
//! holds the last bits of the bin's number, and at least nine that tell entries of one bin apart.
//! When the table grows and the base stays, the tag says to which bin an entry goes: it is moved
//! without a look at it. An entry is aligned to 8 bytes, which leaves three bits for the state;
//! addresses of user space have 47 or 48 bits, which leaves 16 for the tag, and that is checked for
//! each entry. The tag is in front, where a search compares it without a mask: `Word::has_tag` is
//! one instruction, and a search makes six of them.
//!
//! A vacant slot carries a stamp, so that no two vacancies of one slot are the same word with an
//! entry in between. Stamp 0, a zero word, means *never used*: memory fresh from the operating
//! system is a table of vacant slots. A slot that has held an entry is never zero again.
//!
//! # A header
//!
//! ```text
//!   63            22 21               2    1        0
//!  | version        | last placed      | moved  | frozen |
//! ```
//!
//! The version counts commits. *Last placed* is the place of the slot that the newest commit
//! filled, plus one; 0 where there is none.
//!
//! # What this module does not do
//!
//! It never dereferences anything. It is arithmetic with names.

/// A slot's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(*mut ());

/// The tag of a certain hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe(u16);

pub(super) const TAG_BITS: u32 = 16;
const TAG: usize = (1 << TAG_BITS) - 1;
const LIVE: usize = 0b001 << TAG_BITS;
const FROZEN: usize = 0b010 << TAG_BITS;
const OFFERED: usize = 0b100 << TAG_BITS;
const STATE: usize = 0b111 << TAG_BITS;
const STAMP_SHIFT: u32 = TAG_BITS + 3;
/// Bits of an address that make room for the tag.
const ADDRESS_SPARE: usize = TAG << (usize::BITS - TAG_BITS);
/// Bits of an entry's address that are zero: where it stands in a word, the state is.
const ADDRESS_ALIGN: usize = 0b111;

// Tag and address share a word only where the word has 64 bits.
const _: () = assert!(usize::BITS == 64);

impl Probe {
    /// Of entries with this hash.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the last 16 bits")]
    pub(super) fn new(hash: u64, tail: u32) -> Self {
        Self((hash >> tail) as u16)
    }

    /// The one of [`MARKS`] by which a link tells of such entries.
    #[inline(always)]
    pub(super) fn mark(self) -> usize {
        1 << (MARKS.trailing_zeros() + u32::from(self.0 % 16))
    }
}

/// Bits of a link that are not an address. Which one an entry has, the last bits of its tag say:
/// those that have least to do with its bin.
pub(super) const MARKS: usize = TAG << (usize::BITS - TAG_BITS);

/// The bit of the hash, counted from the top, at which tags begin in a table of 2^`bits` bins.
#[inline(always)]
pub(super) fn base_of(bits: u32) -> u32 {
    bits & !7
}

/// The bits of a hash that follow on its tag, in such a table.
#[inline(always)]
pub(super) fn tail_of(bits: u32) -> u32 {
    u64::BITS - TAG_BITS - base_of(bits)
}

impl Word {
    /// A slot never used.
    pub(super) const VIRGIN: Self = Self(std::ptr::null_mut());

    /// What no slot holds: all three bits of the state.
    pub(super) const NONE: Self = Self(std::ptr::without_provenance_mut(usize::MAX));

    /// As it was loaded from a slot.
    #[inline(always)]
    pub(super) fn from_raw(raw: *mut ()) -> Self {
        Self(raw)
    }

    /// As it is stored in a slot.
    #[inline(always)]
    pub(super) fn raw(self) -> *mut () {
        self.0
    }

    /// A vacancy left behind at this version of the header.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a version has 42 bits")]
    pub(super) fn vacant(at: Header) -> Self {
        let stamp = at.version() as usize + 1;
        Self(std::ptr::without_provenance_mut(stamp << STAMP_SHIFT))
    }

    /// A live word of the entry at this address.
    ///
    /// Panics where the address has more than 48 bits, which no user space of x86-64 or of ARM
    /// hands out unless asked to.
    #[inline(always)]
    pub(super) fn live(entry: *mut (), hash: u64, tail: u32) -> Self {
        let address = entry.addr();
        let is_fit = address & (ADDRESS_SPARE | ADDRESS_ALIGN) == 0;
        assert!(is_fit, "an entry lies at {address:#x}, above 48 bits");
        let Probe(tag) = Probe::new(hash, tail);
        Self(entry.map_addr(|address| address << TAG_BITS | usize::from(tag) | LIVE))
    }

    /// What finds it.
    pub(super) fn probe(self) -> Probe {
        #[expect(clippy::cast_possible_truncation, reason = "a tag has 16 bits")]
        Probe(self.tag() as u16)
    }

    /// The tag, as a number.
    #[inline(always)]
    pub(super) fn tag(self) -> usize {
        self.0.addr() & TAG
    }

    /// The entry. Meaningless for a vacant word.
    #[inline(always)]
    pub(super) fn entry(self) -> *mut () {
        self.0.map_addr(|word| word >> TAG_BITS & !ADDRESS_ALIGN)
    }

    /// The entry of a live word that is not frozen.
    #[inline(always)]
    pub(super) fn open_entry(self) -> Option<*mut ()> {
        // What stands in for the bits that are zero in an address is the state.
        let entry = self.0.map_addr(|word| (word >> TAG_BITS).wrapping_sub(LIVE >> TAG_BITS));
        (entry.addr() & ADDRESS_ALIGN == 0).then_some(entry)
    }

    /// Whether an entry is there for readers, and its tag is the one asked for.
    #[inline(always)]
    pub(super) fn matches(self, Probe(tag): Probe) -> bool {
        self.0.addr() & (LIVE | TAG) == LIVE | usize::from(tag)
    }

    /// Whether the tag is the one asked for; a vacancy counts as having tag zero.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the last 16 bits")]
    pub(super) fn has_tag(self, Probe(tag): Probe) -> bool {
        self.0.addr() as u16 == tag
    }

    #[inline(always)]
    pub(super) fn is_live(self) -> bool {
        self.0.addr() & LIVE != 0
    }

    #[inline(always)]
    pub(super) fn is_frozen(self) -> bool {
        self.0.addr() & FROZEN != 0
    }

    #[inline(always)]
    pub(super) fn is_offered(self) -> bool {
        self.0.addr() & OFFERED != 0
    }

    #[inline(always)]
    pub(super) fn is_vacant(self) -> bool {
        self.0.addr() & STATE == 0
    }

    /// Whether this vacancy was there at version `at`: then its stamp is not from later.
    #[inline(always)]
    pub(super) fn is_vacant_at(self, at: Header) -> bool {
        self.is_vacant() && (self.0.addr() >> STAMP_SHIFT) as u64 <= at.version() + 1
    }

    /// The same entry, for readers to see.
    #[inline(always)]
    pub(super) fn as_live(self) -> Self {
        self.with_state(LIVE)
    }

    /// The same entry, not to be changed in this table any more.
    #[inline(always)]
    pub(super) fn as_frozen(self) -> Self {
        self.with_state(LIVE | FROZEN)
    }

    /// The same entry, not yet committed.
    #[inline(always)]
    pub(super) fn as_offered(self) -> Self {
        self.with_state(OFFERED)
    }

    #[inline(always)]
    fn with_state(self, state: usize) -> Self {
        Self(self.0.map_addr(|word| word & !STATE | state))
    }
}

/// A header's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(u64);

const HEADER_FROZEN: u64 = 0b01;
const HEADER_MOVED: u64 = 0b10;
const LAST_SHIFT: u32 = 2;
const LAST_BITS: u32 = 20;
const LAST: u64 = ((1 << LAST_BITS) - 1) << LAST_SHIFT;
const VERSION_SHIFT: u32 = LAST_SHIFT + LAST_BITS;

/// Places that a header can name: no chain may be longer.
pub(super) const PLACES_MAX: usize = (1 << LAST_BITS) - 1;

impl Header {
    #[inline(always)]
    pub(super) fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    #[inline(always)]
    pub(super) fn raw(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(super) fn version(self) -> u64 {
        self.0 >> VERSION_SHIFT
    }

    /// The place that the newest commit filled.
    #[inline(always)]
    pub(super) fn last(self) -> Option<usize> {
        let last = (self.0 & LAST) >> LAST_SHIFT;
        #[expect(clippy::cast_possible_truncation, reason = "20 bits")]
        last.checked_sub(1).map(|place| place as usize)
    }

    /// No commit will follow in this table.
    #[inline(always)]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & HEADER_FROZEN != 0
    }

    /// The entries are in the next table.
    #[inline(always)]
    pub(super) fn is_moved(self) -> bool {
        self.0 & HEADER_MOVED != 0
    }

    #[inline(always)]
    pub(super) fn as_frozen(self) -> Self {
        Self(self.0 | HEADER_FROZEN)
    }

    #[inline(always)]
    pub(super) fn as_moved(self) -> Self {
        Self(self.0 | HEADER_FROZEN | HEADER_MOVED)
    }

    /// After a commit at `place`; `None` for one that fills nothing.
    ///
    /// The version wraps after 2^42 commits. For that to harm, a thread must be suspended within
    /// one insertion for exactly so many others in the same bin: a day at full speed.
    #[inline(always)]
    pub(super) fn after_commit(self, place: Option<usize>) -> Self {
        let last = place.map_or(0, |place| {
            debug_assert!(place < PLACES_MAX, "place {place} was not to be taken");
            place as u64 + 1
        });
        let version = (self.0 >> VERSION_SHIFT).wrapping_add(1) << VERSION_SHIFT;
        Self(version | last << LAST_SHIFT)
    }
}

#[cfg(test)]
mod tests;
