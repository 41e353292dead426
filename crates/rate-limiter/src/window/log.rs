//! Sliding-window log: at most `L` cells in any stretch `(t - W, t]`, exactly.
//!
//! A ring holds an entry for each admission that is not yet `W` old, with its moment and its
//! cells; admissions of one moment share an entry.
//!
//! ```text
//!   admit  iff  sum of cells in entries younger than W  +  cells  <=  L
//! ```
//!
//! # Error bound
//!
//! Zero, for the price of memory: 16 bytes for each cell of the limit, all of them at construction.
//!
//! # State
//!
//! The ring behind a lock: there is no way to drop the old and add the new in one exchange. A check
//! walks over what has expired, so that it takes as many steps as admissions have since the last.

use std::collections::VecDeque;

use env::clock::{Clock, FastClock, Timestamp};

use super::rule::nanos;
use crate::decision::{Decision, Denial};
use crate::quota::{Quota, QuotaError};
use crate::single::settled_by_size;
use crate::sync::{Mutex, MutexGuard};

/// A limiter of one bucket that remembers every admission of the last period.
#[derive(Debug)]
pub struct SlidingLog<C = FastClock> {
    log: Mutex<Log>,
    clock: C,
}

#[derive(Debug)]
struct Log {
    quota: Quota,
    window_ns: u64,
    /// Moments and cells, oldest first. Invariant: there is room for an entry for each cell of the
    /// quota, and moments ascend.
    entries: VecDeque<(u64, u64)>,
    /// Cells of all entries.
    total: u64,
    /// The newest moment that was ever entered.
    newest: u64,
}

impl SlidingLog<FastClock> {
    /// An empty log on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Result<Self, QuotaError> {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> SlidingLog<C> {
    /// An empty log on `clock`; takes 16 bytes for each cell of the quota, now.
    pub fn with_clock(quota: Quota, clock: C) -> Result<Self, QuotaError> {
        let mut log = Log { quota, window_ns: 0, entries: VecDeque::new(), total: 0, newest: 0 };
        log.keep(quota)?;
        Ok(Self { log: Mutex::new(log), clock })
    }

    /// Takes one cell, now.
    pub fn check(&self) -> Decision {
        self.check_n(1)
    }

    /// Takes `cells` cells, all or none, now. The clock is read under the lock, so that no thread
    /// comes too late with an earlier moment.
    pub fn check_n(&self, cells: u64) -> Decision {
        let log = self.lock();
        let now = self.clock.now();
        Self::decide(log, now, cells)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's clock.
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        Self::decide(self.lock(), now, cells)
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.lock().answer(now, cells).0
    }

    /// Gives back cells that were taken and not used, the newest first, of those that still count
    /// at `now`; says how many. As many steps as admissions that are given back.
    pub fn refund_at(&self, now: Timestamp, cells: u64) -> u64 {
        self.lock().give_back(now.as_nanos(), cells)
    }

    /// Keeps another quota from now on. What was admitted goes on counting until it is as old as
    /// the new period; what had left a shorter one may be forgotten. Where there is no memory for
    /// the cells of the new quota, nothing has changed.
    ///
    /// ```
    /// use rate_limiter::{Quota, SlidingLog};
    ///
    /// # fn main() -> Result<(), rate_limiter::QuotaError> {
    /// let limiter = SlidingLog::new(Quota::per_hour(2)?)?;
    /// assert!(limiter.check().is_admitted());
    /// limiter.set_quota(Quota::per_hour(1)?)?;
    /// assert!(!limiter.check().is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota) -> Result<(), QuotaError> {
        self.lock().keep(quota)
    }

    /// The quota that the limiter keeps at present.
    pub fn quota(&self) -> Quota {
        self.lock().quota
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder of this lock panics")
    }

    fn decide(mut log: MutexGuard<'_, Log>, now: Timestamp, cells: u64) -> Decision {
        let (decision, expired) = log.answer(now, cells);
        if let Some((entries, expired)) = expired {
            log.forget(entries, expired);
            log.enter(now.as_nanos(), cells);
        }
        decision
    }
}

impl Log {
    /// Keeps `quota` from now on.
    fn keep(&mut self, quota: Quota) -> Result<(), QuotaError> {
        let refused = QuotaError::WindowTooLarge { cells: quota.cells() };
        let capacity = usize::try_from(quota.cells()).map_err(|_| refused)?;
        let more = capacity.saturating_sub(self.entries.len());
        self.entries.try_reserve_exact(more).map_err(|_| refused)?;
        self.entries.shrink_to(capacity);
        (self.quota, self.window_ns) = (quota, nanos(&quota));
        Ok(())
    }

    /// The answer to a request; where it takes cells, also the entries that have expired.
    fn answer(&self, now: Timestamp, cells: u64) -> (Decision, Option<(usize, u64)>) {
        let limit = self.quota.cells();
        if let Some(decision) = settled_by_size(limit, cells) {
            return (decision, None);
        }
        let asked = now.as_nanos();
        let judged = asked.max(self.newest);
        let (entries, expired) = self.expired(judged);
        let fits = self.total - expired <= limit - cells;
        if fits && judged == asked {
            return (Decision::Admitted, Some((entries, expired)));
        }
        let ready = if fits { judged } else { self.ready(limit - cells) };
        (Decision::Denied(Denial::new(now, Timestamp::from_nanos(ready))), None)
    }

    /// When so much of the log will have expired that it counts no more than `left`.
    fn ready(&self, left: u64) -> u64 {
        let mut excess = self.total - left;
        for &(moment, count) in &self.entries {
            if count >= excess {
                return moment.saturating_add(self.window_ns);
            }
            excess -= count;
        }
        unreachable!("a request within the limit fits into an empty log")
    }

    /// How many entries are not in `(now - window, now]`, and their cells.
    fn expired(&self, now: u64) -> (usize, u64) {
        let Some(edge) = now.checked_sub(self.window_ns) else { return (0, 0) };
        let expired = self.entries.iter().take_while(|&&(moment, _)| moment <= edge);
        expired.fold((0, 0), |(entries, cells), &(_, count)| (entries + 1, cells + count))
    }

    /// Drops the oldest entries. Only an admission does: a moment that is denied may be followed by
    /// an earlier one, to which they still count.
    fn forget(&mut self, entries: usize, cells: u64) {
        self.entries.drain(..entries);
        self.total -= cells;
    }

    /// Takes cells out of the newest entries that have not expired; says how many.
    fn give_back(&mut self, now: u64, cells: u64) -> u64 {
        let edge = now.max(self.newest).checked_sub(self.window_ns);
        let mut left = cells;
        while let Some((moment, count)) = self.entries.back_mut()
            && edge.is_none_or(|edge| *moment > edge)
            && left > 0
        {
            let part = left.min(*count);
            (left, *count) = (left - part, *count - part);
            if *count == 0 {
                self.entries.pop_back();
            }
        }
        self.total -= cells - left;
        cells - left
    }

    fn enter(&mut self, moment: u64, cells: u64) {
        self.total += cells;
        self.newest = moment;
        match self.entries.back_mut() {
            Some((last, count)) if *last == moment => *count += cells,
            _ => self.entries.push_back((moment, cells)),
        }
    }
}
