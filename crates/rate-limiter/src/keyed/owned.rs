//! One bucket for each key, over a map that holds the keys themselves.
//!
//! For keys that must never share a bucket, whatever their hashes. A bucket is a theoretical
//! arrival time (TAT) of 128 bits, which keeps every quota; the map is the workspace's lock-free
//! one, so that a check of a known key is a search and one exchange.
//!
//! # Memory
//!
//! The map holds at most as many keys as it was made for. At that number it forgets all buckets
//! that are full again, at most once in the time that a bucket takes to fill up, since sooner there
//! would be little to forget; then [`WhenFull`] decides about new keys. Threads that insert at
//! once may pass the number by one each.
//!
//! # Forgetting
//!
//! A bucket that is full says no more than none. It is first marked dead, by an exchange of its
//! TAT, and then removed:
//!
//! | TAT    | who may change it                                                         |
//! |--------|---------------------------------------------------------------------------|
//! | <= now | a request of the key, or who forgets, by exchanging it for `MARK`         |
//! | > now  | a request of the key                                                      |
//! | `MARK` | nobody; a request removes it and begins with a new bucket                 |
//!
//! So no request takes from a bucket that is already gone.
//!
//! # What this module does not do
//!
//! It has no constant cost: an insertion allocates, and the one that finds the map full walks over
//! it. The tables of [`KeyedLimiter`](super::KeyedLimiter) have neither.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

use env::clock::{Clock, FastClock, Timestamp};
use hashmap::HashMap;

use super::{TableError, WhenFull};
use crate::decision::{Decision, Denial, Standing};
use crate::gcra::{Step, Word, step};
use crate::quota::{Quota, Scale};
use crate::single::{denial, settled_by_size, standing};
use crate::sync::{AtomicU64, AtomicU128, Ordering};

/// A limiter with a bucket for each key, which it keeps.
///
/// ```
/// use rate_limiter::{OwnedKeyLimiter, Quota, WhenFull};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = OwnedKeyLimiter::new(Quota::per_hour(1)?, 10_000, WhenFull::Deny)?;
/// assert!(limiter.check("ada").is_admitted());
/// assert!(!limiter.check("ada").is_admitted());
/// # let _: &OwnedKeyLimiter<String> = &limiter;
/// # Ok(())
/// # }
/// ```
pub struct OwnedKeyLimiter<K, C = FastClock> {
    buckets: HashMap<K, AtomicU128>,
    scale: Scale<u128>,
    keys_max: usize,
    when_full: WhenFull,
    /// Nanoseconds after the origin at which the map may be walked over again.
    forgets_at: AtomicU64,
    origin: Timestamp,
    clock: C,
}

impl<K: Eq + Hash + Send + Sync + 'static> OwnedKeyLimiter<K, FastClock> {
    /// A limiter for at most `keys_max` keys on the machine's fastest sound clock. Room for none is
    /// refused with [`TableError::Zero`].
    pub fn new(quota: Quota, keys_max: usize, when_full: WhenFull) -> Result<Self, TableError> {
        Self::with_clock(quota, keys_max, when_full, FastClock::new())
    }
}

impl<K: Eq + Hash + Send + Sync + 'static, C: Clock> OwnedKeyLimiter<K, C> {
    /// The same on another clock.
    pub fn with_clock(
        quota: Quota,
        keys_max: usize,
        when_full: WhenFull,
        clock: C,
    ) -> Result<Self, TableError> {
        if keys_max == 0 {
            return Err(TableError::Zero);
        }
        Ok(Self {
            buckets: HashMap::new(),
            scale: Scale::wide(&quota),
            keys_max,
            when_full,
            forgets_at: AtomicU64::new(0),
            origin: clock.now(),
            clock,
        })
    }

    /// Takes one cell from the bucket of `key`, now.
    pub fn check<Q>(&self, key: &Q) -> Decision
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.check_at(self.clock.now(), key, 1)
    }

    /// Takes `cells` cells from the bucket of `key`, all or none, now.
    pub fn check_n<Q>(&self, key: &Q, cells: u64) -> Decision
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.check_at(self.clock.now(), key, cells)
    }

    /// Takes `cells` cells from the bucket of `key`, all or none, at `now`, a reading of this
    /// limiter's clock.
    pub fn check_at<Q>(&self, now: Timestamp, key: &Q, cells: u64) -> Decision
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(decision) = settled_by_size(self.scale.burst, cells) {
            return decision;
        }
        let elapsed = now.as_nanos().saturating_sub(self.origin.as_nanos());
        let (ticks, cost) = (self.scale.ticks_at(elapsed), self.scale.cost(cells));
        let pinned = self.buckets.pin();
        loop {
            let Some(tat) = pinned.get(key) else {
                if !self.has_room(elapsed) {
                    return self.turn_away(now, elapsed);
                }
                pinned.get_or_insert_with(key.to_owned(), || AtomicU128::new(0));
                continue;
            };
            match take_living(&self.scale, tat, ticks, cost) {
                Some(Ok(())) => return Decision::Admitted,
                Some(Err(ready)) => {
                    return Decision::Denied(denial(&self.scale, self.origin, now, ready));
                }
                None => {
                    // Whoever marked it is about to remove it; so that nobody waits, we do as well.
                    // Relaxed: a mark stays, and publishes nothing.
                    let is_dead = |tat: &AtomicU128| tat.load(Ordering::Relaxed) == u128::MARK;
                    pinned.remove_if(key, |_, tat| is_dead(tat)).ok();
                }
            }
        }
    }

    /// What a request for `cells` cells of `key` would be answered at `now`, if there is room for
    /// the key. Takes nothing, and makes no bucket.
    pub fn peek_at<Q>(&self, now: Timestamp, key: &Q, cells: u64) -> Decision
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(decision) = settled_by_size(self.scale.burst, cells) {
            return decision;
        }
        let ticks = self.ticks_at(now);
        match step(&self.scale, self.tat(key), ticks, self.scale.cost(cells)) {
            Step::Admit(_) => Decision::Admitted,
            Step::Deny(ready) => Decision::Denied(denial(&self.scale, self.origin, now, ready)),
        }
    }

    /// What the bucket of `key` holds at `now`. Takes nothing, and makes no bucket.
    pub fn standing_at<Q>(&self, now: Timestamp, key: &Q) -> Standing
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        standing(&self.scale, self.origin, now, self.tat(key))
    }

    /// Gives back `cells` cells of `key` that were taken and not used, at `now`; see
    /// [`KeyedLimiter::refund`](crate::KeyedLimiter::refund).
    pub fn refund_at<Q>(&self, now: Timestamp, key: &Q, cells: u64)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (ticks, cost) = (self.ticks_at(now), self.scale.cost(cells.min(self.scale.burst)));
        let pinned = self.buckets.pin();
        let Some(tat) = pinned.get(key) else { return };
        // Relaxed, here and below: see the header of `bucket`.
        let mut seen = tat.load(Ordering::Relaxed);
        while seen != u128::MARK && seen > ticks {
            let less = seen.saturating_sub(cost).max(ticks);
            match tat.compare_exchange(seen, less, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => seen = found,
            }
        }
    }

    /// The TAT of a key; zero where it has no bucket, which is full then.
    fn tat<Q>(&self, key: &Q) -> u128
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let pinned = self.buckets.pin();
        // Relaxed: see the header of `bucket`.
        let tat = pinned.get(key).map_or(0, |tat| tat.load(Ordering::Relaxed));
        if tat == u128::MARK { 0 } else { tat }
    }

    fn ticks_at(&self, now: Timestamp) -> u128 {
        self.scale.ticks_at(now.as_nanos().saturating_sub(self.origin.as_nanos()))
    }

    /// Forgets every bucket that is full at `now`.
    pub fn forget_full(&self, now: Timestamp) {
        let ticks = self.ticks_at(now);
        self.buckets.pin().retain(|_, tat| {
            // Relaxed, both: the word publishes nothing but itself.
            let seen = tat.load(Ordering::Relaxed);
            let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            let is_dead = seen == u128::MARK
                || (seen <= ticks
                    && tat.compare_exchange(seen, u128::MARK, order, failure).is_ok());
            !is_dead
        });
    }

    /// Keys that have a bucket.
    pub fn keys(&self) -> usize {
        self.buckets.len()
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    fn has_room(&self, elapsed: u64) -> bool {
        if self.buckets.len() < self.keys_max {
            return true;
        }
        // Relaxed, both: elects who walks, which publishes nothing.
        let due = self.forgets_at.load(Ordering::Relaxed);
        let next = elapsed.saturating_add(self.scale.nanos_at(self.scale.tolerance).max(1));
        let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if elapsed < due || self.forgets_at.compare_exchange(due, next, order, failure).is_err() {
            return false;
        }
        self.forget_full(Timestamp::from_nanos(self.origin.as_nanos().saturating_add(elapsed)));
        self.buckets.len() < self.keys_max
    }

    /// The answer to a new key for which there is no room.
    fn turn_away(&self, now: Timestamp, elapsed: u64) -> Decision {
        // Relaxed: as in `has_room`.
        let due = self.forgets_at.load(Ordering::Relaxed).max(elapsed.saturating_add(1));
        let retry_at = Timestamp::from_nanos(self.origin.as_nanos().saturating_add(due));
        match self.when_full {
            WhenFull::Admit => Decision::Admitted,
            WhenFull::Deny => Decision::Denied(Denial::new(now, retry_at)),
        }
    }
}

/// As [`take`](crate::bucket::take); `None` where the bucket is dead.
fn take_living(
    scale: &Scale<u128>,
    tat: &AtomicU128,
    now: u128,
    cost: u128,
) -> Option<Result<(), u128>> {
    // Relaxed, here and below: see the header of `bucket`.
    let mut seen = tat.load(Ordering::Relaxed);
    loop {
        if seen == u128::MARK {
            return None;
        }
        let new = match step(scale, seen, now, cost) {
            Step::Deny(ready) => return Some(Err(ready)),
            Step::Admit(new) => new,
        };
        match tat.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some(Ok(())),
            Err(found) => seen = found,
        }
    }
}

impl<K, C> fmt::Debug for OwnedKeyLimiter<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedKeyLimiter")
            .field("keys", &self.buckets.len())
            .field("keys_max", &self.keys_max)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod schedules;
#[cfg(test)]
mod tests;
