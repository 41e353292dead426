//! One bucket for each key, in a table whose memory is fixed at construction.
//!
//! Under GCRA a bucket whose theoretical arrival time (TAT) has passed is full, and a full bucket
//! says no more than an absent one. So the table forgets such buckets without anyone noticing: a
//! new key overwrites an expired slot, no sweeper runs, nothing grows, and no stream of made-up
//! keys can exhaust memory. See `table` for how.
//!
//! # Identity of keys
//!
//! A slot holds a 64-bit seeded hash, not the key. Two live keys with one hash would share a
//! bucket, which denies early and never admits more; among ten million live keys the chance that
//! any two do is about 3 in a million. Who chooses the keys does not know the seed.
//!
//! # Two tables
//!
//! | limiter            | a slot   | a key    | error                                              |
//! |--------------------|----------|----------|----------------------------------------------------|
//! | [`KeyedLimiter`]   | 16 bytes | 32 bytes, or 20 `dense` | none                                |
//! | [`CompactLimiter`] | 8 bytes  | 10 bytes | two parts of an interval, keys with equal tags; see there |
//!
//! [`OwnedKeyLimiter`] keeps the keys themselves, in the workspace's hash map, up to a number.
//!
//! # When there is no room
//!
//! A key has its slot near the place that its hash names. Where all slots there hold buckets
//! still in use, [`WhenFull`] decides. Size the table for the keys that are *in use within the time
//! that a bucket takes to fill up*, which is all that it ever holds.

mod compact;
mod owned;
mod prefetch;
mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash};

use env::clock::{Clock, FastClock, Timestamp};
use foldhash::quality::RandomState;

use crate::decision::{Decision, Standing};
use crate::quota::{Quota, Scale};
use crate::single::{denial, settled_by_size, standing};
use crate::sync::{AtomicU64, AtomicU128};
pub use compact::{CompactError, CompactLimiter};
pub use owned::OwnedKeyLimiter;
use table::{Filling, Outcome, Table};

/// Keys whose memory is fetched side by side.
const BATCH: usize = 16;

/// What becomes of a new key for which the table has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is denied until a slot near its place expires. The quota holds for every key.
    #[default]
    Deny,
    /// It is admitted and not counted. Legitimate new keys pass while an attack fills the table.
    Admit,
}

/// Why a table of buckets cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapacityError {
    /// Room for no keys.
    #[error("a table for zero keys admits none; ask for room for at least one")]
    Zero,
    /// More than the machine can address.
    #[error("a table for {keys} keys exceeds the address space; ask for fewer")]
    TooLarge {
        /// What was asked for.
        keys: usize,
    },
    /// More than the machine would give.
    #[error("a table for {keys} keys needs {bytes} bytes, which the system refused")]
    OutOfMemory {
        /// What was asked for.
        keys: usize,
        /// What that takes.
        bytes: usize,
    },
}

/// What a table has been through. All counts are since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyedStats {
    /// Slots in the table, in use or not.
    pub slots: usize,
    /// Bytes that the table occupies.
    pub bytes: usize,
    /// Keys that took a slot: new ones, and old ones whose bucket had been overwritten.
    pub inserted: u64,
    /// Insertions that overwrote an expired bucket.
    pub overwritten: u64,
    /// Requests of new keys for which there was no room.
    pub turned_away: u64,
}

/// Settings of a [`KeyedLimiter`]; made by [`KeyedLimiter::builder`].
#[derive(Clone, Debug)]
pub struct KeyedBuilder<C = FastClock, S = RandomState> {
    quota: Quota,
    keys: usize,
    filling: Filling,
    when_full: WhenFull,
    clock: C,
    hasher: S,
}

/// A limiter with a bucket for each key, all under one quota.
///
/// ```
/// use rate_limiter::{KeyedLimiter, Quota};
/// use std::net::{IpAddr, Ipv4Addr};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = KeyedLimiter::new(Quota::per_second(10)?, 100_000)?;
/// let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// assert!(limiter.check(&client).is_admitted());
/// # Ok(())
/// # }
/// ```
pub struct KeyedLimiter<C = FastClock, S = RandomState> {
    table: AnyTable,
    origin: Timestamp,
    when_full: WhenFull,
    quota: Quota,
    clock: C,
    hasher: S,
}

/// The table with the narrowest words that keep its quota exactly.
enum AnyTable {
    Narrow(Table<AtomicU64>),
    Wide(Table<AtomicU128>),
}

impl KeyedLimiter<FastClock, RandomState> {
    /// A limiter with room for `keys` buckets in use at once, on the machine's fastest sound
    /// clock; a new key without room is denied.
    ///
    /// Takes 32 bytes a key, all of them now.
    pub fn new(quota: Quota, keys: usize) -> Result<Self, CapacityError> {
        Self::builder(quota, keys).build()
    }

    /// Starts from the settings of [`new`](Self::new).
    pub fn builder(quota: Quota, keys: usize) -> KeyedBuilder {
        KeyedBuilder {
            quota,
            keys,
            filling: Filling::Half,
            when_full: WhenFull::default(),
            clock: FastClock::new(),
            hasher: RandomState::default(),
        }
    }
}

impl<C: Clock, S: BuildHasher> KeyedBuilder<C, S> {
    /// What becomes of a new key for which the table has no room.
    #[must_use]
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// Packs the table: 20 bytes a key instead of 32. While it holds as many keys as it was made
    /// for, a few of a thousand new ones find no room.
    #[must_use]
    pub fn dense(self) -> Self {
        Self { filling: Filling::Dense, ..self }
    }

    /// Reads another clock.
    pub fn clock<D: Clock>(self, clock: D) -> KeyedBuilder<D, S> {
        let Self { quota, keys, filling, when_full, clock: _, hasher } = self;
        KeyedBuilder { quota, keys, filling, when_full, clock, hasher }
    }

    /// Hashes keys another way. The hasher should be seeded, or whoever chooses the keys can make
    /// them collide.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<C, T> {
        let Self { quota, keys, filling, when_full, clock, hasher: _ } = self;
        KeyedBuilder { quota, keys, filling, when_full, clock, hasher }
    }

    /// Allocates the table.
    pub fn build(self) -> Result<KeyedLimiter<C, S>, CapacityError> {
        let Self { quota, keys, filling, when_full, clock, hasher } = self;
        let table = match Scale::narrow(&quota) {
            Some(scale) => AnyTable::Narrow(Table::new(scale, keys, filling)?),
            None => AnyTable::Wide(Table::new(Scale::wide(&quota), keys, filling)?),
        };
        let origin = clock.now();
        Ok(KeyedLimiter { table, origin, when_full, quota, clock, hasher })
    }
}

impl<C: Clock, S: BuildHasher> KeyedLimiter<C, S> {
    /// Takes one cell from the bucket of `key`, now.
    ///
    /// Constant time. Lock-free for a key that has its slot; a key that takes one holds a lock
    /// that it shares with the keys of the same neighbourhood.
    #[inline]
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.check_at(self.clock.now(), key, 1)
    }

    /// Takes `cells` cells from the bucket of `key`, all or none, now.
    #[inline]
    pub fn check_n<K: Hash + ?Sized>(&self, key: &K, cells: u64) -> Decision {
        self.check_at(self.clock.now(), key, cells)
    }

    /// Takes `cells` cells from the bucket of `key`, all or none, at `now`, a reading of this
    /// limiter's [`clock`](Self::clock). A request of zero cells is admitted and takes nothing.
    #[inline]
    pub fn check_at<K: Hash + ?Sized>(&self, now: Timestamp, key: &K, cells: u64) -> Decision {
        self.check_hashed(now, self.hasher.hash_one(key), cells)
    }

    /// Takes one cell for each of `keys` at `now`, and tells `answer` the place of each key and the
    /// decision, in order.
    ///
    /// The tables of sixteen keys are fetched from memory side by side, which is where a check of
    /// one key among millions spends most of its time.
    ///
    /// ```
    /// use rate_limiter::{Clock, KeyedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = KeyedLimiter::new(Quota::per_hour(1)?, 1_000)?;
    /// let mut admitted = 0;
    /// limiter.check_many_at(limiter.clock().now(), &[1, 2, 1], |_, decision| {
    ///     admitted += usize::from(decision.is_admitted());
    /// });
    /// assert_eq!(admitted, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_many_at<K: Hash>(
        &self,
        now: Timestamp,
        keys: &[K],
        mut answer: impl FnMut(usize, Decision),
    ) {
        let mut hashes = [0; BATCH];
        for (batch, keys) in keys.chunks(BATCH).enumerate() {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self.hasher.hash_one(key);
                match &self.table {
                    AnyTable::Narrow(table) => table.prefetch(*hash),
                    AnyTable::Wide(table) => table.prefetch(*hash),
                }
            }
            for (index, &hash) in hashes[..keys.len()].iter().enumerate() {
                answer(batch * BATCH + index, self.check_hashed(now, hash, 1));
            }
        }
    }

    /// What the bucket of `key` holds at `now`. Takes nothing, and makes no bucket.
    pub fn standing_at<K: Hash + ?Sized>(&self, now: Timestamp, key: &K) -> Standing {
        let hash = self.hasher.hash_one(key);
        match &self.table {
            AnyTable::Narrow(it) => standing(it.scale(), self.origin, now, it.look(hash)),
            AnyTable::Wide(it) => standing(it.scale(), self.origin, now, it.look(hash)),
        }
    }

    #[inline(always)]
    fn check_hashed(&self, now: Timestamp, hash: u64, cells: u64) -> Decision {
        let elapsed = now.as_nanos().saturating_sub(self.origin.as_nanos());
        match &self.table {
            AnyTable::Narrow(table) => {
                let scale = table.scale();
                settled_by_size(scale, cells).unwrap_or_else(|| {
                    let outcome = table.take(hash, scale.ticks_at(elapsed), scale.cost(cells));
                    self.decide(scale, now, outcome)
                })
            }
            AnyTable::Wide(table) => {
                let scale = table.scale();
                settled_by_size(scale, cells).unwrap_or_else(|| {
                    let outcome = table.take(hash, scale.ticks_at(elapsed), scale.cost(cells));
                    self.decide(scale, now, outcome)
                })
            }
        }
    }

    #[inline(always)]
    fn decide<W: crate::gcra::Word>(
        &self,
        scale: &Scale<W>,
        now: Timestamp,
        outcome: Outcome<W>,
    ) -> Decision {
        match outcome {
            Outcome::Admitted => Decision::Admitted,
            Outcome::Denied(ready) => Decision::Denied(denial(scale, self.origin, now, ready)),
            Outcome::NoRoom(first_expiry) => match self.when_full {
                WhenFull::Admit => Decision::Admitted,
                WhenFull::Deny => Decision::Denied(denial(scale, self.origin, now, first_expiry)),
            },
        }
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// The quota that the limiter keeps for each key.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// What the table has been through.
    pub fn stats(&self) -> KeyedStats {
        match &self.table {
            AnyTable::Narrow(table) => table.stats(),
            AnyTable::Wide(table) => table.stats(),
        }
    }
}

impl<C, S> fmt::Debug for KeyedLimiter<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = match &self.table {
            AnyTable::Narrow(table) => table.stats().slots,
            AnyTable::Wide(table) => table.stats().slots,
        };
        f.debug_struct("KeyedLimiter")
            .field("quota", &self.quota)
            .field("slots", &slots)
            .field("when_full", &self.when_full)
            .finish_non_exhaustive()
    }
}
