//! Settings of a keyed limiter, and what can be wrong with them.

use std::hash::BuildHasher;

use env::clock::{Clock, FastClock};
use foldhash::quality::RandomState;

use super::strangers::Strangers;
use super::table::{Filling, Table};
use super::{AnyTable, KeyedLimiter, any};
use crate::quota::{Quota, Scale};
use crate::sync::Mutex;

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
pub enum TableError {
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
    /// The quota needs finer time, or more of it, than a compact slot has.
    #[error(
        "a burst above 2^24 or a rate above a cell a nanosecond has no compact table; make the \
         limiter without `compact`"
    )]
    NotCompact,
    /// The quota that a limiter was to change to outgrows the words of its table.
    #[error(
        "the quota's interval is a fraction of a nanosecond that 64 bits do not keep for decades; \
         make the limiter with `any_quota`"
    )]
    TooFine,
    /// A limiter whose quota has changed so often that no ticks are left.
    #[error("this limiter has had more quotas than it can tell apart; make another")]
    WornOut,
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// In words of 64 bits where they keep the quota.
    Exact(Filling),
    Compact,
}

/// Settings of a [`KeyedLimiter`]; made by [`KeyedLimiter::builder`].
#[derive(Clone, Debug)]
pub struct KeyedBuilder<C = FastClock, S = RandomState> {
    quota: Quota,
    keys: usize,
    layout: Layout,
    any_quota: bool,
    strangers: usize,
    when_full: WhenFull,
    clock: C,
    hasher: S,
}

impl KeyedLimiter<FastClock, RandomState> {
    /// A limiter with room for `keys` buckets in use at once, on the machine's fastest sound
    /// clock; a new key without room is denied.
    ///
    /// Takes 32 bytes a key, all of them now.
    pub fn new(quota: Quota, keys: usize) -> Result<Self, TableError> {
        Self::builder(quota, keys).build()
    }

    /// Starts from the settings of [`new`](Self::new).
    pub fn builder(quota: Quota, keys: usize) -> KeyedBuilder {
        KeyedBuilder {
            quota,
            keys,
            layout: Layout::Exact(Filling::Half),
            any_quota: false,
            strangers: 0,
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

    /// Packs the table: less than 20 bytes a key instead of 32. While it holds as many keys as it
    /// was made for, two of a thousand new ones find no room.
    #[must_use]
    pub fn dense(self) -> Self {
        Self { layout: Layout::Exact(Filling::Dense), ..self }
    }

    /// Keeps a bucket in eight bytes: less than 10 bytes a key. See the error bounds in the header
    /// of `compact`; a burst above 2^24 and a rate above a cell a nanosecond are refused.
    ///
    /// ```
    /// use rate_limiter::{KeyedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = KeyedLimiter::builder(Quota::per_minute(60)?, 1_000_000).compact().build()?;
    /// assert!(limiter.check("203.0.113.9").is_admitted());
    /// assert!(limiter.stats().bytes <= 10_000_000);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn compact(self) -> Self {
        Self { layout: Layout::Compact, ..self }
    }

    /// Keeps exact buckets in words of 128 bits, whatever the quota: 24 bytes a slot instead of 16.
    ///
    /// For a limiter whose quota [changes](KeyedLimiter::set_quota) to one that 64 bits do not
    /// keep: one whose interval is not a multiple of a fifteenth of a nanosecond or coarser, as 17
    /// a second. No effect on a [`compact`](Self::compact) table, which keeps those.
    #[must_use]
    pub fn any_quota(self) -> Self {
        Self { any_quota: true, ..self }
    }

    /// Keeps keys that come once out of the table: a key gets a slot when it comes for the second
    /// time. Before, a sketch of three and a half bytes for each of `count` strangers remembers it.
    ///
    /// `count` is how many keys that never come again may come within the time of one cell. About
    /// 4 % of them are mistaken for known ones and take a slot. No key is ever admitted more than
    /// its quota; one that comes again may begin with a cell less than it would hold, and one that
    /// was mistaken with two less. See the error bounds in the header of `strangers`. Best where
    /// the burst is three cells or more.
    ///
    /// ```
    /// use rate_limiter::{KeyedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let quota = Quota::per_minute(60)?;
    /// let limiter = KeyedLimiter::builder(quota, 1_000).strangers(100_000).build()?;
    /// for key in 0..50_000 {
    ///     assert!(limiter.check(&key).is_admitted());
    /// }
    /// assert!(limiter.check("regular").is_admitted());
    /// assert!(limiter.check("regular").is_admitted(), "the table has room for it");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn strangers(self, count: usize) -> Self {
        Self { strangers: count, ..self }
    }

    /// Reads another clock.
    pub fn clock<D: Clock>(self, clock: D) -> KeyedBuilder<D, S> {
        let Self { quota, keys, layout, any_quota, strangers, when_full, clock: _, hasher } = self;
        KeyedBuilder { quota, keys, layout, any_quota, strangers, when_full, clock, hasher }
    }

    /// Hashes keys another way. The hasher should be seeded, or whoever chooses the keys can make
    /// them collide.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<C, T> {
        let Self { quota, keys, layout, any_quota, strangers, when_full, clock, hasher: _ } = self;
        KeyedBuilder { quota, keys, layout, any_quota, strangers, when_full, clock, hasher }
    }

    /// Allocates the table.
    pub fn build(self) -> Result<KeyedLimiter<C, S>, TableError> {
        let Self { quota, keys, layout, any_quota, strangers, when_full, clock, hasher } = self;
        let start_ns = clock.now().as_nanos();
        let sketch = || Strangers::new(strangers, &quota, start_ns);
        let sketch = (strangers > 0).then(sketch).transpose()?;
        let is_narrow = !any_quota && Scale::narrow(&quota).is_some();
        let mut table = match layout {
            Layout::Compact => {
                AnyTable::Compact(Table::new(&quota, keys, Filling::Dense, start_ns)?)
            }
            Layout::Exact(filling) if is_narrow => {
                AnyTable::Narrow(Table::new(&quota, keys, filling, start_ns)?)
            }
            Layout::Exact(filling) => AnyTable::Wide(Table::new(&quota, keys, filling, start_ns)?),
        };
        if let Some(sketch) = sketch {
            any!(&mut table, table => table.keep_out(sketch));
        }
        Ok(KeyedLimiter { table, when_full, quota: Mutex::new(quota), clock, hasher })
    }
}
