//! One file an engine, each implementing the contract of its family.

pub mod governor;
pub mod leaky_bucket;
pub mod mutex_bucket;
pub mod rate_limiter;
pub mod ratelimit;
