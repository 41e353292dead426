//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.
//!
//! | type        | keys and values       | reads                  | writes                      |
//! |-------------|-----------------------|------------------------|-----------------------------|
//! | [`HashMap`] | any (`Send`, `'static`) | in place, under a pin | lock-free, an entry for each |
//! | [`HashSet`] | any                   | the same               | the same                    |
//!
//! ```
//! let map = hashmap::HashMap::new();
//! let pinned = map.pin();
//! pinned.insert("answer", 42);
//! assert_eq!(pinned.get("answer"), Some(&42));
//! ```
//!
//! # Handles
//!
//! - [`HashMap::pin`] gives a [`Pinned`]: it lends references, which live as long as it does.
//! - [`HashMap::session`] gives a [`Session`]: it copies values out and renews its pin by itself.
//! - [`HashMap::with`], [`get_cloned`](HashMap::get_cloned) and [`batches`](HashMap::batches) hold
//!   nothing when they return: for asynchronous code.
//!
//! # What this crate does not do
//!
//! It has no operation on several keys at once, no order of keys, and no snapshot. It does not bound
//! what a stalled thread keeps from being freed; [`HashMap::garbage`] counts it.

mod counter;
pub mod entry;
mod error;
pub mod guard;
mod hash;
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

#[cfg(feature = "rayon")]
pub use crate::rayon::ParIter;
pub use error::CapacityError;
pub use guard::Pinned;
pub use hash::RandomState;
pub use map::HashMap;
pub use session::Session;
pub use set::HashSet;
