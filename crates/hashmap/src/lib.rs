//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.

mod counter;
mod error;
mod guard;
mod hash;
mod ledger;
pub mod map;
mod pin;
mod prefetch;
mod raw;
mod sync;

pub use error::CapacityError;
pub use guard::Pinned;
pub use hash::RandomState;
pub use map::HashMap;
