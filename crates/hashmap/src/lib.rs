//! Concurrent hash maps whose reads never write shared memory and whose growth never pauses.

mod raw;
mod sync;
