//! Compute: any function of what is there, as one atomic step.

use super::Raw;
use super::entry::{Entry, Owned};
use super::find::Site;
use super::insert::{published, retire};
use crate::pin::Pin;

/// What shall become of a key.
pub(crate) enum Change<K, V> {
    /// It stays as it is.
    Keep,
    /// It gets this entry.
    Put(Owned<K, V>),
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
    /// was faster; it then gets the entry back that could not be put.
    #[inline]
    pub(crate) fn compute<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        mut change: impl FnMut(Option<&'g Entry<K, V>>, Option<Owned<K, V>>) -> Change<K, V>,
        pin: &'g Pin,
    ) -> Outcome<'g, K, V> {
        let mut spare = None;
        loop {
            match self.locate(hash, &is_key, pin) {
                Site::Taken(taken) => match change(Some(taken.entry), spare.take()) {
                    Change::Keep => return Outcome::Kept(Some(taken.entry)),
                    Change::Put(fresh) => {
                        if taken.seen.exchange(fresh.word(taken.table)) {
                            retire(taken.seen.word, pin);
                            self.help(pin);
                            return Outcome::Replaced(taken.entry, published(fresh, pin));
                        }
                        spare = Some(fresh);
                    }
                    Change::Remove => {
                        if self.vacate(&taken, pin) {
                            return Outcome::Removed(taken.entry);
                        }
                    }
                },
                Site::Free(free) => match change(None, spare.take()) {
                    Change::Keep | Change::Remove => return Outcome::Kept(None),
                    Change::Put(fresh) => {
                        if self.fill(&free, fresh.word(free.table), pin) {
                            return Outcome::Inserted(published(fresh, pin));
                        }
                        spare = Some(fresh);
                    }
                },
            }
        }
    }
}

/// The entry that a key has by now, if any, and the one that was not put in its place.
pub(crate) type Refused<'g, K, V> = (Option<&'g Entry<K, V>>, Owned<K, V>);

impl<K: Eq, V> Raw<K, V> {
    /// Puts `fresh` in the place of `entry`, which has the same key, if the map still has that.
    /// Else gives it back, with the entry that the key has now.
    pub(crate) fn replace_exactly<'g>(
        &self,
        entry: &'g Entry<K, V>,
        fresh: Owned<K, V>,
        pin: &'g Pin,
    ) -> Result<(), Refused<'g, K, V>> {
        debug_assert!(entry.hash == fresh.hash, "one key has one hash");
        loop {
            match self.locate(entry.hash, |key| *key == entry.key, pin) {
                Site::Taken(taken) if std::ptr::eq(taken.entry, entry) => {
                    if taken.seen.exchange(fresh.word(taken.table)) {
                        fresh.publish();
                        retire(taken.seen.word, pin);
                        self.help(pin);
                        return Ok(());
                    }
                }
                Site::Taken(taken) => return Err((Some(taken.entry), fresh)),
                Site::Free(_) => return Err((None, fresh)),
            }
        }
    }
}
