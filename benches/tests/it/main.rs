//! The suites that judge ours judge the peers too: that tests the suites, and what the peers fail
//! is recorded instead of hidden.

mod allocator;
mod hashmap;
mod known;
mod lsm;
mod raft;
mod rate_limiter;
mod results;
mod tidy;
