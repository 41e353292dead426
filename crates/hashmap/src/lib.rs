//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.

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

pub use error::CapacityError;
pub use guard::Pinned;
pub use hash::RandomState;
pub use map::HashMap;
pub use session::Session;
pub use set::HashSet;
