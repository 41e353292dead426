//! Setting the value of a key.

use std::hash::BuildHasher;

use super::edit::Edit;
use super::session::Session;

impl<S: BuildHasher> Session<'_, S> {
    /// Sets the value of a key; the value before.
    #[inline]
    pub(crate) fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.edit(key, |_former| Edit::Set(value))
    }

    /// Sets the value of a key that has none; else the value that it has.
    #[inline]
    pub(crate) fn try_insert(&self, key: u64, value: u64) -> Option<u64> {
        let decide = |former: Option<u64>| match former {
            None => Edit::Set(value),
            Some(_) => Edit::Keep,
        };
        self.edit(key, decide)
    }
}
