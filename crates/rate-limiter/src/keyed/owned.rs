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
//! # Another quota
//!
//! See [`change`].
//!
//! # What this module does not do
//!
//! It has no constant cost: an insertion allocates, and the one that finds the map full walks over
//! it. The tables of [`KeyedLimiter`](super::KeyedLimiter) have neither.

mod change;

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

use env::clock::{Clock, FastClock, Timestamp};
use hashmap::HashMap;

use super::{TableError, WhenFull};
use crate::decision::{Decision, Denial, Standing};
use crate::gcra::{Step, Word, step};
use crate::live::{denied, standing};
use crate::quota::{Quota, Scale};
use crate::setting::{Live, Setting};
use crate::single::settled_by_size;
use crate::sync::{AtomicU64, AtomicU128, Mutex, Ordering};
use change::Carrying;

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
    live: Live<u128>,
    /// What becomes of buckets of the setting before, while there are any.
    carrying: Mutex<Option<Carrying>>,
    keys_max: usize,
    when_full: WhenFull,
    /// The nanosecond at which the map may be walked over again.
    forgets_at: AtomicU64,
    clock: C,
    /// Held while it changes.
    quota: Mutex<Quota>,
}

/// The TAT of a bucket from which nothing was ever taken.
const UNTOUCHED: u128 = 0;

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
            live: Live::new(Setting::first(Scale::wide(&quota), clock.now().as_nanos())),
            carrying: Mutex::new(None),
            keys_max,
            when_full,
            forgets_at: AtomicU64::new(0),
            clock,
            quota: Mutex::new(quota),
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
        let pinned = self.buckets.pin();
        loop {
            let Some(tat) = pinned.get(key) else {
                let (setting, ()) = self.live.read(|| ());
                if let Some(decision) = settled_by_size(setting.scale.burst, cells) {
                    return decision;
                }
                if !self.has_room(&setting, now) {
                    return self.turn_away(now);
                }
                pinned.get_or_insert_with(key.to_owned(), || AtomicU128::new(UNTOUCHED));
                continue;
            };
            let (setting, seen) = self.read(tat);
            if let Some(decision) = settled_by_size(setting.scale.burst, cells) {
                return decision;
            }
            if seen == u128::MARK {
                // Whoever marked it is about to remove it; so that nobody waits, we do as well.
                // Relaxed: a mark stays, and publishes nothing.
                let is_dead = |tat: &AtomicU128| tat.load(Ordering::Relaxed) == u128::MARK;
                pinned.remove_if(key, |_, tat| is_dead(tat)).ok();
                continue;
            }
            let Some(current) = self.current(&setting, seen) else { continue };
            let (ticks, cost) = (setting.ticks_at(now.as_nanos()), setting.scale.cost(cells));
            match step(&setting.scale, current, ticks, cost) {
                Step::Deny(ready) => return denied(&setting, now, ready),
                Step::Admit(new) if exchange(tat, seen, new) => return Decision::Admitted,
                Step::Admit(_) => {}
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
        let (setting, tat) = self.look(key);
        if let Some(decision) = settled_by_size(setting.scale.burst, cells) {
            return decision;
        }
        let ticks = setting.ticks_at(now.as_nanos());
        match step(&setting.scale, tat, ticks, setting.scale.cost(cells)) {
            Step::Admit(_) => Decision::Admitted,
            Step::Deny(ready) => denied(&setting, now, ready),
        }
    }

    /// What the bucket of `key` holds at `now`. Takes nothing, and makes no bucket.
    pub fn standing_at<Q>(&self, now: Timestamp, key: &Q) -> Standing
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (setting, tat) = self.look(key);
        standing(&setting, now, tat)
    }

    /// Gives back `cells` cells of `key` that were taken and not used, at `now`; see
    /// [`KeyedLimiter::refund`](crate::KeyedLimiter::refund).
    pub fn refund_at<Q>(&self, now: Timestamp, key: &Q, cells: u64)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let pinned = self.buckets.pin();
        let Some(tat) = pinned.get(key) else { return };
        loop {
            let (setting, seen) = self.read(tat);
            if seen == u128::MARK {
                return;
            }
            let Some(current) = self.current(&setting, seen) else { continue };
            let ticks = setting.ticks_at(now.as_nanos());
            let cost = setting.scale.cost(cells.min(setting.scale.burst));
            if current <= ticks || exchange(tat, seen, current.saturating_sub(cost).max(ticks)) {
                return;
            }
        }
    }

    /// A bucket, and the setting in force.
    fn read(&self, tat: &AtomicU128) -> (Setting<u128>, u128) {
        // Acquire: pairs with the exchanges, so that who sees a TAT of a setting sees that the one
        // before is over.
        self.live.read(|| tat.load(Ordering::Acquire))
    }

    /// The setting in force, and the TAT of a key under it; where it has no bucket, that of a full
    /// one.
    fn look<Q>(&self, key: &Q) -> (Setting<u128>, u128)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let pinned = self.buckets.pin();
        let bucket = pinned.get(key);
        loop {
            let (setting, seen) = match bucket {
                Some(tat) => self.read(tat),
                None => (self.live.read(|| ()).0, UNTOUCHED),
            };
            let seen = if seen == u128::MARK { UNTOUCHED } else { seen };
            if let Some(tat) = self.current(&setting, seen) {
                return (setting, tat);
            }
        }
    }

    /// Forgets every bucket that is full at `now`.
    pub fn forget_full(&self, now: Timestamp) {
        self.buckets.pin().retain(|_, tat| {
            loop {
                let (setting, seen) = self.read(tat);
                if seen == u128::MARK {
                    return false;
                }
                let Some(current) = self.current(&setting, seen) else { continue };
                return current > setting.ticks_at(now.as_nanos())
                    || !exchange(tat, seen, u128::MARK);
            }
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

    fn has_room(&self, setting: &Setting<u128>, now: Timestamp) -> bool {
        if self.buckets.len() < self.keys_max {
            return true;
        }
        // Relaxed, both: elects who walks, which publishes nothing.
        let due = self.forgets_at.load(Ordering::Relaxed);
        let fill_ns = setting.scale.nanos_at(setting.scale.tolerance).max(1);
        let next = now.as_nanos().saturating_add(fill_ns);
        let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if now.as_nanos() < due
            || self.forgets_at.compare_exchange(due, next, order, failure).is_err()
        {
            return false;
        }
        self.forget_full(now);
        self.buckets.len() < self.keys_max
    }

    /// The answer to a new key for which there is no room.
    fn turn_away(&self, now: Timestamp) -> Decision {
        // Relaxed: as in `has_room`.
        let due = self.forgets_at.load(Ordering::Relaxed).max(now.as_nanos().saturating_add(1));
        match self.when_full {
            WhenFull::Admit => Decision::Admitted,
            WhenFull::Deny => Decision::Denied(Denial::new(now, Timestamp::from_nanos(due))),
        }
    }
}

/// Gives a bucket that still holds `seen` another TAT. Release: see `read`.
fn exchange(tat: &AtomicU128, seen: u128, new: u128) -> bool {
    tat.compare_exchange(seen, new, Ordering::Release, Ordering::Relaxed).is_ok()
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
