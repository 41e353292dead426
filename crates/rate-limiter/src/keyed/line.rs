//! What the kinds of tables differ in: how a slot holds a bucket.
//!
//! A slot has an owner, by the *tag* of its key, and a theoretical arrival time (TAT). A kind says
//! how both lie in memory, how they change together, and how it counts time. Everything else is in
//! `table`, once.

use super::TableError;
use crate::gcra::Word;
use crate::quota::{Quota, Scale};
use crate::setting::Setting;
use crate::sync::AtomicU64;

/// Where a line says that a key's slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here.
    Slot(usize),
    /// In a line behind this one, if anywhere.
    Behind,
    /// Nowhere: an insertion takes the first line it can, and here is a slot never used.
    Nowhere,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<S> {
    pub(super) seen: S,
    /// The tag of its owner; `None` where it was never used.
    pub(super) owner: Option<u64>,
}

/// Slots that lie side by side.
pub(super) trait Line: Sized + Send + Sync {
    /// Ticks.
    type Word: Word;
    /// What a slot held when it was looked at. A change of owner, TAT or setting changes it.
    type Seen: Copy;

    /// Slots in a line.
    const SLOTS: usize;
    /// Lines that a key may be found in.
    const WINDOW: usize;
    /// Ticks by which the clock may be behind.
    const BEHIND: u64;

    /// A line whose slots were never used.
    fn empty() -> Self;

    /// What tells a key from others in its window.
    fn tag(hash: u64) -> u64;

    /// The slot that a key takes if it can.
    fn first_slot(tag: u64) -> usize;

    /// Looks for the slot of a key.
    fn find(&self, tag: u64) -> Place;

    /// What the slot of a key holds; `None` where it is another's. Acquires.
    fn look(&self, slot: usize, tag: u64) -> Option<Self::Seen>;

    /// What a slot holds, whoever has it. Acquires.
    fn held(&self, slot: usize) -> Held<Self::Seen>;

    /// Whether a slot still holds what was seen.
    fn still(&self, slot: usize, seen: Self::Seen) -> bool;

    /// Gives a slot that still holds `seen` another TAT. Releases.
    fn exchange(
        &self,
        slot: usize,
        seen: Self::Seen,
        setting: &Setting<Self::Word>,
        tag: u64,
        tat: Self::Word,
    ) -> bool;

    /// Gives a slot that still holds `seen` another owner. Releases.
    fn hand_over(
        &self,
        slot: usize,
        seen: Self::Seen,
        setting: &Setting<Self::Word>,
        tag: u64,
        tat: Self::Word,
    ) -> bool;

    /// `quota` in ticks of which `base` are used up; an error where the words are too small.
    fn scale(quota: &Quota, base: Self::Word) -> Result<Scale<Self::Word>, TableError>;

    /// The first tick that no bucket has held under `setting`, which ends at tick `now`; where
    /// slots know their setting otherwise, `now`.
    fn base_after(setting: &Setting<Self::Word>, now: Self::Word) -> Option<Self::Word>;

    /// The tick at nanosecond `now_ns`.
    fn ticks_at(setting: &Setting<Self::Word>, now_ns: u64) -> Self::Word;

    /// `ticks`, or a later tick that was seen before, where the kind needs that. `latest` is the
    /// table's, for this.
    fn present(latest: &AtomicU64, ticks: Self::Word) -> Self::Word;

    /// Ticks that a bucket misses to be full at `now`; `None` where it is of an older setting.
    fn missing(
        setting: &Setting<Self::Word>,
        seen: Self::Seen,
        now: Self::Word,
    ) -> Option<Self::Word>;

    /// The nanosecond at which `wait` ticks will have passed since `now`, the present tick at
    /// nanosecond `now_ns`.
    fn moment_ns(
        setting: &Setting<Self::Word>,
        now_ns: u64,
        now: Self::Word,
        wait: Self::Word,
    ) -> u64;
}
