//! Removing a key.

use std::hash::BuildHasher;

use super::edit::Edit;
use super::session::Session;

impl<S: BuildHasher> Session<'_, S> {
    /// Removes a key; its value.
    #[inline]
    pub(crate) fn remove(&self, key: u64) -> Option<u64> {
        let decide = |former: Option<u64>| former.map_or(Edit::Keep, |_| Edit::Remove);
        self.edit_hashed(self.hash(key), key, decide)
    }

    /// Removes a key whose value `condition` likes; the value that was removed.
    #[inline]
    pub(crate) fn remove_if(
        &self,
        key: u64,
        mut condition: impl FnMut(u64) -> bool,
    ) -> Option<u64> {
        let mut liked = false;
        let decide = |former: Option<u64>| {
            liked = former.is_some_and(&mut condition);
            if liked { Edit::Remove } else { Edit::Keep }
        };
        let former = self.edit_by_caller(key, decide);
        former.filter(|_| liked)
    }
}
