//! Ours beside the crates that people would otherwise pick.
//!
//! This package alone names peers. `adapters` brings each engine, ours and theirs, under the
//! family's contract, all in the same shape; `lines` says what is measured; the targets under
//! `benches/` measure it.
//!
//! ```text
//!   adapters/governor.rs      \
//!   adapters/rate_limiter.rs   >-- lines --> benches/rate-limiter.rs   criterion
//!   adapters/...              /         \--> benches/duel.rs           ratios
//! ```

pub mod adapters;
pub mod lines;
