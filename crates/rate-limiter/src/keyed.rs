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
//! # Three tables
//!
//! | setting                            | a slot   | a key      | error                          |
//! |------------------------------------|----------|------------|--------------------------------|
//! | as it comes                        | 16 bytes | 32 bytes   | none                           |
//! | [`dense`](KeyedBuilder::dense)     | 16 bytes | 19.7 bytes | none                           |
//! | [`compact`](KeyedBuilder::compact) | 8 bytes  | 9.8 bytes  | two parts of an interval, keys with equal tags; see `compact` |
//!
//! [`OwnedKeyLimiter`] keeps the keys themselves, in the workspace's hash map, up to a number.
//!
//! # When there is no room
//!
//! A key has its slot near the place that its hash names. Where all slots there hold buckets
//! still in use, [`WhenFull`] decides. Size the table for the keys that are *in use within the time
//! that a bucket takes to fill up*, which is all that it ever holds. Where many keys come once and
//! never again, [`KeyedBuilder::strangers`] keeps those out of it.

mod builder;
mod compact;
mod exact;
mod line;
mod lines;
mod owned;
mod pages;
mod prefetch;
mod strangers;
mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash};

use env::clock::{Clock, FastClock, Timestamp};
use foldhash::quality::RandomState;

use crate::decision::{Decision, Denial, Standing};
use crate::live::Carry;
use crate::quota::Quota;
use crate::single::settled_by_size;
use crate::sync::{AtomicU64, AtomicU128, Mutex};
pub use builder::{KeyedBuilder, TableError, WhenFull};
use line::Line;
pub use owned::OwnedKeyLimiter;
use table::Table;

/// Keys whose memory is fetched side by side.
const BATCH: usize = 16;

/// What a table has been through. All counts are since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyedStats {
    /// Slots in the table, in use or not.
    pub slots: usize,
    /// Bytes that the table occupies, with what stands before it.
    pub bytes: usize,
    /// Keys that took a slot: new ones, and old ones whose bucket had been overwritten.
    pub inserted: u64,
    /// Insertions that overwrote an expired bucket.
    pub overwritten: u64,
    /// Requests of new keys for which there was no room.
    pub turned_away: u64,
    /// Requests that were admitted without a slot; see [`KeyedBuilder::strangers`].
    pub passed: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The cells were taken.
    Admitted,
    /// The bucket has too few for so long.
    Denied(Denial),
    /// The key has no bucket, and its window holds no slot for it for so long, if nobody asks
    /// meanwhile.
    NoRoom(Denial),
    /// More cells than a full bucket holds.
    Impossible { burst: u64 },
}

/// Of a request at nanosecond `now_ns` that would be admitted at `ready_ns`.
fn denial(now_ns: u64, ready_ns: u64) -> Denial {
    Denial::new(Timestamp::from_nanos(now_ns), Timestamp::from_nanos(ready_ns))
}

/// What became of cells that were given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refund {
    /// They are in the bucket, as many as it has room for.
    Returned,
    /// The bucket is full without them, or the key has none, which is the same.
    Full,
    /// They are lost: only the sketch of [strangers](KeyedBuilder::strangers) knows the key, and
    /// the table has no room for a bucket that says that its first cell is back.
    NoRoom,
}

/// What a look at a bucket shows. Moments are nanoseconds since the table was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    /// Cells of a full bucket.
    burst: u64,
    /// Whole cells.
    remaining: u64,
    /// Nanoseconds in which an empty bucket fills up.
    fill_ns: u64,
    /// When it is full again; the moment of the look where it is.
    full_at_ns: u64,
    /// When it holds what was asked about; `None` where it does.
    ready_at_ns: Option<u64>,
}

/// The tables.
#[derive(Debug)]
enum AnyTable {
    /// In the narrowest words that keep the quota exactly.
    Narrow(Table<exact::Slots<AtomicU64>>),
    Wide(Table<exact::Slots<AtomicU128>>),
    Compact(Table<compact::Words>),
}

/// Does the same to a table of any kind.
macro_rules! any {
    ($any:expr, $table:ident => $does:expr) => {
        match $any {
            AnyTable::Narrow($table) => $does,
            AnyTable::Wide($table) => $does,
            AnyTable::Compact($table) => $does,
        }
    };
}
use any;

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
    when_full: WhenFull,
    /// Held while it changes.
    quota: Mutex<Quota>,
    clock: C,
    hasher: S,
}

impl<C: Clock, S: BuildHasher> KeyedLimiter<C, S> {
    /// Takes one cell from the bucket of `key`, now.
    ///
    /// Constant time. Lock-free for a key that has its slot; a key that takes one holds a lock
    /// that it shares with the keys of the same neighbourhood.
    #[inline]
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.check_n(key, 1)
    }

    /// Takes `cells` cells from the bucket of `key`, all or none, now.
    #[inline]
    pub fn check_n<K: Hash + ?Sized>(&self, key: &K, cells: u64) -> Decision {
        let hash = self.hasher.hash_one(key);
        match &self.table {
            AnyTable::Narrow(table) => self.check_in(table, hash, cells),
            _ => self.check_elsewhere(hash, cells),
        }
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
                any!(&self.table, table => table.prefetch(*hash));
            }
            for (index, &hash) in hashes[..keys.len()].iter().enumerate() {
                answer(batch * BATCH + index, self.check_hashed(now, hash, 1));
            }
        }
    }

    /// What a request for `cells` cells of `key` would be answered at `now`. Takes nothing, and
    /// makes no bucket. It does not look for room: where a key has no bucket, a request may still
    /// be turned away.
    pub fn peek_at<K: Hash + ?Sized>(&self, now: Timestamp, key: &K, cells: u64) -> Decision {
        let level = self.look(now, self.hasher.hash_one(key), cells);
        match (settled_by_size(level.burst, cells), level.ready_at_ns) {
            (Some(decision), _) => decision,
            (None, None) => Decision::Admitted,
            (None, Some(ready)) => Decision::Denied(denial(now.as_nanos(), ready)),
        }
    }

    /// What the bucket of `key` holds at `now`. Takes nothing, and makes no bucket.
    pub fn standing_at<K: Hash + ?Sized>(&self, now: Timestamp, key: &K) -> Standing {
        self.standing_of(now, self.hasher.hash_one(key))
    }

    /// [`check_at`](Self::check_at), and [`standing_at`](Self::standing_at) after it: for answers
    /// that tell what is left. The key is hashed once. What others took in between is taken.
    ///
    /// ```
    /// use rate_limiter::{Clock, KeyedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = KeyedLimiter::new(Quota::per_hour(10)?, 100)?;
    /// let (decision, standing) = limiter.check_and_look_at(limiter.clock().now(), "ada", 3);
    /// assert!(decision.is_admitted());
    /// assert_eq!(standing.remaining(), 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_and_look_at<K: Hash + ?Sized>(
        &self,
        now: Timestamp,
        key: &K,
        cells: u64,
    ) -> (Decision, Standing) {
        let hash = self.hasher.hash_one(key);
        (self.check_hashed(now, hash, cells), self.standing_of(now, hash))
    }

    /// Gives back `cells` cells of `key` that were taken and not used, now.
    ///
    /// As with [`DirectLimiter::refund`](crate::DirectLimiter::refund), return at once what an
    /// earlier step took and a later one refused, and never more than was taken. A key whose bucket
    /// is full, or was admitted for want of room, has nothing to get back.
    ///
    /// ```
    /// use rate_limiter::{KeyedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = KeyedLimiter::new(Quota::per_hour(1)?, 100)?;
    /// assert!(limiter.check("ada").is_admitted());
    /// limiter.refund("ada", 1);
    /// assert!(limiter.check("ada").is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn refund<K: Hash + ?Sized>(&self, key: &K, cells: u64) -> Refund {
        self.refund_at(self.clock.now(), key, cells)
    }

    /// The same at `now`, a reading of this limiter's clock.
    pub fn refund_at<K: Hash + ?Sized>(&self, now: Timestamp, key: &K, cells: u64) -> Refund {
        let (hash, now_ns) = (self.hasher.hash_one(key), now.as_nanos());
        any!(&self.table, table => table.give_back(hash, now_ns, cells))
    }

    /// Keeps another quota from now on, for every key, while requests go on.
    ///
    /// Each request is decided wholly by the old quota or wholly by the new one, and what a bucket
    /// holds is carried over between them. Returns when all buckets are carried over: it walks over
    /// the table. New keys wait for some dozen stores, and nobody for the walk. Changes wait
    /// for each other. Where it fails, nothing has changed.
    ///
    /// ```
    /// use rate_limiter::{Carry, KeyedLimiter, Quota};
    /// use std::sync::Arc;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Arc::new(KeyedLimiter::new(Quota::per_hour(10)?, 1_000)?);
    /// assert!(limiter.check_n("ada", 5).is_admitted());
    /// limiter.set_quota(Quota::per_hour(100)?, Carry::Fraction)?;
    /// assert!(limiter.check_n("ada", 50).is_admitted(), "half of it was left");
    /// assert!(!limiter.check("ada").is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota, carry: Carry) -> Result<(), TableError> {
        let mut current = self.quota.lock().expect("no holder of this lock panics");
        let now_ns = self.clock.now().as_nanos();
        any!(&self.table, table => table.change(now_ns, &current, &quota, carry))?;
        *current = quota;
        Ok(())
    }

    fn look(&self, now: Timestamp, hash: u64, cells: u64) -> Level {
        any!(&self.table, table => table.look(hash, now.as_nanos(), cells))
    }

    fn standing_of(&self, now: Timestamp, hash: u64) -> Standing {
        let level = self.look(now, hash, 1);
        Standing {
            burst: level.burst,
            remaining: level.remaining,
            full_at: Timestamp::from_nanos(level.full_at_ns),
            asked_at: now,
            fill_ns: level.fill_ns,
        }
    }

    #[inline(always)]
    fn check_in<L: Line>(&self, table: &Table<L>, hash: u64, cells: u64) -> Decision {
        if cells == 0 {
            return Decision::Admitted;
        }
        // The bucket comes from memory while the clock is read.
        table.prefetch(hash);
        self.decision(table.take(hash, self.clock.now().as_nanos(), cells))
    }

    /// As [`check_n`](Self::check_n) where the table is not the one that nearly all quotas have:
    /// that one alone is inlined into callers, and has the registers for itself.
    #[inline(never)]
    fn check_elsewhere(&self, hash: u64, cells: u64) -> Decision {
        any!(&self.table, table => self.check_in(table, hash, cells))
    }

    #[inline(always)]
    fn check_hashed(&self, now: Timestamp, hash: u64, cells: u64) -> Decision {
        if cells == 0 {
            return Decision::Admitted;
        }
        self.decision(any!(&self.table, table => table.take(hash, now.as_nanos(), cells)))
    }

    /// What is said to a request with this outcome.
    #[inline(always)]
    fn decision(&self, outcome: Outcome) -> Decision {
        match outcome {
            Outcome::Admitted => Decision::Admitted,
            outcome => self.refusal(outcome),
        }
    }

    /// What is said to who was not simply admitted.
    #[inline(never)]
    fn refusal(&self, outcome: Outcome) -> Decision {
        match outcome {
            Outcome::Admitted => Decision::Admitted,
            Outcome::Denied(denial) => Decision::Denied(denial),
            Outcome::NoRoom(until_expiry) => match self.when_full {
                WhenFull::Admit => Decision::Admitted,
                WhenFull::Deny => Decision::Denied(until_expiry),
            },
            Outcome::Impossible { burst } => Decision::Impossible { burst },
        }
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// The quota that the limiter keeps for each key. Waits for a change that is under way.
    pub fn quota(&self) -> Quota {
        *self.quota.lock().expect("no holder of this lock panics")
    }

    /// What the table has been through.
    pub fn stats(&self) -> KeyedStats {
        any!(&self.table, table => table.stats())
    }
}

impl<C, S> fmt::Debug for KeyedLimiter<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimiter")
            .field("table", &self.table)
            .field("when_full", &self.when_full)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
