//! Changing a value by a function of it.
//!
//! The function is the caller's and runs before the lock is taken: read, compute, lock, and write
//! if the value is still the one that was read, else compute anew. The bits of the value are all
//! there is to it, so a value that went and came back meanwhile does no harm.

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
        let decide = |former: Option<u64>| match new {
            _ if former != expected => Edit::Keep,
            Some(value) => Edit::Set(value),
            None => Edit::Remove,
        };
        let former = self.edit_hashed(self.hash(key), key, decide);
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
        let mut new = None;
        let decide = |seen: Option<u64>| {
            new = change(seen);
            match new {
                _ if new == seen => Edit::Keep,
                Some(value) => Edit::Set(value),
                None => Edit::Remove,
            }
        };
        let former = self.edit_by_caller(key, decide);
        (former, new)
    }

    /// Replaces the value of a key, if it has one, by what `change` makes of it; the new value.
    #[inline]
    pub(crate) fn update(&self, key: u64, mut change: impl FnMut(u64) -> u64) -> Option<u64> {
        let mut new = None;
        let decide = |seen: Option<u64>| {
            new = seen.map(&mut change);
            new.map_or(Edit::Keep, Edit::Set)
        };
        self.edit_by_caller(key, decide);
        new
    }
}
