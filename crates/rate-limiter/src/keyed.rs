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
//! # When there is no room
//!
//! A key has its slot near the place that its hash names. Where all slots there hold buckets
//! still in use, [`WhenFull`] decides. Size the table for the keys that are *in use within the time
//! that a bucket takes to fill up*, which is all that it ever holds.

mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash};

use env::clock::{Clock, FastClock, Timestamp};
use foldhash::quality::RandomState;

use crate::decision::Decision;
use crate::quota::{Quota, Scale};
use crate::single::{denial, settled_by_size};
use crate::sync::{AtomicU64, AtomicU128};
use table::{Outcome, Table};

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

    /// Reads another clock.
    pub fn clock<D: Clock>(self, clock: D) -> KeyedBuilder<D, S> {
        let Self { quota, keys, when_full, clock: _, hasher } = self;
        KeyedBuilder { quota, keys, when_full, clock, hasher }
    }

    /// Hashes keys another way. The hasher should be seeded, or whoever chooses the keys can make
    /// them collide.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<C, T> {
        let Self { quota, keys, when_full, clock, hasher: _ } = self;
        KeyedBuilder { quota, keys, when_full, clock, hasher }
    }

    /// Allocates the table.
    pub fn build(self) -> Result<KeyedLimiter<C, S>, CapacityError> {
        let Self { quota, keys, when_full, clock, hasher } = self;
        let table = match Scale::narrow(&quota) {
            Some(scale) => AnyTable::Narrow(Table::new(scale, keys)?),
            None => AnyTable::Wide(Table::new(Scale::wide(&quota), keys)?),
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
        let hash = self.hasher.hash_one(key);
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
