//! The handle through which a thread works with a map.
//!
//! ```
//! let map = hashmap::HashMap::new();
//! let pinned = map.pin();
//! pinned.insert("one", 1);
//! let one: &i32 = pinned.get("one").expect("it was just inserted");
//! pinned.remove("one");
//! assert_eq!(*one, 1); // unlinked, and alive while `pinned` is
//! ```
//!
//! A pin costs about as much as ten loads from the nearest cache, so a thread that works through
//! many operations takes one for all of them, and renews it now and then: what the process unlinks
//! while a pin is held is not freed.
//!
//! It is not `Send`, and so the compiler refuses to hold it, or anything read through it, across an
//! `.await` of a task that may move between threads:
//!
//! ```compile_fail
//! fn spawn(_task: impl Future<Output = ()> + Send + 'static) {}
//! let map: &'static hashmap::HashMap<u64, u64> = Box::leak(Box::default());
//! spawn(async move {
//!     let pinned = map.pin();
//!     std::future::ready(()).await;
//!     pinned.insert(1, 1);
//! });
//! ```
//!
//! Asynchronous code uses [`HashMap::with`], [`HashMap::get_cloned`] and [`HashMap::batches`].
//!
//! # What this module does not do
//!
//! It has no operation on two keys at once: each is atomic for itself.

mod atomic;
mod basic;
mod many;

use std::fmt;
use std::hash::{BuildHasher, Hash};

pub use atomic::{Computed, ExchangeError, OccupiedError, Operation};

use crate::error::GarbageError;
use crate::hash;
use crate::iter::Iter;
use crate::map::HashMap;
use crate::pin::Pin;

/// A pinned thread's view of a map. See [the module](self).
pub struct Pinned<'m, K, V, S> {
    pub(crate) map: &'m HashMap<K, V, S>,
    pub(crate) pin: Pin,
}

impl<'m, K, V, S> Pinned<'m, K, V, S> {
    /// The map.
    pub fn map(&self) -> &'m HashMap<K, V, S> {
        self.map
    }

    /// Lets go of everything read so far and pins anew, so that what was unlinked meanwhile can be
    /// freed. Much cheaper than a new pin; do it every hundred operations or so.
    #[inline]
    pub fn renew(&mut self) {
        self.pin.renew();
    }

    /// Hands what was unlinked through this pin to the collector, and lets it free what is due.
    /// Nothing that was unlinked since the oldest pin of the process began is due.
    pub fn flush(&self) {
        self.pin.flush();
    }

    /// This handle, for one operation that unlinks, if at most [`HashMap::garbage_max`] bytes are
    /// unlinked and not freed. If there are more, renews the pin and lets the collector work first.
    ///
    /// # Errors
    ///
    /// If that does not help: another thread, or another handle of this one, is pinned since before
    /// they were unlinked. A thread that is pinned only for an operation may be in the way as well,
    /// so one refusal is no proof of a stalled one.
    #[inline]
    pub fn admit(&mut self) -> Result<&Self, GarbageError> {
        let garbage_max = self.map.garbage_max();
        if self.pin.admit(garbage_max) { Ok(self) } else { Err(self.refusal()) }
    }

    /// As [`admit`](Self::admit), without renewing the pin, and so without help of the collector.
    pub(crate) fn admit_at_once(&self) -> Result<(), GarbageError> {
        if self.pin.garbage() <= self.map.garbage_max() { Ok(()) } else { Err(self.refusal()) }
    }

    #[cold]
    fn refusal(&self) -> GarbageError {
        GarbageError { garbage: self.pin.garbage(), garbage_max: self.map.garbage_max() }
    }

    #[inline(always)]
    pub(crate) fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64
    where
        S: BuildHasher,
    {
        hash::of(key, &self.map.hasher)
    }
}

impl<K: Eq, V, S> Pinned<'_, K, V, S> {
    /// All entries, in no order. Weakly consistent: of each key the walk says what a
    /// [`get`](Self::get) at some moment of it would have said. So a key comes once at most, and
    /// one that has a value from before the call until the iterator ends comes once.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(self.map.raw.sweep(&self.pin))
    }

    /// All keys, as [`iter`](Self::iter) has them.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, as [`iter`](Self::iter) has them.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<'p, K: Eq, V, S> IntoIterator for &'p Pinned<'_, K, V, S> {
    type Item = (&'p K, &'p V);
    type IntoIter = Iter<'p, K, V>;

    fn into_iter(self) -> Iter<'p, K, V> {
        self.iter()
    }
}

impl<K: Eq + fmt::Debug, V: fmt::Debug, S> fmt::Debug for Pinned<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}
