//! The teaching solution: each stage as short as it can honestly be.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use harness::sync::atomic::{AtomicU64, Ordering};
use harness::sync::{Mutex, hint};

use crate::{KEYS, Limit, LimiterSpec, Unsupported, Verdict};

/// The limiter that runs in the duel under the name `yours`.
pub type Yours = Atomic;

fn unsupported(spec: &LimiterSpec, why: &str) -> Unsupported {
    Unsupported(format!("{} cells in {:?}: {why}", spec.cells, spec.period))
}

/// Nanoseconds between two cells, and those that a full bucket is worth.
fn whole_interval(spec: &LimiterSpec) -> Result<(u64, u64), Unsupported> {
    let period = u64::try_from(spec.period.as_nanos()).ok();
    let period = period.filter(|period| period.is_multiple_of(spec.cells));
    let interval = period.map(|period| period / spec.cells);
    let parts = interval.and_then(|it| Some((it, it.checked_mul(spec.burst.into())?)));
    parts.ok_or_else(|| unsupported(spec, "not in whole nanoseconds"))
}

fn deny(nanos: u64) -> Verdict {
    Verdict::Deny { retry_after: Some(Duration::from_nanos(nanos)) }
}

/// Stage 1: a number of tokens and the moment up to which they were counted, behind a lock.
#[derive(Debug)]
pub struct TokenBucket {
    interval: u64,
    burst: u64,
    tokens: Mutex<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    left: u64,
    counted_to: u64,
}

impl Limit for TokenBucket {
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let (interval, _) = whole_interval(spec)?;
        let burst = u64::from(spec.burst);
        let tokens = Mutex::new(Tokens { left: burst, counted_to: 0 });
        Ok(Self { interval, burst, tokens })
    }

    fn check(&self, now: u64, _key: u64, cost: u32) -> Verdict {
        let cost = u64::from(cost);
        if cost > self.burst {
            return Verdict::TooLarge;
        }
        let mut tokens = self.tokens.lock().expect("no holder panics");
        let come = now.saturating_sub(tokens.counted_to) / self.interval;
        // The part of a token that has come is kept: the moment moves by whole tokens only.
        tokens.counted_to += come * self.interval;
        tokens.left += come;
        if tokens.left >= self.burst {
            // A full bucket has no part of a token more.
            tokens.left = self.burst;
            tokens.counted_to = tokens.counted_to.max(now);
        }
        if tokens.left >= cost {
            tokens.left -= cost;
            return Verdict::Admit;
        }
        deny(tokens.counted_to + (cost - tokens.left) * self.interval - now)
    }
}

/// Stage 2: the same decisions from one number, the theoretical arrival time (TAT): the moment at
/// which the bucket is full again.
#[derive(Debug)]
pub struct Gcra {
    interval: u64,
    tolerance: u64,
    tat: Mutex<u64>,
}

impl Limit for Gcra {
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let (interval, tolerance) = whole_interval(spec)?;
        Ok(Self { interval, tolerance, tat: Mutex::new(0) })
    }

    fn check(&self, now: u64, _key: u64, cost: u32) -> Verdict {
        let cost = u64::from(cost).saturating_mul(self.interval);
        if cost > self.tolerance {
            return Verdict::TooLarge;
        }
        let mut tat = self.tat.lock().expect("no holder panics");
        let new = (*tat).max(now) + cost;
        if new <= now + self.tolerance {
            *tat = new;
            return Verdict::Admit;
        }
        deny(new - self.tolerance - now)
    }
}

/// A quota in ticks, of which a nanosecond and an interval have whole numbers.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    per_nano: u128,
    per_cell: u128,
    tolerance: u128,
    /// Where the clock stands still, so that no sum outgrows its word.
    now_max: u64,
}

impl Ticks {
    /// The interval is `period / cells`: with `cells` ticks in a nanosecond it is `period` of them.
    fn new(spec: &LimiterSpec, most: u128) -> Result<Self, Unsupported> {
        let (period, cells) = (spec.period.as_nanos(), u128::from(spec.cells));
        let shared = greatest_common_divisor(period, cells);
        let (per_nano, per_cell) = (cells / shared, period / shared);
        let tolerance = per_cell.checked_mul(spec.burst.into());
        // The largest sum is that of a TAT, at most `now + tolerance`, and of a cost.
        let room = tolerance.and_then(|it| most.checked_sub(it.checked_mul(2)?));
        let (Some(tolerance), Some(room)) = (tolerance, room) else {
            return Err(unsupported(spec, "the burst is worth too long a time"));
        };
        let now_max = u64::try_from(room / per_nano).unwrap_or(u64::MAX);
        Ok(Self { per_nano, per_cell, tolerance, now_max })
    }

    fn at(&self, now: u64) -> u128 {
        u128::from(now.min(self.now_max)) * self.per_nano
    }

    /// The new TAT; or, where that is too far ahead, the tick from which it would not be.
    fn step(&self, tat: u128, now: u128, cost: u128) -> Result<u128, u128> {
        let new = tat.max(now) + cost;
        if new <= now + self.tolerance { Ok(new) } else { Err(new - self.tolerance) }
    }

    /// The first nanosecond that is not before a tick.
    fn nanos(&self, tick: u128) -> u64 {
        u64::try_from(tick.div_ceil(self.per_nano)).unwrap_or(u64::MAX)
    }

    /// One request on a bucket; what `tat` becomes where it is admitted.
    fn check(&self, tat: u128, now: u64, cost: u32) -> (Verdict, Option<u128>) {
        let cost = self.per_cell.saturating_mul(cost.into());
        if cost > self.tolerance {
            return (Verdict::TooLarge, None);
        }
        let now = self.at(now);
        match self.step(tat, now, cost) {
            Ok(new) => (Verdict::Admit, Some(new)),
            Err(ready) => (deny(self.nanos(ready - now)), None),
        }
    }
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Stage 3: every quota, to the nanosecond, for 584 years.
#[derive(Debug)]
pub struct Exact(Ticks, Mutex<u128>);

impl Limit for Exact {
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(Ticks::new(spec, u128::MAX)?, Mutex::new(0)))
    }

    fn check(&self, now: u64, _key: u64, cost: u32) -> Verdict {
        let mut tat = self.1.lock().expect("no holder panics");
        let (verdict, new) = self.0.check(*tat, now, cost);
        *tat = new.unwrap_or(*tat);
        verdict
    }
}

/// Stage 4: one atomic word and no lock.
#[derive(Debug)]
pub struct Atomic(Ticks, AtomicU64);

/// How long a word must last, in nanoseconds: 36 years.
const GENERATION: u64 = 1 << 60;

/// The most that a burst may be worth, in nanoseconds: a year. With more the end of the word is
/// near even where the clock is not.
const BURST_MAX: u128 = 1 << 55;

impl Limit for Atomic {
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let ticks = Ticks::new(spec, u64::MAX.into())?;
        if ticks.now_max < GENERATION || ticks.tolerance / ticks.per_nano > BURST_MAX {
            return Err(unsupported(spec, "64 bits do not last"));
        }
        Ok(Self(ticks, AtomicU64::new(0)))
    }

    fn check(&self, now: u64, _key: u64, cost: u32) -> Verdict {
        // Relaxed, all: the word publishes nothing but itself.
        let mut seen = self.1.load(Ordering::Relaxed);
        loop {
            let (verdict, new) = self.0.check(seen.into(), now, cost);
            let Some(new) = new else { return verdict };
            let new = u64::try_from(new).expect("`Ticks` leaves room");
            match self.1.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return verdict,
                Err(found) => seen = found,
            }
            hint::spin_loop();
        }
    }
}

/// Slots behind one lock of stage 5.
const WAYS: usize = 16;

/// A key and the TAT of its bucket. One whose TAT has passed is full, and as good as none.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    tat: u128,
}

/// Stage 5: a bucket for each key, in memory that is fixed when it is made.
#[derive(Debug)]
pub struct Keyed {
    ticks: Ticks,
    sets: Vec<Mutex<[Slot; WAYS]>>,
}

impl Limit for Keyed {
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let sets = (0..KEYS / WAYS).map(|_| Mutex::default()).collect();
        Ok(Self { ticks: Ticks::new(spec, u128::MAX)?, sets })
    }

    fn check(&self, now: u64, key: u64, cost: u32) -> Verdict {
        let hash = usize::try_from(key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32);
        let set = hash.expect("32 bits fit") % self.sets.len();
        let mut slots = self.sets[set].lock().expect("no holder panics");
        let moment = self.ticks.at(now);
        let own = slots.iter().position(|slot| slot.key == key && slot.tat > moment);
        let index = own.or_else(|| slots.iter().position(|slot| slot.tat <= moment));
        let Some(slot) = index.map(|index| &mut slots[index]) else {
            // No bucket is full again: the key waits for the first that will be.
            let first = slots.iter().map(|slot| slot.tat).min().expect("there are slots");
            return deny(self.ticks.nanos(first - moment));
        };
        let (verdict, new) = self.ticks.check(slot.tat, now, cost);
        *slot = new.map_or(*slot, |tat| Slot { key, tat });
        verdict
    }
}

/// Stage 6: a line of those who wait for cells, first come, first served.
#[derive(Debug)]
pub struct Line {
    ticks: Ticks,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tat: u128,
    next: u64,
    waiting: VecDeque<Waiter>,
    /// Who was served and does not know it yet, with the TAT behind its cells.
    served: BTreeMap<u64, u128>,
}

#[derive(Debug)]
struct Waiter {
    place: u64,
    cost: u128,
    waker: Option<Waker>,
}

impl Line {
    /// A line before a full bucket, or why it cannot keep `spec`.
    pub fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self { ticks: Ticks::new(spec, u128::MAX)?, state: Mutex::default() })
    }

    /// A place at the end of the line; `None` where a full bucket has less than `cost` cells.
    pub fn wait(&self, cost: u32) -> Option<Turn<'_>> {
        let cost = self.ticks.per_cell.saturating_mul(cost.into());
        if cost > self.ticks.tolerance {
            return None;
        }
        let mut state = self.state.lock().expect("no holder panics");
        let place = state.next;
        state.next += 1;
        state.waiting.push_back(Waiter { place, cost, waker: None });
        Some(Turn { line: self, place, cost })
    }

    /// Serves from the front while there are cells at `now`, and wakes whoever was served. Returns
    /// the moment at which the first of those who are left can be served; `None` where nobody is.
    pub fn tick(&self, now: u64) -> Option<u64> {
        let mut guard = self.state.lock().expect("no holder panics");
        let state = &mut *guard;
        let mut wakers = Vec::new();
        let mut next = None;
        while let Some(first) = state.waiting.front_mut() {
            match self.ticks.step(state.tat, self.ticks.at(now), first.cost) {
                Ok(new) => state.tat = new,
                Err(ready) => {
                    next = Some(self.ticks.nanos(ready));
                    break;
                }
            }
            state.served.insert(first.place, state.tat);
            wakers.extend(first.waker.take());
            state.waiting.pop_front();
        }
        // Wakers are the runtime's code: never under our lock.
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
        next
    }
}

/// A place in the line. Ready once the line has served it; whoever drops it before has left the
/// line, and has had no cells.
#[derive(Debug)]
pub struct Turn<'l> {
    line: &'l Line,
    place: u64,
    cost: u128,
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.line.state.lock().expect("no holder panics");
        if let Some(waiter) = state.waiting.iter_mut().find(|it| it.place == self.place) {
            waiter.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.served.remove(&self.place);
        Poll::Ready(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.line.state.lock().expect("no holder panics");
        state.waiting.retain(|waiter| waiter.place != self.place);
        // Its cells go back only if nobody was served since: else the bucket may have been full in
        // between, and what has come since would be given twice.
        if state.served.remove(&self.place).is_some_and(|tat| tat == state.tat) {
            state.tat -= self.cost;
        }
    }
}
