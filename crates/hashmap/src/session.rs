//! A handle that copies values out, and so can renew its pin by itself.
//!
//! A [`Pinned`] lends references, so only its owner can say when it may be renewed. A session lends
//! nothing: between two operations nothing of the map is in use, and every [`TURNS`] operations it
//! renews its pin there. Closures may use the session again; then the outer operation is still
//! reading, and the renewal waits.
//!
//! # What this module does not do
//!
//! It does not renew a pin while nobody calls it. A thread that keeps a session and idles keeps
//! what the process unlinks meanwhile from being freed.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::error::GarbageError;
use crate::guard::Pinned;
use crate::map::HashMap;

/// Operations between two renewals.
const TURNS: u32 = 64;

/// A thread's way into a map for any number of operations. Not `Send`.
pub struct Session<'m, K, V, S> {
    pinned: RefCell<Pinned<'m, K, V, S>>,
    /// Operations until the next renewal, this one included.
    turns_left: Cell<u32>,
}

impl<'m, K, V, S> Session<'m, K, V, S>
where
    K: Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    S: BuildHasher,
{
    pub(crate) fn new(map: &'m HashMap<K, V, S>) -> Self {
        Self { pinned: RefCell::new(map.pin()), turns_left: Cell::new(TURNS) }
    }

    /// A copy of the value of `key`.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.turn(|pinned| pinned.get(key).cloned())
    }

    /// Whether `key` is there.
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.turn(|pinned| pinned.contains_key(key))
    }

    /// Sets the value of `key` and returns a copy of the former one.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.turn(|pinned| pinned.insert(key, value).cloned())
    }

    /// Removes `key` and returns a copy of its value.
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.turn(|pinned| pinned.remove(key).cloned())
    }

    /// As [`Pinned::update`], with a copy of the new value.
    #[inline]
    pub fn update<Q>(&self, key: &Q, change: impl FnMut(&V) -> V) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.turn(|pinned| pinned.update(key, change).cloned())
    }

    /// As [`Pinned::admit`], for the next operation that unlinks. Within a closure that the session
    /// itself has called, the pin is in use and cannot be renewed: there the collector does not
    /// help.
    #[inline]
    pub fn admit(&self) -> Result<(), GarbageError> {
        match self.pinned.try_borrow_mut() {
            Ok(mut pinned) => pinned.admit().map(drop),
            Err(_) => self.pinned.borrow().admit_at_once(),
        }
    }

    /// Anything else. What `operation` reads it cannot keep.
    #[inline]
    pub fn with<R>(&self, operation: impl FnOnce(&Pinned<'m, K, V, S>) -> R) -> R {
        self.turn(operation)
    }

    #[inline(always)]
    fn turn<R>(&self, operation: impl FnOnce(&Pinned<'m, K, V, S>) -> R) -> R {
        let result = operation(&self.pinned.borrow());
        let left = self.turns_left.get() - 1;
        self.turns_left.set(left);
        if left == 0 {
            self.renew();
        }
        result
    }

    #[inline(never)]
    fn renew(&self) {
        // Before the renewal: a destructor that it runs may panic.
        self.turns_left.set(TURNS);
        match self.pinned.try_borrow_mut() {
            Ok(mut pinned) => pinned.renew(),
            // An outer operation is still reading; the next turn tries again.
            Err(_) => self.turns_left.set(1),
        }
    }
}

impl<K, V, S> fmt::Debug for Session<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("turns_left", &self.turns_left).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
