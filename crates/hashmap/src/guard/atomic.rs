//! Read, decide, write: as one atomic step.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use super::Pinned;
use crate::raw::boxed::{Change, Outcome, Owned};

/// The key is taken: what was to be inserted, and what is there.
#[derive(Clone, PartialEq, Eq)]
pub struct OccupiedError<'p, K, V> {
    /// The value that is there.
    pub current: &'p V,
    /// The key that was not inserted.
    pub key: K,
    /// The value that was not inserted.
    pub value: V,
}

/// The value is not the expected one: what was to be put, and what is there.
#[derive(Clone, PartialEq, Eq)]
pub struct ExchangeError<'p, V> {
    /// The value that is there; `None` where the key is absent.
    pub current: Option<&'p V>,
    /// The value that was not put.
    pub new: V,
}

/// What shall become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<V> {
    /// It stays as it is.
    Keep,
    /// It gets this value.
    Put(V),
    /// It goes.
    Remove,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed<'p, V> {
    /// It stayed as it is; `None` where it is absent.
    Kept(Option<&'p V>),
    /// It was absent and has this value.
    Inserted(&'p V),
    /// It had another value.
    Replaced {
        /// The value that it had.
        former: &'p V,
        /// The value that it has.
        new: &'p V,
    },
    /// It had this value and is absent.
    Removed(&'p V),
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// Makes of `key` what `decide` says about its value, as one atomic step. `decide` runs again
    /// when another thread was faster. It may use this map, this very key included.
    pub fn compute<Q>(
        &self,
        key: &Q,
        mut decide: impl FnMut(Option<&V>) -> Operation<V>,
    ) -> Computed<'_, V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hash_of(key);
        let outcome = self.map.raw.compute(
            hash,
            |it| it.borrow() == key,
            |entry, spare| match decide(entry.map(|it| &it.value)) {
                Operation::Keep => Change::Keep,
                Operation::Remove => Change::Remove,
                Operation::Put(value) => Change::Put(match spare {
                    Some(mut spare) => {
                        spare.value = value;
                        spare
                    }
                    None => Owned::new(hash, key.to_owned(), value),
                }),
            },
            &self.pin,
        );
        match outcome {
            Outcome::Kept(entry) => Computed::Kept(entry.map(|it| &it.value)),
            Outcome::Inserted(entry) => Computed::Inserted(&entry.value),
            Outcome::Replaced(former, new) => {
                Computed::Replaced { former: &former.value, new: &new.value }
            }
            Outcome::Removed(entry) => Computed::Removed(&entry.value),
        }
    }

    /// Replaces the value of `key` by what `change` makes of it, and returns the new one; `None`,
    /// and nothing changed, where the key is absent. `change` runs again when another thread was
    /// faster.
    #[inline]
    pub fn update<Q>(&self, key: &Q, mut change: impl FnMut(&V) -> V) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let computed = self.compute(key, |value| match value {
            Some(value) => Operation::Put(change(value)),
            None => Operation::Keep,
        });
        match computed {
            Computed::Replaced { new, .. } => Some(new),
            _ => None,
        }
    }

    /// As [`update`](Self::update); where the key is absent it gets the value that `make` makes.
    pub fn update_or_insert_with<Q>(
        &self,
        key: &Q,
        mut change: impl FnMut(&V) -> V,
        mut make: impl FnMut() -> V,
    ) -> &V
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let computed = self.compute(key, |value| {
            Operation::Put(match value {
                Some(value) => change(value),
                None => make(),
            })
        });
        match computed {
            Computed::Replaced { new, .. } | Computed::Inserted(new) => new,
            Computed::Kept(_) | Computed::Removed(_) => unreachable!("a value was put"),
        }
    }

    /// Sets the value of `key` to `new` if it is `expected`, and returns the former one.
    pub fn compare_exchange<Q>(
        &self,
        key: &Q,
        expected: &V,
        new: V,
    ) -> Result<&V, ExchangeError<'_, V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        V: PartialEq,
    {
        let hash = self.hash_of(key);
        let mut current = self.find(key);
        let mut new = new;
        loop {
            let Some(entry) = current.filter(|it| it.value == *expected) else {
                return Err(ExchangeError { current: current.map(|it| &it.value), new });
            };
            let put = Owned::new(hash, key.to_owned(), new);
            match self.map.raw.replace_exactly(entry, put, &self.pin) {
                Ok(()) => return Ok(&entry.value),
                Err((now, put)) => (current, new) = (now, put.into_parts().1),
            }
        }
    }
}

impl<K, V: fmt::Debug> fmt::Debug for OccupiedError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccupiedError").field("current", self.current).finish_non_exhaustive()
    }
}

impl<K, V> fmt::Display for OccupiedError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key has a value; use `insert` to replace it")
    }
}

impl<K, V: fmt::Debug> std::error::Error for OccupiedError<'_, K, V> {}

impl<V: fmt::Debug> fmt::Debug for ExchangeError<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeError").field("current", &self.current).finish_non_exhaustive()
    }
}

impl<V> fmt::Display for ExchangeError<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is not the expected one; look at `current` and decide again")
    }
}

impl<V: fmt::Debug> std::error::Error for ExchangeError<'_, V> {}
