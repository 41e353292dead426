//! One bucket whose quota may change while it is in use.
//!
//! A change converts the debt of the bucket (what it misses to be full) from the ticks of the old
//! quota to those of the new one, as [`Carry`] says. The result is rounded up to a tick, so that a
//! change never gives a cell away:
//!
//! ```text
//!   Fraction   debt' = ceil(debt * tolerance' / tolerance)      a half full bucket stays half full
//!   Cells      stored' = floor(stored * interval' / interval)    as many cells, at most the burst
//!   Full       debt' = 0
//! ```
//!
//! # How
//!
//! The quota is a [`Setting`](crate::setting) behind a version. A check reads it and the bucket's
//! theoretical arrival time (TAT) together and exchanges the TAT; a change exchanges the TAT once,
//! for one that no check has seen, and publishes the new setting. Whoever comes second fails and
//! looks again: every check falls wholly before a change or wholly after it.
//!
//! A bucket begins in 64 bits where they keep its quota. The first quota that needs 128 moves it to
//! another word, where it stays:
//!
//! | TAT    | version | who may change the TAT                                              |
//! |--------|---------|---------------------------------------------------------------------|
//! | a tick | even    | a check, by exchanging it                                           |
//! | a tick | odd     | the change; a check that read the old setting, before it            |
//! | `MARK` | any     | nobody: the bucket is in the wide word                              |
//!
//! # What this module does not do
//!
//! A change believes the clock: if the clock has jumped back at that moment, the bucket forgets by
//! how far.

use std::hint::cold_path;
use std::sync::OnceLock;
use std::time::Duration;

use env::clock::Timestamp;

use crate::bucket::AtomicWord;
use crate::decision::{Decision, Denial, Standing};
use crate::gcra::{Step, Word, debt, step};
use crate::quota::{Quota, Scale};
use crate::ratio::{mul_div, mul_div_ceil};
use crate::setting::{Live, Setting};
use crate::single::settled_by_size;
use crate::sync::{AtomicU64, AtomicU128, Ordering};

/// What becomes of the cells in a bucket when its quota changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// A bucket that was half full stays half full.
    #[default]
    Fraction,
    /// A bucket keeps its cells, as many as the new burst has room for.
    Cells,
    /// A bucket is full.
    Full,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// The cells were there.
    Now,
    /// They will be: this is the TAT behind them.
    Due { tat: u128 },
    /// They would be at `due`, and nothing was taken.
    TooLate { due: Timestamp },
    /// They are more than a full bucket holds.
    TooLarge { burst: u64 },
}

/// What became of a reservation that was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It was not due: all behind it are due earlier by what it took.
    Returned,
    /// It was due, but nobody came after it.
    AsLast,
    /// It was due and somebody came after it; the bucket may have been full in between, and what
    /// was replenished must not be given twice.
    Forfeited,
}

/// The bucket.
#[derive(Debug)]
pub(crate) enum LiveBucket {
    /// In 64 bits, unless it has moved.
    Narrow { cell: Cell<AtomicU64>, moved: OnceLock<Box<Cell<AtomicU128>>> },
    /// In 128 bits from the start.
    Wide(Cell<AtomicU128>),
}

/// A bucket in one word. The word has a cache line of its own: what all checks read stays in every
/// processor's cache while they fight for the word.
#[derive(Debug)]
pub(crate) struct Cell<A: AtomicWord> {
    tat: Lined<A>,
    live: Live<A::Word>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Lined<A>(A);

/// Does the same to a bucket of either width. What it does returns `None` where the bucket moved.
macro_rules! either {
    ($bucket:expr, $cell:ident => $does:expr) => {
        match $bucket {
            LiveBucket::Narrow { cell: $cell, moved } => match $does {
                Some(done) => done,
                None => {
                    let $cell = wide(moved);
                    $does.expect("a wide bucket never moves")
                }
            },
            LiveBucket::Wide($cell) => $does.expect("a wide bucket never moves"),
        }
    };
}

/// Where a bucket has moved to.
#[cold]
fn wide(moved: &OnceLock<Box<Cell<AtomicU128>>>) -> &Cell<AtomicU128> {
    moved.get().expect("the wide word is there before the version is even again")
}

impl LiveBucket {
    /// A full bucket at `now`.
    pub(crate) fn full(quota: &Quota, now: Timestamp) -> Self {
        match Scale::narrow(quota) {
            Some(scale) => Self::Narrow { cell: Cell::new(scale, now, 0), moved: OnceLock::new() },
            None => Self::Wide(Cell::new(Scale::wide(quota), now, 0)),
        }
    }

    #[inline(always)]
    pub(crate) fn check(&self, now: Timestamp, cells: u64) -> Decision {
        either!(self, cell => cell.take(now, cells))
    }

    pub(crate) fn peek(&self, now: Timestamp, cells: u64) -> Decision {
        either!(self, cell => cell.peek(now, cells))
    }

    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        either!(self, cell => cell.standing(now))
    }

    pub(crate) fn refund(&self, cells: u64) {
        either!(self, cell => cell.refund(cells));
    }

    /// Takes `cells` cells at `now` and says when the bucket would have been full without them:
    /// when they leave a queue that is served at the quota's rate.
    pub(crate) fn queue(&self, now: Timestamp, cells: u64) -> Result<Timestamp, Decision> {
        either!(self, cell => cell.queue(now, cells))
    }

    /// What [`queue`](Self::queue) would say. Takes nothing.
    pub(crate) fn peek_queue(&self, now: Timestamp, cells: u64) -> Result<Timestamp, Decision> {
        either!(self, cell => cell.peek_queue(now, cells))
    }

    /// Takes what `held` cells lack of `cells`, at least one, and as many of `more` as there are
    /// besides; says how many in all, or what the answer to a request for `cells` is.
    pub(crate) fn refill(
        &self,
        now: Timestamp,
        cells: u64,
        held: u64,
        more: u64,
    ) -> Result<u64, Decision> {
        either!(self, cell => cell.refill(now, cells, held, more))
    }

    /// Takes `cells` cells, whether they are there or not, if they will be within `patience` of
    /// `now`.
    pub(crate) fn reserve(&self, now: Timestamp, cells: u64, patience: Duration) -> Reserved {
        either!(self, cell => cell.reserve(now, cells, patience))
    }

    /// Gives back a reservation of `cells` cells that led to `tat`, unless it is due already; that
    /// is decided at `now` (called after the bucket was read).
    ///
    /// As long as the reservation is not due, the bucket was not full since, so that without it
    /// every later TAT would have been smaller by what it took.
    pub(crate) fn cancel(&self, tat: u128, cells: u64, now: impl Fn() -> Timestamp) -> Cancelled {
        either!(self, cell => cell.cancel(tat, cells, &now))
    }

    /// The setting in force.
    pub(crate) fn setting(&self) -> Setting<u128> {
        either!(self, cell => cell.setting())
    }

    /// Keeps the quota `new` instead of `old` from now on. Changes come one at a time.
    pub(crate) fn change(&self, now: Timestamp, old: &Quota, new: &Quota, carry: Carry) {
        self.change_by(now, new, |debt| carried(carry, old, new, debt));
    }

    /// The same where `carried` says what a debt becomes, which may be beyond a tolerance: of a
    /// bucket that is overdrawn.
    pub(crate) fn change_by(&self, now: Timestamp, new: &Quota, carried: impl Fn(u128) -> u128) {
        let wide = |base| match Scale::wide_after(new, base) {
            Some(scale) => (scale, base),
            // All of 128 bits are used up. A check that meets an old TAT again slept through that.
            None => (Scale::wide(new), 0),
        };
        match self {
            Self::Narrow { cell, moved } => match moved.get() {
                None => cell.change(
                    now,
                    carried,
                    |base| Scale::narrow_after(new, base).map(|scale| (scale, base)),
                    |debt| {
                        let cell = Box::new(Cell::new(Scale::wide(new), now, debt));
                        moved.set(cell).expect("a bucket moves once");
                    },
                ),
                Some(cell) => cell.change(now, carried, |base| Some(wide(base)), |_| {}),
            },
            Self::Wide(cell) => cell.change(now, carried, |base| Some(wide(base)), |_| {}),
        }
    }
}

impl<A: AtomicWord> Cell<A> {
    /// A bucket that misses `debt` ticks to be full at `now`.
    fn new(scale: Scale<A::Word>, now: Timestamp, debt: A::Word) -> Self {
        let live = Live::new(Setting::first(scale, now.as_nanos()));
        Self { tat: Lined(A::new(debt)), live }
    }

    /// The setting and the TAT under it; `None` where the bucket has moved.
    #[inline(always)]
    fn read(&self) -> Option<(Setting<A::Word>, A::Word)> {
        // Acquire: pairs with the exchange in `change`, so that who sees a TAT of the new setting
        // sees that it changed. Exchanges of checks carry that on, being exchanges.
        let (setting, seen) = self.live.read(|| self.tat.0.load(Ordering::Acquire));
        (seen != A::Word::MARK).then_some((setting, seen))
    }

    #[inline(always)]
    fn take(&self, now: Timestamp, cells: u64) -> Option<Decision> {
        loop {
            let (setting, seen) = self.read()?;
            if let Some(decision) = settled_by_size(setting.scale.burst, cells) {
                cold_path();
                return Some(decision);
            }
            let ticks = setting.ticks_at(now.as_nanos());
            match step(&setting.scale, seen, ticks, setting.scale.cost(cells)) {
                Step::Deny(ready) => return Some(denied(&setting, now, ready)),
                Step::Admit(tat) => {
                    // Relaxed: see the header of `bucket`.
                    if self.tat.0.exchange(seen, tat, Ordering::Relaxed).is_ok() {
                        return Some(Decision::Admitted);
                    }
                }
            }
        }
    }

    fn peek(&self, now: Timestamp, cells: u64) -> Option<Decision> {
        let (setting, seen) = self.read()?;
        if let Some(decision) = settled_by_size(setting.scale.burst, cells) {
            return Some(decision);
        }
        let ticks = setting.ticks_at(now.as_nanos());
        Some(match step(&setting.scale, seen, ticks, setting.scale.cost(cells)) {
            Step::Admit(_) => Decision::Admitted,
            Step::Deny(ready) => denied(&setting, now, ready),
        })
    }

    fn queue(&self, now: Timestamp, cells: u64) -> Option<Result<Timestamp, Decision>> {
        loop {
            let (setting, seen) = self.read()?;
            let (answer, tat) = departure(&setting, seen, now, cells);
            // Relaxed: see the header of `bucket`.
            if tat == seen || self.tat.0.exchange(seen, tat, Ordering::Relaxed).is_ok() {
                return Some(answer);
            }
        }
    }

    fn reserve(&self, now: Timestamp, cells: u64, patience: Duration) -> Option<Reserved> {
        loop {
            let (setting, seen) = self.read()?;
            let burst = setting.scale.burst;
            if cells > burst {
                return Some(Reserved::TooLarge { burst });
            }
            let (ticks, cost) = (setting.ticks_at(now.as_nanos()), setting.scale.cost(cells));
            // A reservation beyond the clock's end would never be due, and might not fit.
            let tolerance = setting.scale.tolerance;
            let latest = setting.ticks_at((now + patience).as_nanos()) + tolerance;
            let tat = seen.max(ticks) + cost;
            if tat > latest {
                return Some(Reserved::TooLate { due: setting.due(tat) });
            }
            // Relaxed: see the header of `bucket`.
            if self.tat.0.exchange(seen, tat, Ordering::Relaxed).is_ok() {
                let is_there = tat <= ticks + tolerance;
                let tat = tat.into();
                return Some(if is_there { Reserved::Now } else { Reserved::Due { tat } });
            }
        }
    }

    fn cancel(&self, tat: u128, cells: u64, now: impl Fn() -> Timestamp) -> Option<Cancelled> {
        loop {
            // Acquire: the clock is read after it.
            let (setting, seen) = self.read()?;
            let is_last = seen.into() == tat;
            let is_due =
                tat <= (setting.ticks_at(now().as_nanos()) + setting.scale.tolerance).into();
            if is_due && !is_last {
                return Some(Cancelled::Forfeited);
            }
            let less = less(&setting, seen, cells);
            // Relaxed: see the header of `bucket`.
            if self.tat.0.exchange(seen, less, Ordering::Relaxed).is_ok() {
                return Some(if is_due { Cancelled::AsLast } else { Cancelled::Returned });
            }
        }
    }

    fn setting(&self) -> Option<Setting<u128>> {
        let (Setting { scale, start_ns, base, version }, _) = self.read()?;
        let scale = Scale {
            ticks_per_ns: scale.ticks_per_ns.into(),
            ticks_per_cell: scale.ticks_per_cell.into(),
            tolerance: scale.tolerance.into(),
            burst: scale.burst,
            elapsed_ns_max: scale.elapsed_ns_max,
        };
        Some(Setting { scale, start_ns, base: base.into(), version })
    }

    fn peek_queue(&self, now: Timestamp, cells: u64) -> Option<Result<Timestamp, Decision>> {
        let (setting, seen) = self.read()?;
        Some(departure(&setting, seen, now, cells).0)
    }

    fn refill(
        &self,
        now: Timestamp,
        cells: u64,
        held: u64,
        more: u64,
    ) -> Option<Result<u64, Decision>> {
        loop {
            let (setting, seen) = self.read()?;
            let scale = &setting.scale;
            if let Some(decision) = settled_by_size(scale.burst, cells) {
                return Some(Err(decision));
            }
            let (missing, ticks) = (cells - held, setting.ticks_at(now.as_nanos()));
            match step(scale, seen, ticks, scale.cost(missing)) {
                Step::Deny(ready) => return Some(Err(denied(&setting, now, ready))),
                Step::Admit(tat) => {
                    let more = scale.remaining(tat, ticks).min(more);
                    let tat = tat + scale.cost(more);
                    // Relaxed: see the header of `bucket`.
                    if self.tat.0.exchange(seen, tat, Ordering::Relaxed).is_ok() {
                        return Some(Ok(missing + more));
                    }
                }
            }
        }
    }

    fn standing(&self, now: Timestamp) -> Option<Standing> {
        let (setting, seen) = self.read()?;
        Some(standing(&setting, now, seen))
    }

    fn refund(&self, cells: u64) -> Option<()> {
        loop {
            let (setting, seen) = self.read()?;
            let less = less(&setting, seen, cells.min(setting.scale.burst));
            // Relaxed: see the header of `bucket`.
            if self.tat.0.exchange(seen, less, Ordering::Relaxed).is_ok() {
                return Some(());
            }
        }
    }

    /// Puts into force what `fit` makes of the first tick above all that were used, and where the
    /// new setting's ticks begin. Where it makes nothing, the bucket moves: `move_out` is told what
    /// it misses. `carried` says what a debt becomes.
    fn change(
        &self,
        now: Timestamp,
        carried: impl Fn(u128) -> u128,
        fit: impl Fn(A::Word) -> Option<(Scale<A::Word>, A::Word)>,
        move_out: impl FnOnce(u128),
    ) {
        self.live.change(|old| {
            let ticks = old.ticks_at(now.as_nanos());
            // Relaxed, here and below: the version orders changes.
            let mut seen = self.tat.0.load(Ordering::Relaxed);
            loop {
                let missing = carried(debt(seen, ticks).into());
                let used = seen.max(ticks + old.scale.tolerance);
                let next = fit(used + A::Word::ONE);
                let tat = next.map_or(A::Word::MARK, |(scale, base)| {
                    base + A::Word::try_from(missing)
                        .map_or(scale.reach(), |it| it.min(scale.reach()))
                });
                // Release: who sees it sees that the version is odd.
                if let Err(found) = self.tat.0.exchange(seen, tat, Ordering::Release) {
                    seen = found;
                    continue;
                }
                let Some((scale, base)) = next else {
                    move_out(missing);
                    return None;
                };
                return Some(Setting { scale, start_ns: now.as_nanos(), base, ..old });
            }
        });
    }
}

/// A TAT without `cells` cells. One below the first tick has passed long ago or will be it: the
/// bucket is full, either way.
fn less<W: Word>(setting: &Setting<W>, seen: W, cells: u64) -> W {
    let cost = W::from(cells).checked_mul(setting.scale.ticks_per_cell);
    match cost {
        Some(cost) if seen > setting.base && seen - setting.base > cost => seen - cost,
        _ => setting.base,
    }
}

/// What a bucket with theoretical arrival time `tat` holds at `now`.
pub(crate) fn standing<W: Word>(setting: &Setting<W>, now: Timestamp, tat: W) -> Standing {
    let ticks = setting.ticks_at(now.as_nanos());
    let full_at = Timestamp::from_nanos(setting.moment_ns(tat.max(ticks)));
    Standing {
        burst: setting.scale.burst,
        remaining: setting.scale.remaining(tat, ticks),
        full_at: if tat > ticks { full_at } else { now },
        asked_at: now,
        fill_ns: setting.scale.nanos_at(setting.scale.tolerance),
    }
}

/// When `cells` cells that join a queue at `now` depart, or why they do not join; and the TAT after
/// that.
fn departure<W: Word>(
    setting: &Setting<W>,
    seen: W,
    now: Timestamp,
    cells: u64,
) -> (Result<Timestamp, Decision>, W) {
    match settled_by_size(setting.scale.burst, cells) {
        Some(Decision::Admitted) => return (Ok(now), seen),
        Some(decision) => return (Err(decision), seen),
        None => {}
    }
    let cost = setting.scale.cost(cells);
    match step(&setting.scale, seen, setting.ticks_at(now.as_nanos()), cost) {
        Step::Admit(tat) => {
            (Ok(Timestamp::from_nanos(setting.moment_ns(tat - cost)).max(now)), tat)
        }
        Step::Deny(ready) => (Err(denied(setting, now, ready)), seen),
    }
}

/// The denial that ends at tick `ready`.
#[inline]
pub(crate) fn denied<W: Word>(setting: &Setting<W>, now: Timestamp, ready: W) -> Decision {
    let retry_at = Timestamp::from_nanos(setting.moment_ns(ready));
    Decision::Denied(Denial::new(now, retry_at))
}

/// A debt in ticks of the old quota as one in ticks of the new.
pub(crate) fn carried(carry: Carry, old: &Quota, new: &Quota, debt: u128) -> u128 {
    // A narrow bucket has the same ticks, in a narrower word.
    let (old, new) = (Scale::wide(old), Scale::wide(new));
    let debt = debt.min(old.tolerance);
    match carry {
        Carry::Fraction => mul_div_ceil(debt, new.tolerance, old.tolerance),
        Carry::Cells => {
            let stored = mul_div(old.tolerance - debt, new.ticks_per_cell, old.ticks_per_cell);
            new.tolerance - stored.min(new.tolerance)
        }
        Carry::Full => 0,
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
pub(crate) mod tests;
