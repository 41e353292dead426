//! Another quota for all keys, while requests go on.
//!
//! As in the tables (see `table::change`), a change publishes the new setting at once and then
//! walks over the map to carry every bucket over; a request that meets a bucket before the walk
//! does carries it over itself. The ticks of a setting begin above all earlier ones, so that a TAT
//! says of which setting it is.
//!
//! # Why no bucket is lost or carried over twice
//!
//! A bucket is carried over by one exchange of what was seen, whoever does it. A request reads the
//! setting and the bucket together, so that a bucket it took from under the old setting was in the
//! map before the change, and the walk comes by: it sees every entry that is there from its
//! beginning to its end, and exchanges full ones too. What a walk leaves behind is of the new
//! setting or untouched, which is full under any.

use std::hash::Hash;

use env::clock::Clock;

use super::super::exact::Slots;
use super::super::line::Line;
use super::{OwnedKeyLimiter, TableError, UNTOUCHED, exchange};
use crate::gcra::debt;
use crate::live::{Carry, carried};
use crate::quota::{Quota, Scale};
use crate::setting::Setting;
use crate::sync::AtomicU128;

/// What becomes of a bucket of the setting before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrying {
    /// The version of the new setting.
    version: u64,
    /// When the one before ended, in its ticks.
    end: u128,
    old: Quota,
    new: Quota,
    carry: Carry,
}

impl Carrying {
    /// The TAT of a bucket under the new setting, which begins at `base`. One that was full is.
    fn tat(&self, seen: u128, base: u128) -> u128 {
        match debt(seen, self.end) {
            0 => base,
            missing => base + carried(self.carry, &self.old, &self.new, missing),
        }
    }
}

impl<K: Eq + Hash + Send + Sync + 'static, C: Clock> OwnedKeyLimiter<K, C> {
    /// Keeps another quota from now on, for every key, while requests go on.
    ///
    /// As [`KeyedLimiter::set_quota`](crate::KeyedLimiter::set_quota): each request is decided
    /// wholly by the old quota or wholly by the new one, and this returns when all buckets are
    /// carried over. After some billions of changes, another is refused with
    /// [`TableError::WornOut`], and nothing has changed.
    ///
    /// ```
    /// use rate_limiter::{Carry, OwnedKeyLimiter, Quota, WhenFull};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter: OwnedKeyLimiter<String> =
    ///     OwnedKeyLimiter::new(Quota::per_hour(10)?, 1_000, WhenFull::Deny)?;
    /// assert!(limiter.check_n("ada", 5).is_admitted());
    /// limiter.set_quota(Quota::per_hour(100)?, Carry::Fraction)?;
    /// assert!(limiter.check_n("ada", 50).is_admitted(), "half of it was left");
    /// assert!(!limiter.check("ada").is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota, carry: Carry) -> Result<(), TableError> {
        let mut current = self.quota.lock().expect("no holder of this lock panics");
        let now = self.clock.now();
        let (from, ()) = self.live.read(|| ());
        let end = from.ticks_at(now.as_nanos());
        let base = Slots::<AtomicU128>::base_after(&from, end).ok_or(TableError::WornOut)?;
        let scale = Scale::wide_after(&quota, base).ok_or(TableError::WornOut)?;
        let version = from.version + 2;
        let to = Setting { scale, start_ns: now.as_nanos(), base, version };
        let carrying = Carrying { version, end, old: *current, new: quota, carry };
        *self.carrying.lock().expect("no holder of this lock panics") = Some(carrying);
        self.live.change(|_| Some(to));
        for (_, tat) in &self.buckets.pin() {
            self.carry_over(tat, &to);
        }
        *self.carrying.lock().expect("no holder of this lock panics") = None;
        *current = quota;
        Ok(())
    }

    /// The quota that the limiter keeps for each key. Waits for a change that is under way.
    pub fn quota(&self) -> Quota {
        *self.quota.lock().expect("no holder of this lock panics")
    }

    fn carry_over(&self, tat: &AtomicU128, to: &Setting<u128>) {
        loop {
            let (_, seen) = self.read(tat);
            if seen >= to.base || self.current(to, seen).is_some_and(|new| exchange(tat, seen, new))
            {
                return;
            }
        }
    }

    /// A TAT under `setting`, which is in force; `None` where the walk has come by, and the bucket
    /// holds something else by now.
    pub(super) fn current(&self, setting: &Setting<u128>, seen: u128) -> Option<u128> {
        if seen >= setting.base {
            return Some(seen);
        }
        if seen == UNTOUCHED {
            return Some(setting.base);
        }
        let carrying = *self.carrying.lock().expect("no holder of this lock panics");
        let carrying = carrying.filter(|it| it.version == setting.version)?;
        Some(carrying.tat(seen, setting.base))
    }
}
