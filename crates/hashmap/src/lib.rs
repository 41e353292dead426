//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.
//!
//! | type        | keys and values         | reads                   | writes                         |
//! |-------------|-------------------------|-------------------------|--------------------------------|
//! | [`WordMap`] | `Copy`, up to 8 bytes   | by copy, lock-free      | wait for a writer of the same bin |
//! | [`HashMap`] | any (`Send`, `'static`) | in place, under a pin   | lock-free, an entry for each   |
//! | [`HashSet`] | any                     | the same                | the same                       |
//!
//! ```
//! use hashmap::{HashMap, WordMap};
//!
//! let map = HashMap::new();
//! let pinned = map.pin();
//! pinned.insert("answer", 42);
//! assert_eq!(pinned.get("answer"), Some(&42));
//!
//! let squares: WordMap<u64, u64> = (0..1_000).map(|key| (key, key * key)).collect();
//! let handle = squares.pin();
//! assert_eq!(handle.get(30), Some(900));
//! assert_eq!(handle.get_many(&[1, 2, 5_000]), [Some(1), Some(4), None]);
//! ```
//!
//! # Which one
//!
//! [`WordMap`] wherever keys and values are words (see [`Word`]): a search reads a head of 32
//! bytes, which has a tag for each of fourteen entries, and where a tag is equal the entry; a write
//! allocates nothing. It is the faster by far, and the only one whose batches overlap their cache
//! misses. [`HashMap`] for everything else, and where a thread that the system suspends in the
//! middle of a write must hold up nobody.
//!
//! # Handles
//!
//! - [`HashMap::pin`] gives a [`Pinned`]: it lends references, which live as long as it does.
//! - [`HashMap::session`] gives a [`Session`]: it copies values out and renews its pin by itself.
//! - [`WordMap::pin`] gives a [`WordMapRef`], which does the same.
//! - [`HashMap::with`], [`get_cloned`](HashMap::get_cloned) and [`batches`](HashMap::batches), and
//!   every method of [`WordMap`] itself, hold nothing when they return: for asynchronous code.
//!
//! No handle is `Send`, so that the compiler refuses to hold one across an `await`.
//!
//! # Room that is asked for
//!
//! `with_capacity` (and [`WordMap::reserve`]) take the memory from the system in one piece and of
//! huge pages, where it is four megabytes or more: a large map is then searched faster by a quarter
//! to a half. Whoever first writes to such a page waits until it is zeroed, a tenth of a
//! millisecond or more. A map that grows by itself takes small pages, so that nobody waits for
//! that, and leaves it to the system to put them together later.
//!
//! # What is not lock-free
//!
//! Operations of a [`HashMap`] wait for nobody, but at two moments: a thread takes a lock, for a
//! few instructions, when it inserts or removes for the first time in the process, and again when
//! it ends; and so does who makes or drops a map. What they allocate is up to the allocator. A
//! [`WordMap`] has more locks: its writers take those of bins, and one where a table is replaced.
//!
//! # What this crate does not do
//!
//! It has no operation on several keys at once that is atomic, no order of keys, and no snapshot.
//! It does not free what a stalled thread still looks at. [`HashMap::garbage`] counts that, and it
//! is bounded for who asks before writing ([`map`](map#garbage)); a [`WordMap`] keeps nothing for
//! an overwrite.

mod counter;
pub mod entry;
mod error;
pub mod guard;
mod hash;
#[cfg(all(test, not(any(loom, shuttle))))]
mod histories;
pub mod iter;
mod ledger;
pub mod map;
mod pin;
mod pool;
mod prefetch;
mod raw;
#[cfg(feature = "rayon")]
mod rayon;
#[cfg(feature = "serde")]
mod serde;
mod session;
pub mod set;
mod sync;
mod word;
pub mod word_map;
mod zeroed;

#[cfg(feature = "rayon")]
pub use crate::rayon::ParIter;
pub use error::{CapacityError, GarbageError};
pub use guard::Pinned;
pub use hash::RandomState;
pub use map::HashMap;
pub use session::Session;
pub use set::HashSet;
pub use word::Word;
pub use word_map::{WordMap, WordMapRef};
