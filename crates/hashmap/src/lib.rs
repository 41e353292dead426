//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.

mod counter;
pub mod hash;
mod prefetch;
mod raw;
mod sync;
mod word;
mod word_map;

pub use word::Word;
pub use word_map::{CapacityError, Drain, Iter, Keys, Values, WordMap, WordMapRef, WordMapStats};
