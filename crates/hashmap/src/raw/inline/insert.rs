//! Setting the value of a key.

use std::hash::BuildHasher;

use super::edit::Edit;
use super::session::Session;

impl<S: BuildHasher> Session<'_, S> {
    /// Sets the value of a key; the value before.
    #[inline]
    pub(crate) fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.insert_hashed(self.hash(key), key, value)
    }

    /// The same for a key whose hash is known.
    #[inline(always)]
    pub(super) fn insert_hashed(&self, hash: u64, key: u64, value: u64) -> Option<u64> {
        self.edit_hashed(hash, key, |_former| Edit::Set(value))
    }

    /// Sets the value of a key that has none; else the value that it has.
    #[inline]
    pub(crate) fn try_insert(&self, key: u64, value: u64) -> Option<u64> {
        let decide = |former: Option<u64>| match former {
            None => Edit::Set(value),
            Some(_) => Edit::Keep,
        };
        self.edit_hashed(self.hash(key), key, decide)
    }
}
