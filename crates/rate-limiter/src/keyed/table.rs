//! A flat table of buckets that overwrites those that have expired.
//!
//! # Layout
//!
//! A key's hash names its *home* line; its slot is in the home line or one of the next
//! `WINDOW - 1`, the first that was free when the key came. `exact` and `compact` say what a slot
//! is.
//!
//! ```text
//!   home = hash * lines / 2^64
//!
//!      line home            home + 1                     home + WINDOW - 1
//!   | s s s s ... | s s s s ...  |         ...        | s s s s ... |
//! ```
//!
//! A slot, once used, is never unused again. That is why a search may stop at a line with a slot
//! never used: an insertion takes the first line it can, so that nothing of this key lies behind.
//!
//! # Insertion
//!
//! Two inserters of one key must not give it two buckets, so an insertion holds the lock of its
//! home line (see `lines`), and searches again before it takes a slot. Inserters of different homes
//! may still want the same slot; its exchange decides. Requests of keys that have their slot never
//! take a lock.
//!
//! # The quota
//!
//! It may change at any time; see `change`. A request reads the setting and its slot together, and
//! a slot knows which setting its TAT is of.
//!
//! # What this module does not do
//!
//! It never grows, moves or sweeps.

mod change;

use super::line::{Line, Place};
use super::lines::{Lines, Met};
use super::strangers::Strangers;
use super::{KeyedStats, Level, Outcome, Refund, TableError, denial};
use crate::gcra::Word;
use crate::quota::{Quota, Scale};
use crate::setting::{Live, Setting};
use crate::sync::{AtomicU64, Mutex, Ordering};
use change::Carrying;

/// How much of a table is filled when it holds as many keys as it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// Half: of three million random keys none finds no room.
    Half,
    /// Thirteen sixteenths: of a thousand random keys, two find no room while the table is full.
    Dense,
}

impl Filling {
    /// Lines of `slots` slots for `keys` keys; `None` where there is no such number.
    fn lines(self, keys: usize, slots: usize) -> Option<usize> {
        match self {
            Self::Half => Some(keys.div_ceil(slots / 2)),
            Self::Dense => keys.checked_mul(16).map(|parts| parts.div_ceil(13 * slots)),
        }
    }
}

/// The table.
pub(super) struct Table<L: Line> {
    lines: Lines<L>,
    live: Live<L::Word>,
    /// The kind's own; see [`Line::present`].
    latest: AtomicU64,
    /// Nanoseconds in which an empty bucket fills up.
    fill_ns: AtomicU64,
    /// What becomes of buckets of the setting before, while there are any.
    carrying: Mutex<Option<Carrying<L::Word>>>,
}

/// A slot of the table.
struct Slot<'a, L> {
    line: &'a L,
    slot: usize,
}

impl<L: Line> Table<L> {
    /// A table with room for `keys` keys, from `start_ns` on; an error where its words do not keep
    /// `quota`.
    pub(super) fn new(
        quota: &Quota,
        keys: usize,
        filling: Filling,
        start_ns: u64,
    ) -> Result<Self, TableError> {
        let setting = Setting::first(L::scale(quota, L::Word::ZERO)?, start_ns);
        let wide = Scale::wide(quota);
        Ok(Self {
            lines: Lines::new(keys, filling.lines(keys, L::SLOTS))?,
            live: Live::new(setting),
            latest: AtomicU64::new(0),
            fill_ns: AtomicU64::new(wide.nanos_at(wide.tolerance)),
            carrying: Mutex::new(None),
        })
    }

    /// Keeps keys that come once out of the table.
    pub(super) fn keep_out(&mut self, strangers: Strangers) {
        self.lines.keep_out(strangers);
    }

    /// Takes `cells` cells, at least one, all or none, at nanosecond `now_ns`.
    ///
    /// What callers inline is one attempt, which nearly always decides. All that can come in
    /// between is elsewhere, or it would take the registers away: a number that waits on the stack
    /// lengthens the way from the clock to the exchange, which is what a check takes.
    #[inline(always)]
    pub(super) fn take(&self, hash: u64, now_ns: u64, cells: u64) -> Outcome {
        match self.attempt(hash, now_ns, cells, L::missing) {
            Some(outcome) => outcome,
            None => self.take_anyhow(hash, now_ns, cells),
        }
    }

    /// The same for a key without a slot, a slot that changes hands, a bucket of another setting
    /// and among others who take from the bucket.
    #[cold]
    #[inline(never)]
    fn take_anyhow(&self, hash: u64, now_ns: u64, cells: u64) -> Outcome {
        loop {
            if self.find(L::tag(hash), self.lines.home(hash)).is_none()
                && let Some(outcome) = self.insert(hash, now_ns, cells)
            {
                return outcome;
            }
            let missing = |setting: &_, seen, now| self.missing(setting, seen, now);
            if let Some(outcome) = self.attempt(hash, now_ns, cells, missing) {
                return outcome;
            }
        }
    }

    /// Takes from the slot that a key has; `None` where it has none, and where another came first.
    /// `missing` knows what a bucket misses, or that it must be looked at again.
    #[inline(always)]
    fn attempt(
        &self,
        hash: u64,
        now_ns: u64,
        cells: u64,
        missing: impl FnOnce(&Setting<L::Word>, L::Seen, L::Word) -> Option<L::Word>,
    ) -> Option<Outcome> {
        let tag = L::tag(hash);
        let it = self.find(tag, self.lines.home(hash))?;
        let (setting, seen) = self.live.read(|| it.line.look(it.slot, tag));
        let seen = seen?;
        if cells > setting.scale.burst {
            return Some(Outcome::Impossible { burst: setting.scale.burst });
        }
        let now = self.now(&setting, now_ns);
        let wanted = missing(&setting, seen, now)? + setting.scale.cost(cells);
        if wanted <= setting.scale.tolerance {
            let is_taken = it.line.exchange(it.slot, seen, &setting, tag, now + wanted);
            return is_taken.then_some(Outcome::Admitted);
        }
        let wait = wanted - setting.scale.tolerance;
        it.line.still(it.slot, seen).then(|| denied::<L>(setting, now_ns, now, wait))
    }

    /// Looks whether `cells` cells are there. Takes nothing, and makes no bucket.
    pub(super) fn look(&self, hash: u64, now_ns: u64, cells: u64) -> Level {
        let tag = L::tag(hash);
        loop {
            let slot = self.find(tag, self.lines.home(hash));
            let (setting, (seen, fill_ns)) = self.live.read(|| {
                let seen = slot.as_ref().map(|it| it.line.look(it.slot, tag));
                // Acquire: as the words of the setting.
                (seen, self.fill_ns.load(Ordering::Acquire))
            });
            let now = self.now(&setting, now_ns);
            let missing = match (&slot, seen) {
                (Some(it), Some(Some(seen))) if it.line.still(it.slot, seen) => {
                    self.missing(&setting, seen, now)
                }
                (Some(_), _) => None,
                (None, _) => {
                    let took_at_ns = self.lines.took_at_ns(hash, now_ns);
                    Some(first_missing::<L>(&setting, took_at_ns, now))
                }
            };
            if let Some(missing) = missing {
                let at = |wait| L::moment_ns(&setting, now_ns, now, wait);
                return level(&setting.scale, fill_ns, now_ns, missing, cells, at);
            }
        }
    }

    /// Puts back `cells` cells that were taken, as far as the bucket has room for them.
    pub(super) fn give_back(&self, hash: u64, now_ns: u64, cells: u64) -> Refund {
        let tag = L::tag(hash);
        if cells == 0 {
            return Refund::Returned;
        }
        loop {
            let Some(it) = self.find(tag, self.lines.home(hash)) else {
                match self.give_back_unseen(hash, now_ns) {
                    Some(refund) => return refund,
                    None => continue,
                }
            };
            let (setting, seen) = self.live.read(|| it.line.look(it.slot, tag));
            let now = self.now(&setting, now_ns);
            let missing = seen.and_then(|seen| Some((seen, self.missing(&setting, seen, now)?)));
            let Some((seen, missing)) = missing else { continue };
            if missing == L::Word::ZERO {
                return Refund::Full;
            }
            let cost = setting.scale.cost(cells.min(setting.scale.burst));
            let left = missing - cost.min(missing);
            // Full is full: no lower than now, which is after the slot was taken.
            if it.line.exchange(it.slot, seen, &setting, tag, now + left) {
                return Refund::Returned;
            }
        }
    }

    /// Asks for the memory of a bucket that will be taken from soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        self.lines.prefetch(self.lines.home(hash));
    }

    /// What the table has been through.
    pub(super) fn stats(&self) -> KeyedStats {
        self.lines.stats()
    }

    /// The slot that a key has, which is in its home line for nearly all.
    #[inline(always)]
    fn find(&self, tag: u64, home: usize) -> Option<Slot<'_, L>> {
        let line = self.lines.at(home);
        match line.find(tag) {
            Place::Slot(slot) => Some(Slot { line, slot }),
            Place::Behind => self.find_behind(tag, home),
            Place::Nowhere => None,
        }
    }

    /// The slot that a key has in a line behind its home.
    #[inline(never)]
    fn find_behind(&self, tag: u64, home: usize) -> Option<Slot<'_, L>> {
        for line in self.lines.window(home).skip(1) {
            match line.find(tag) {
                Place::Slot(slot) => return Some(Slot { line, slot }),
                Place::Behind => {}
                Place::Nowhere => break,
            }
        }
        None
    }

    #[inline(always)]
    fn now(&self, setting: &Setting<L::Word>, now_ns: u64) -> L::Word {
        L::present(&self.latest, L::ticks_at(setting, now_ns))
    }

    /// Ticks that a bucket misses at `now`; `None` where it has been carried over meanwhile.
    #[inline(always)]
    fn missing(&self, setting: &Setting<L::Word>, seen: L::Seen, now: L::Word) -> Option<L::Word> {
        L::missing(setting, seen, now).or_else(|| self.carried(*setting, seen, now))
    }

    /// Gives a key without a bucket a slot and takes `cells` cells from it; `None` where the key
    /// turns out to have a slot.
    #[cold]
    fn insert(&self, hash: u64, now_ns: u64, cells: u64) -> Option<Outcome> {
        let (tag, home) = (L::tag(hash), self.lines.home(hash));
        let _guard = self.lines.lock(home);
        // The quota does not change while somebody holds such a lock.
        let (setting, has_slot) = self.live.read(|| self.find(tag, home).is_some());
        if has_slot {
            return None;
        }
        if cells > setting.scale.burst {
            return Some(Outcome::Impossible { burst: setting.scale.burst });
        }
        let took_at_ns = match self.lines.meet(hash, now_ns, cells) {
            Met::Passes => return Some(Outcome::Admitted),
            Met::Begins { took_at_ns } => took_at_ns,
        };
        let now = self.now(&setting, now_ns);
        let missing = first_missing::<L>(&setting, took_at_ns, now);
        let wanted = missing + setting.scale.cost(cells);
        let denial = |wait| denial(now_ns, L::moment_ns(&setting, now_ns, now, wait));
        Some(if wanted > setting.scale.tolerance {
            Outcome::Denied(denial(wanted - setting.scale.tolerance))
        } else {
            match self.put(&setting, tag, home, now, wanted) {
                Ok(()) => Outcome::Admitted,
                Err(wait) => {
                    self.lines.count_turned_away();
                    Outcome::NoRoom(denial(wait))
                }
            }
        })
    }

    /// As [`give_back`](Self::give_back), for a key without a slot; `None` where it has one. A key
    /// that the sketch alone knows took one cell at most, and gets a slot that says it is back.
    fn give_back_unseen(&self, hash: u64, now_ns: u64) -> Option<Refund> {
        if self.lines.took_at_ns(hash, now_ns).is_none() {
            return Some(Refund::Full);
        }
        let (tag, home) = (L::tag(hash), self.lines.home(hash));
        let _guard = self.lines.lock(home);
        let (setting, has_slot) = self.live.read(|| self.find(tag, home).is_some());
        if has_slot {
            return None;
        }
        let now = self.now(&setting, now_ns);
        Some(match self.put(&setting, tag, home, now, L::Word::ZERO) {
            Ok(()) => Refund::Returned,
            Err(_) => Refund::NoRoom,
        })
    }

    /// Puts a bucket that misses `missing` into the first slot of a window that is free at `now`,
    /// or says after how many ticks there is one. The caller holds the lock of the home.
    ///
    /// A slot that is not free is never passed by because it is changing hands: a key must not be
    /// put behind one that still looks never used, where a search would stop.
    fn put(
        &self,
        setting: &Setting<L::Word>,
        tag: u64,
        home: usize,
        now: L::Word,
        missing: L::Word,
    ) -> Result<(), L::Word> {
        // Free is what was full before now.
        let before = now - L::Word::ONE.min(now);
        let mut first_free = L::Word::MARK;
        for line in self.lines.window(home) {
            let mut slot = L::first_slot(tag);
            let mut tried = 0;
            while tried < L::SLOTS {
                let held = line.held(slot);
                let wait = match held.owner {
                    None => Some(L::Word::ZERO),
                    Some(_) => self.missing(setting, held.seen, before),
                };
                let Some(wait) = wait else { continue };
                if wait > L::Word::ZERO {
                    first_free = first_free.min(wait + before + L::Word::ONE - now);
                    (slot, tried) = ((slot + 1) % L::SLOTS, tried + 1);
                } else if line.hand_over(slot, held.seen, setting, tag, now + missing) {
                    self.lines.count_inserted(held.owner.is_some());
                    return Ok(());
                }
            }
        }
        Err(first_free)
    }
}

/// The answer where `wait` ticks must pass first.
///
/// The setting comes by value: with a reference to it about, every request would write it to
/// memory.
#[inline(never)]
fn denied<L: Line>(setting: Setting<L::Word>, now_ns: u64, now: L::Word, wait: L::Word) -> Outcome {
    Outcome::Denied(denial(now_ns, L::moment_ns(&setting, now_ns, now, wait)))
}

/// What a bucket misses at `now`, at least, that is full or from which a cell was taken at
/// `took_at_ns`.
fn first_missing<L: Line>(
    setting: &Setting<L::Word>,
    took_at_ns: Option<u64>,
    now: L::Word,
) -> L::Word {
    let Some(nanos) = took_at_ns else { return L::Word::ZERO };
    let behind = L::Word::from(L::BEHIND);
    let tat = L::ticks_at(setting, nanos) + behind + setting.scale.ticks_per_cell;
    tat.max(now) - now
}

/// What a look at nanosecond `now_ns` shows, at a bucket that misses `missing` ticks; `at`
/// knows moments.
fn level<W: Word>(
    scale: &Scale<W>,
    fill_ns: u64,
    now_ns: u64,
    missing: W,
    cells: u64,
    at: impl Fn(W) -> u64,
) -> Level {
    let wanted = missing + scale.cost(cells.min(scale.burst));
    let stored = (scale.tolerance - missing.min(scale.tolerance)) / scale.ticks_per_cell;
    Level {
        burst: scale.burst,
        remaining: stored.try_into().unwrap_or(u64::MAX),
        fill_ns,
        full_at_ns: if missing == W::ZERO { now_ns } else { at(missing) },
        ready_at_ns: (wanted > scale.tolerance).then(|| at(wanted - scale.tolerance)),
    }
}

impl<L: Line> std::fmt::Debug for Table<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("lines", &self.lines).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
