//! Compute: any function of what is there, as one atomic step.
#![expect(unsafe_code, reason = "an entry changes hands through a raw pointer")]

use super::Raw;
use super::entry::Entry;
use super::find::Site;
use super::insert::Fresh;
use crate::pin::Pin;

/// What shall become of a key.
pub(crate) enum Change<K, V> {
    /// It stays as it is.
    Keep,
    /// It gets this entry.
    Put(Box<Entry<K, V>>),
    /// It goes.
    Remove,
}

/// What became of a key.
pub(crate) enum Outcome<'g, K, V> {
    /// It stayed as it is; `None` where it is absent.
    Kept(Option<&'g Entry<K, V>>),
    /// It was absent and has this entry.
    Inserted(&'g Entry<K, V>),
    /// It had the first and has the second.
    Replaced(&'g Entry<K, V>, &'g Entry<K, V>),
    /// It had this entry and is absent.
    Removed(&'g Entry<K, V>),
}

impl<K, V> Raw<K, V> {
    /// Makes of the key with this hash what `change` says. `change` runs again when another thread
    /// was faster.
    #[inline]
    pub(crate) fn compute<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        mut change: impl FnMut(Option<&'g Entry<K, V>>) -> Change<K, V>,
        pin: &'g Pin,
    ) -> Outcome<'g, K, V> {
        loop {
            match self.locate(hash, &is_key, pin) {
                Site::Taken(taken) => match change(Some(taken.entry)) {
                    Change::Keep => return Outcome::Kept(Some(taken.entry)),
                    Change::Put(entry) => {
                        let fresh = Fresh::new(entry);
                        if taken.seen.exchange(fresh.word()) {
                            self.retire(taken.seen.word, pin);
                            self.help(pin);
                            return Outcome::Replaced(taken.entry, published(fresh, pin));
                        }
                    }
                    Change::Remove => {
                        if self.vacate(&taken, pin) {
                            return Outcome::Removed(taken.entry);
                        }
                    }
                },
                Site::Free(free) => match change(None) {
                    Change::Keep | Change::Remove => return Outcome::Kept(None),
                    Change::Put(entry) => {
                        let fresh = Fresh::new(entry);
                        if self.fill(&free, fresh.word(), pin) {
                            return Outcome::Inserted(published(fresh, pin));
                        }
                    }
                },
            }
        }
    }
}

/// The entry that was just put into the map.
fn published<K, V>(fresh: Fresh<K, V>, _pin: &Pin) -> &Entry<K, V> {
    // SAFETY: the map has it, and while we are pinned nobody frees it.
    unsafe { &*fresh.publish() }
}
