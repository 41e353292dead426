//! A bin: a head, half a cache line, and fourteen slots in an array of their own.
//!
//! ```text
//!   heads    | state  | tags 0 to 7    | tags 8 to 13 | - | annex  |      32 bytes a bin
//!
//!   slots    | key 0  | value 0 | key 1  | value 1 | ... | key 13 | value 13 |     224 bytes
//! ```
//!
//! Heads are small: those of a million entries fit into a cache that their slots do not fit into.
//! A search that fails ends in the head. One that succeeds goes on to one slot, which is in one
//! cache line; the processor need not wait for it to begin the next search, since what it had to
//! foretell was decided by the head.
//!
//! Fourteen slots, since then few bins overflow: one in fifty with nine keys a bin, one in nine
//! when the table is full. What does not fit is in the bin's [annex](super::annex).

#![expect(unsafe_code, reason = "says that zero bits are a valid bin")]

use super::state::State;
use super::tags::{Tags, tag_of};
use crate::prefetch;
use crate::raw::hook::{Bug, planted};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::zeroed::Zeroable;

/// Slots of a bin.
pub(super) const HOME: usize = 14;

/// Slots of a cache line.
pub(super) const SLOTS_A_LINE: usize = 4;

/// What a search looks at first.
#[derive(Debug, Default)]
#[repr(C, align(32))]
pub(super) struct Head {
    state: AtomicU64,
    tags: [AtomicU64; 2],
    annex: AtomicU64,
}

/// A place for an entry. Whether it holds one is said elsewhere: by the tags of the head, or by the
/// annex.
#[derive(Debug, Default)]
#[repr(C, align(16))]
pub(super) struct Slot {
    pub(super) key: AtomicU64,
    pub(super) value: AtomicU64,
}

/// The slots of a bin.
pub(super) type Home = [Slot; HOME];

/// A bin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bin<'t> {
    pub(super) head: &'t Head,
    pub(super) slots: &'t Home,
}

// The point of the layout.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Head>() == 32 && size_of::<Home>() == 224);

// SAFETY: atomics of zero bits are zeroes and so is the default; no destructor.
unsafe impl Zeroable for Head {}
// SAFETY: as above.
unsafe impl Zeroable for Slot {}
// SAFETY: as above.
unsafe impl Zeroable for Home {}

impl Slot {
    /// Writes an entry into a slot that holds none.
    ///
    /// The caller has the bin's lock and has made a `Release` fence since.
    #[inline(always)]
    pub(super) fn fill(&self, key: u64, value: u64) {
        // Relaxed: the store that says that the slot holds an entry is a Release.
        self.key.store(key, Ordering::Relaxed);
        // Relaxed: as above.
        self.value.store(value, Ordering::Relaxed);
    }

    /// The entry, for the lock's owner.
    #[inline(always)]
    pub(super) fn entry(&self) -> (u64, u64) {
        // Relaxed, twice: the lock keeps both from changing.
        (self.key.load(Ordering::Relaxed), self.value.load(Ordering::Relaxed))
    }

    /// The value, if the slot holds an entry.
    #[inline(always)]
    pub(super) fn value(&self) -> u64 {
        // Acquire: pairs with the Release in `set_value`; who sees a value sees what its writer did
        // before.
        self.value.load(Ordering::Acquire)
    }

    /// Changes the value of an entry, as the lock's owner.
    #[inline(always)]
    pub(super) fn set_value(&self, value: u64) {
        // Release: pairs with the Acquire in `value`.
        self.value.store(value, Ordering::Release);
    }

    /// Whether the slot has this key, if it holds an entry.
    #[inline(always)]
    pub(super) fn has_key(&self, key: u64) -> bool {
        // Relaxed: behind the tag, and `is_still` or the lock judges.
        self.key.load(Ordering::Relaxed) == key
    }
}

impl Head {
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        prefetch::read(self);
    }

    /// Asks for the head in order to lock it.
    #[inline(always)]
    pub(super) fn prefetch_to_write(&self) {
        prefetch::write(self);
    }

    #[inline(always)]
    pub(super) fn state(&self) -> State {
        // Acquire: pairs with the Release in `publish`; who sees MOVED sees the bin's new place.
        State(self.state.load(Ordering::Acquire))
    }

    /// Whether the entries are still those of `state`, which was read before them.
    #[inline(always)]
    pub(super) fn is_still(&self, state: State) -> bool {
        // Acquire: pairs with the Release fence of a writer that uses a slot anew. If one of the
        // reads before this fence saw what it wrote, the load below sees a newer version.
        fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        planted(Bug::TrustsFirstRead)
            || state.same_entries(State(self.state.load(Ordering::Relaxed)))
    }

    /// Takes the lock if nothing has happened to the bin since `state` was read.
    #[inline(always)]
    pub(super) fn try_lock(&self, state: State) -> bool {
        debug_assert!(!state.is_locked() && !state.is_moved(), "{state:?} cannot be locked");
        let locked = state.locked().0;
        // Acquire: pairs with the Release in `publish`: we see what the last owner wrote.
        // Relaxed: a failure tells nothing.
        let won =
            self.state.compare_exchange(state.0, locked, Ordering::Acquire, Ordering::Relaxed);
        // Release: pairs with the Acquire fence in `is_still`; what is written into a slot from
        // here on is seen together with the version that freed the slot.
        if !planted(Bug::LocksWithoutFence) {
            fence(Ordering::Release);
        }
        won.is_ok()
    }

    /// Writes the state as the lock's owner, and so gives up the lock.
    #[inline(always)]
    pub(super) fn publish(&self, state: State) {
        // Release: pairs with the Acquire in `state` and `try_lock`.
        self.state.store(state.0, Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn tags(&self) -> Tags {
        // Acquire: pairs with the Release in `set_tag`; behind a tag we see its entry.
        Tags([0, 1].map(|word| self.tags[word].load(Ordering::Acquire)))
    }

    /// Says that a slot holds an entry of this hash, as the lock's owner.
    #[inline(always)]
    pub(super) fn set_tag(&self, slot: usize, hash: u64) {
        self.change_tag(slot, |word, shift| word | u64::from(tag_of(hash)) << shift);
    }

    /// Says which slots hold entries, and of which tags, in a bin that nobody else can reach yet.
    #[inline(always)]
    pub(super) fn set_tags(&self, tags: [[u8; 8]; 2]) {
        for (word, tags) in self.tags.iter().zip(tags) {
            // Release: pairs with the Acquire in `tags`.
            word.store(u64::from_le_bytes(tags), Ordering::Release);
        }
    }

    /// Says that a slot holds no entry, as the lock's owner.
    #[inline(always)]
    pub(super) fn clear_tag(&self, slot: usize) {
        self.change_tag(slot, |word, shift| word & !(0xff << shift));
    }

    #[inline(always)]
    fn change_tag(&self, slot: usize, change: impl FnOnce(u64, usize) -> u64) {
        let word = &self.tags[slot / 8];
        // Relaxed: only the lock's owner writes it.
        let changed = change(word.load(Ordering::Relaxed), slot % 8 * 8);
        let ordering =
            if planted(Bug::TagsRelaxed) { Ordering::Relaxed } else { Ordering::Release };
        // Release: pairs with the Acquire in `tags`.
        word.store(changed, ordering);
    }

    /// The word of the annex.
    #[inline(always)]
    pub(super) fn annex(&self) -> u64 {
        // Acquire: pairs with the Release in `set_annex`; behind a tag we see its entry.
        self.annex.load(Ordering::Acquire)
    }

    /// Writes the word of the annex, as the lock's owner.
    #[inline(always)]
    pub(super) fn set_annex(&self, word: u64) {
        // Release: pairs with the Acquire in `annex`.
        self.annex.store(word, Ordering::Release);
    }
}
