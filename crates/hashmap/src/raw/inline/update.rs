//! Changing a value by a function of it.
//!
//! The function is the caller's, so it runs between two operations and not in one: read, compute,
//! and write if the value is still the one that was read. The bits of the value are all there is to
//! it, so a value that went and came back meanwhile does no harm.

use std::hash::BuildHasher;

use super::edit::Edit;
use super::session::Session;

impl<S: BuildHasher> Session<'_, S> {
    /// Replaces what the key has, if it is `expected`, by `new`; where `None` is no value. Else
    /// returns what it has.
    #[inline]
    pub(crate) fn compare_exchange(
        &self,
        key: u64,
        expected: Option<u64>,
        new: Option<u64>,
    ) -> Result<(), Option<u64>> {
        self.exchange_hashed(self.hash(key), key, expected, new)
    }

    #[inline(always)]
    fn exchange_hashed(
        &self,
        hash: u64,
        key: u64,
        expected: Option<u64>,
        new: Option<u64>,
    ) -> Result<(), Option<u64>> {
        let decide = |former: Option<u64>| match new {
            _ if former != expected => Edit::Keep,
            Some(value) => Edit::Set(value),
            None => Edit::Remove,
        };
        let former = self.edit(hash, key, decide);
        if former == expected { Ok(()) } else { Err(former) }
    }

    /// Replaces what the key has by what `change` makes of it, where `None` is no value. Returns
    /// what it had and what it has now.
    #[inline]
    pub(crate) fn compute(
        &self,
        key: u64,
        mut change: impl FnMut(Option<u64>) -> Option<u64>,
    ) -> (Option<u64>, Option<u64>) {
        let hash = self.hash(key);
        let mut seen = self.with_table(|table| table.get(hash, key));
        loop {
            let new = change(seen);
            if new == seen {
                return (seen, seen);
            }
            match self.exchange_hashed(hash, key, seen, new) {
                Ok(()) => return (seen, new),
                Err(now) => seen = now,
            }
        }
    }

    /// Replaces the value of a key, if it has one, by what `change` makes of it; the new value.
    #[inline]
    pub(crate) fn update(&self, key: u64, mut change: impl FnMut(u64) -> u64) -> Option<u64> {
        self.compute(key, |seen| seen.map(&mut change)).1
    }
}
