//! The handle through which a thread works with a map.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use crate::hash;
use crate::map::HashMap;
use crate::pin::Pin;
use crate::raw::boxed::{Change, Entry, Outcome};

/// A pinned thread's view of a map. Not `Send`.
pub struct Pinned<'m, K, V, S> {
    pub(crate) map: &'m HashMap<K, V, S>,
    pub(crate) pin: Pin,
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Send + 'static,
    S: BuildHasher,
{
    #[inline]
    fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        hash::of(key, &self.map.hasher)
    }

    /// The value of `key`.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.map.raw.find(self.hash_of(key), |it| it.borrow() == key, &self.pin)?;
        Some(&entry.value)
    }

    /// Sets the value of `key` and returns the former one.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        let hash = self.hash_of(&key);
        Some(&self.map.raw.insert(Entry::new(hash, key, value), &self.pin)?.value)
    }

    /// Removes `key` and returns its value.
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash_of(key);
        let removed = self.map.raw.remove_if(hash, |it| it.borrow() == key, |_| true, &self.pin);
        removed.ok().map(|it| &it.value)
    }

    /// Replaces the value of `key` by what `change` makes of it.
    pub fn update(&self, key: &K, mut change: impl FnMut(&V) -> V) -> Option<&V>
    where
        K: Clone,
    {
        let hash = self.hash_of(key);
        let outcome = self.map.raw.compute(
            hash,
            |it| it == key,
            |entry| match entry {
                None => Change::Keep,
                Some(entry) => {
                    Change::Put(Entry::new(hash, entry.key.clone(), change(&entry.value)))
                }
            },
            &self.pin,
        );
        match outcome {
            Outcome::Replaced(_, new) => Some(&new.value),
            _ => None,
        }
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.raw.sweep(&self.pin).map(|it| (&it.key, &it.value))
    }

    /// Lets go of everything read so far and pins anew.
    #[inline]
    pub fn renew(&mut self) {
        self.pin.renew();
    }
}
