//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.
//!
//! [`WordMap`] is for small `Copy` keys and values (see [`Word`]), which it stores in its table and
//! returns by copy. A search reads a head of 32 bytes, which has a tag for each of fourteen entries,
//! and where a tag is equal the entry. Readers take no lock and are not stopped by those who do;
//! a writer locks the bin of its key for some ten nanoseconds.
//!
//! ```
//! use hashmap::WordMap;
//!
//! let map: WordMap<u64, u64> = (0..1_000).map(|key| (key, key * key)).collect();
//! let handle = map.pin();
//! assert_eq!(handle.get(30), Some(900));
//! assert_eq!(handle.get_many(&[1, 2, 5_000]), [Some(1), Some(4), None]);
//! ```

mod counter;
pub mod hash;
mod prefetch;
mod raw;
mod sync;
mod word;
mod word_map;

pub use word::Word;
pub use word_map::{CapacityError, Drain, Iter, Keys, Values, WordMap, WordMapRef, WordMapStats};
