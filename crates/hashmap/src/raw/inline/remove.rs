//! Removing a key.

use std::hash::BuildHasher;

use super::edit::Edit;
use super::session::Session;

impl<S: BuildHasher> Session<'_, S> {
    /// Removes a key; its value.
    #[inline]
    pub(crate) fn remove(&self, key: u64) -> Option<u64> {
        let decide = |former: Option<u64>| match former {
            None => Edit::Keep,
            Some(_) => Edit::Remove,
        };
        self.edit(key, decide)
    }
}
