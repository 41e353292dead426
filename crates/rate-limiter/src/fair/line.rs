//! The line of those who wait, without futures and timers.
//!
//! The bucket's word decides the order; the list behind the lock only serves to find who is behind
//! a waiter that leaves. A waiter enters the bucket and the list under the lock, so that both have
//! the same order.
//!
//! # Moving up
//!
//! When a waiter leaves that is not due, everyone behind is due earlier by its cost: without it,
//! each of their exchanges would have found a TAT smaller by as much, since a bucket with somebody
//! still waiting is not full, so that no exchange began anew from the clock. The moments are
//! corrected at once, under the lock; timers are corrected one at a time, from the front: only the
//! first behind the gap is woken, and whoever leaves the line wakes the next whose timer is late.
//!
//! # Another quota
//!
//! What a bucket owes beyond a full one, the line's cells, is owed at the new rate; the moments of
//! those who wait follow by the same formula, and so keep their order. Where they are earlier, the
//! first is woken as above; where they are later, timers find that out by themselves.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use env::clock::Timestamp;

use crate::decision::Decision;
use crate::live::{Cancelled, Carry, LiveBucket, Reserved, carried};
use crate::quota::{Quota, Scale};
use crate::ratio::mul_div_ceil;
use crate::setting::Setting;
use crate::sync::Mutex;

/// A waiter's place, by which it is found.
#[derive(Debug)]
pub(super) struct Place(u64);

/// What became of one who came.
#[derive(Debug)]
pub(super) enum Entered {
    /// It has its cells.
    Served,
    /// It waits until this moment.
    Waits(Place, Timestamp),
    /// It asks for more than a full bucket.
    TooLarge { burst: u64 },
    /// It would have had to wait until `due`.
    TooLate { due: Timestamp },
}

/// What a waiter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has its cells and is out of the line.
    Served,
    /// It waits until this moment, for which its timer is set.
    Waits(Timestamp),
    /// It waits until this moment, which is earlier than its timer is set for.
    MovedUp(Timestamp),
}

#[derive(Debug)]
pub(super) struct Line {
    bucket: LiveBucket,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// Invariant: places and TATs ascend.
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    place: u64,
    /// The bucket's TAT behind its cells.
    tat: u128,
    cells: u64,
    /// Its timer is set for a later moment.
    is_late: bool,
    waker: Waker,
}

impl Line {
    pub(super) fn new(quota: &Quota, origin: Timestamp) -> Self {
        Self { bucket: LiveBucket::full(quota, origin), queue: Mutex::new(Queue::default()) }
    }

    pub(super) fn bucket(&self) -> &LiveBucket {
        &self.bucket
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().expect("no holder of this lock panics").waiters.len()
    }

    /// Serves a request or lets it wait, at most `patience`.
    pub(super) fn enter(
        &self,
        now: Timestamp,
        cells: u64,
        patience: Duration,
        waker: &Waker,
    ) -> Entered {
        match self.bucket.check(now, cells) {
            Decision::Admitted => return Entered::Served,
            Decision::Impossible { burst } => return Entered::TooLarge { burst },
            Decision::Denied(_) => {}
        }
        let waker = waker.clone();
        let mut queue = self.queue.lock().expect("no holder of this lock panics");
        match self.bucket.reserve(now, cells, patience) {
            Reserved::Now => Entered::Served,
            Reserved::TooLate { due } => Entered::TooLate { due },
            Reserved::TooLarge { burst } => Entered::TooLarge { burst },
            Reserved::Due { tat } => {
                let place = queue.next;
                queue.next += 1;
                queue.waiters.push_back(Waiter { place, tat, cells, is_late: false, waker });
                Entered::Waits(Place(place), self.bucket.setting().due(tat))
            }
        }
    }

    /// Asks at `now` whether it is a waiter's turn. `MovedUp` is said once.
    pub(super) fn turn(&self, place: &Place, now: Timestamp, waker: &Waker) -> Turn {
        let mut queue = self.queue.lock().expect("no holder of this lock panics");
        let index = queue.index(place);
        let waiter = &mut queue.waiters[index];
        let setting = self.bucket.setting();
        if waiter.tat <= setting.ticks_at(now.as_nanos()) + setting.scale.tolerance {
            let (served, next) = queue.remove(index);
            drop(queue);
            wake(served, next);
            return Turn::Served;
        }
        // Dropped outside of the lock, as in `wake`.
        let is_stale = !waiter.waker.will_wake(waker);
        let stale = is_stale.then(|| std::mem::replace(&mut waiter.waker, waker.clone()));
        let moment = setting.due(waiter.tat);
        let moved_up = std::mem::take(&mut waiter.is_late);
        drop(queue);
        drop(stale);
        if moved_up { Turn::MovedUp(moment) } else { Turn::Waits(moment) }
    }

    /// Takes a waiter out of the line and gives its cells back, as far as that is sound.
    /// `O(waiters behind it)`, under the lock.
    pub(super) fn leave(&self, place: &Place, now: impl Fn() -> Timestamp) {
        let mut queue = self.queue.lock().expect("no holder of this lock panics");
        let index = queue.index(place);
        let Waiter { tat, cells, .. } = queue.waiters[index];
        if self.bucket.cancel(tat, cells, now) == Cancelled::Returned {
            let Setting { scale, base, .. } = self.bucket.setting();
            let cost = scale.ticks_per_cell.saturating_mul(cells.into());
            for behind in queue.waiters.range_mut(index + 1..) {
                (behind.tat, behind.is_late) = (behind.tat.saturating_sub(cost).max(base), true);
            }
        }
        let (left, next) = queue.remove(index);
        drop(queue);
        wake(left, next);
    }

    /// Keeps the quota `new` instead of `old` from `now` on; also returns whom to wake. Changes
    /// come one at a time. `O(waiters)`, under the lock.
    pub(super) fn change(
        &self,
        now: Timestamp,
        old: &Quota,
        new: &Quota,
        carry: Carry,
    ) -> Option<Waker> {
        let mut queue = self.queue.lock().expect("no holder of this lock panics");
        let from = self.bucket.setting();
        let end = from.ticks_at(now.as_nanos());
        let kept = match (carry, queue.waiters.front()) {
            // A bucket that is full, and then those who wait take from it.
            (Carry::Full, Some(first)) => {
                let cost = from.scale.ticks_per_cell.saturating_mul(first.cells.into());
                first.tat.saturating_sub(cost).saturating_sub(end)
            }
            _ => from.scale.tolerance,
        };
        let intervals = (Scale::wide(new).ticks_per_cell, from.scale.ticks_per_cell);
        let owed = |debt: u128| {
            let beyond = mul_div_ceil(debt.saturating_sub(kept), intervals.0, intervals.1);
            carried(carry, old, new, debt).saturating_add(beyond)
        };
        self.bucket.change_by(now, new, owed);
        let to = self.bucket.setting();
        for waiter in &mut queue.waiters {
            let (before, debt) = (from.due(waiter.tat), waiter.tat.saturating_sub(end));
            waiter.tat = to.base + owed(debt).min(to.scale.reach());
            waiter.is_late |= to.due(waiter.tat) < before;
        }
        let first = queue.waiters.front().filter(|first| first.is_late);
        first.map(|first| first.waker.clone())
    }
}

impl Queue {
    fn index(&self, place: &Place) -> usize {
        let found = self.waiters.binary_search_by_key(&place.0, |waiter| waiter.place);
        found.expect("a waiter is in the line until it is served or leaves")
    }

    /// Removes a waiter; also returns whom to wake, if the next one's timer is late.
    fn remove(&mut self, index: usize) -> (Waiter, Option<Waker>) {
        let waiter = self.waiters.remove(index).expect("the index was just found");
        let next = self.waiters.get(index).filter(|next| next.is_late);
        (waiter, next.map(|next| next.waker.clone()))
    }
}

/// Lets a waiter go that was in the line, and wakes the next. Outside of the lock, since a waker is
/// the runtime's code: with the last one of a task goes its future, which may be in the line too.
fn wake(gone: Waiter, next: Option<Waker>) {
    drop(gone);
    if let Some(waker) = next {
        waker.wake();
    }
}

#[cfg(test)]
mod schedules;
