//! The memory of a table: lines that a hash leads to, locks for those who insert, and counts.
//!
//! A key's hash names its *home* line; its slot is in the home line or one of the next
//! `WINDOW - 1`, which begin anew at the end of the table. What a line holds is not the business of
//! this module.
//!
//! All memory is taken, and touched, when the table is made. Two lines of one table seldom lie in
//! one page, so that a large table of small pages costs a walk through the page tables with each
//! check; it asks for huge pages.

use super::line::Line;
use super::strangers::{Known, Strangers};
use super::{KeyedStats, TableError, pages, prefetch};
use crate::live::Carry;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// Locks that insertions are spread over.
const LOCKS: usize = 64;

/// What becomes of a key without a slot.
pub(super) enum Met {
    /// It is admitted without one.
    Passes,
    /// It gets one, with a full bucket, or one from which a cell was taken at this nanosecond.
    Begins { took_at_ns: Option<u64> },
}

/// Lines of kind `L`, each key's within `L::WINDOW` of its home.
pub(super) struct Lines<L> {
    /// Invariant: at least `L::WINDOW` lines, so that a window never meets itself.
    lines: Box<[L]>,
    locks: Box<[Mutex<()>]>,
    strangers: Option<Strangers>,
    inserted: AtomicU64,
    overwritten: AtomicU64,
    turned_away: AtomicU64,
}

impl<L: Line> Lines<L> {
    /// `count` lines for `keys` keys; `None` where there is no such number.
    pub(super) fn new(keys: usize, count: Option<usize>) -> Result<Self, TableError> {
        if keys == 0 {
            return Err(TableError::Zero);
        }
        let too_large = TableError::TooLarge { keys };
        let count = count.ok_or(too_large)?.max(L::WINDOW);
        let bytes = count.checked_mul(size_of::<L>()).ok_or(too_large)?;
        if isize::try_from(bytes).is_err() {
            return Err(too_large);
        }
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| TableError::OutOfMemory { keys, bytes })?;
        pages::ask_for_huge(lines.spare_capacity_mut());
        lines.resize_with(count, L::empty);
        Ok(Self {
            lines: lines.into_boxed_slice(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            inserted: AtomicU64::new(0),
            overwritten: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            strangers: None,
        })
    }

    /// All lines, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &L> {
        self.lines.iter()
    }

    /// Keeps keys that come once out of the lines from now on.
    pub(super) fn keep_out(&mut self, strangers: Strangers) {
        self.strangers = Some(strangers);
    }

    /// Who a key without a slot is that asks for `cells`. The caller holds the lock of its home.
    pub(super) fn meet(&self, hash: u64, now_ns: u64, cells: u64) -> Met {
        let Some(strangers) = &self.strangers else { return Met::Begins { took_at_ns: None } };
        let known = match cells {
            1 => strangers.meet(hash, now_ns),
            _ => strangers.look(hash, now_ns),
        };
        match known {
            Known::Stranger if cells == 1 => Met::Passes,
            Known::Stranger => Met::Begins { took_at_ns: None },
            Known::TookAt(nanos) => Met::Begins { took_at_ns: Some(nanos) },
        }
    }

    /// When a key without a slot may have taken a cell, at the latest.
    pub(super) fn took_at_ns(&self, hash: u64, now_ns: u64) -> Option<u64> {
        match self.strangers.as_ref()?.look(hash, now_ns) {
            Known::TookAt(nanos) => Some(nanos),
            Known::Stranger => None,
        }
    }

    /// The line at which the window of a key begins. The high bits of the hash decide; the
    /// multiplication maps them evenly to any number of lines (Lemire 2019).
    #[inline(always)]
    pub(super) fn home(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below the number of lines")]
        let home = ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize;
        home
    }

    /// The line at which a window begins.
    #[inline(always)]
    pub(super) fn at(&self, home: usize) -> &L {
        &self.lines[home]
    }

    /// The lines of a window, in order.
    #[inline(always)]
    pub(super) fn window(&self, home: usize) -> impl Iterator<Item = &L> {
        (home..home + L::WINDOW).map(|index| {
            let index = if index < self.lines.len() { index } else { index - self.lines.len() };
            &self.lines[index]
        })
    }

    /// Asks for a line that will be looked at soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, line: usize) {
        prefetch::line(&raw const self.lines[line]);
    }

    /// Keeps out all others who insert a key of this home.
    pub(super) fn lock(&self, home: usize) -> MutexGuard<'_, ()> {
        self.locks[home % LOCKS].lock().expect("no holder of this lock panics")
    }

    /// Keeps out all who insert.
    pub(super) fn lock_all(&self) -> Vec<MutexGuard<'_, ()>> {
        self.locks.iter().map(|it| it.lock().expect("no holder of this lock panics")).collect()
    }

    /// Makes the sketch one for `quota`, from `now_ns` on. The caller keeps out all who insert.
    pub(super) fn change_strangers(&self, quota: &Quota, now_ns: u64, carry: Carry) {
        if let Some(strangers) = &self.strangers {
            strangers.change(quota, now_ns, carry);
        }
    }

    /// Counts a key that took a slot.
    pub(super) fn count_inserted(&self, overwrote: bool) {
        // Relaxed, here and below: counts, each for itself.
        self.inserted.fetch_add(1, Ordering::Relaxed);
        self.overwritten.fetch_add(u64::from(overwrote), Ordering::Relaxed);
    }

    /// Counts a request for which there was no room.
    pub(super) fn count_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// What the table has been through.
    pub(super) fn stats(&self) -> KeyedStats {
        KeyedStats {
            slots: self.lines.len() * L::SLOTS,
            bytes: size_of_val(&*self.lines) + self.strangers.as_ref().map_or(0, Strangers::bytes),
            inserted: self.inserted.load(Ordering::Relaxed),
            overwritten: self.overwritten.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
            passed: self.strangers.as_ref().map_or(0, Strangers::passed),
        }
    }
}

impl<L> std::fmt::Debug for Lines<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}
