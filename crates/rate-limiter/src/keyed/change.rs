//! A keyed limiter whose quota changes.
//!
//! A slot holds ticks, and another quota has other ticks. So a change makes a table of the same
//! size and puts every bucket into its old place, with what it misses in the new ticks. All
//! roundings are against the client.
//!
//! See `live` for how a bucket is carried over. One thing differs: a full bucket stays full also
//! where cells are carried over, since a key with a full bucket may as well have none.
//!
//! # What this module does not do
//!
//! It needs the limiter for itself. A server that changes its quota while it serves keeps the
//! limiter behind a reader-writer lock, and its clients wait as long as the walk takes. It does not
//! carry a sketch of strangers over: such a limiter refuses.

use std::hash::BuildHasher;

use env::clock::Clock;

use super::table::Table;
use super::{AnyTable, KeyedLimiter, TableError, any};
use crate::bucket::AtomicWord;
use crate::live::{Carry, carried};
use crate::quota::{Quota, Scale};

impl<C: Clock, S: BuildHasher> KeyedLimiter<C, S> {
    /// Keeps another quota from now on, for every key.
    ///
    /// Walks over the whole table, and needs its memory twice meanwhile. Where it fails, nothing
    /// has changed.
    ///
    /// ```
    /// use rate_limiter::{Carry, KeyedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut limiter = KeyedLimiter::new(Quota::per_hour(10)?, 1_000)?;
    /// assert!(limiter.check_n("ada", 5).is_admitted());
    /// limiter.set_quota(Quota::per_hour(100)?, Carry::Fraction)?;
    /// assert!(limiter.check_n("ada", 50).is_admitted(), "half of it was left");
    /// assert!(!limiter.check("ada").is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&mut self, quota: Quota, carry: Carry) -> Result<(), TableError> {
        if any!(&self.table, table => table.has_strangers()) {
            return Err(TableError::Strangers);
        }
        let (elapsed, old) = (self.elapsed_ns(self.clock.now()), self.quota);
        let turn = |debt| carried(carry, &old, &quota, debt);
        self.table = match &self.table {
            AnyTable::Narrow(table) => exact(table, &quota, elapsed, turn)?,
            AnyTable::Wide(table) => exact(table, &quota, elapsed, turn)?,
            AnyTable::Compact(table) => {
                AnyTable::Compact(table.under(&old, &quota, elapsed, turn)?)
            }
        };
        let wide = Scale::wide(&quota);
        (self.quota, self.fill_ns) = (quota, wide.nanos_at(wide.tolerance));
        Ok(())
    }
}

/// The buckets of `table` in the narrowest words that keep `quota`.
fn exact<A: AtomicWord>(
    table: &Table<A>,
    quota: &Quota,
    elapsed_ns: u64,
    turn: impl Fn(u128) -> u128,
) -> Result<AnyTable, TableError> {
    match Scale::narrow(quota) {
        Some(scale) => table.under(scale, elapsed_ns, turn).map(AnyTable::Narrow),
        None => table.under(Scale::wide(quota), elapsed_ns, turn).map(AnyTable::Wide),
    }
}

#[cfg(test)]
mod tests;
