//! Exact, lock-free rate limiting.
//!
//! A [`Quota`] says how many cells a period may take and how many may come at once. A
//! [`DirectLimiter`] keeps it for one bucket, a [`KeyedLimiter`] for as many keys as its fixed
//! memory holds. Both run the generic cell rate algorithm (GCRA): a bucket is one number, the
//! *theoretical arrival time* (TAT), and a check is one compare-and-swap on it.
//!
//! ```
//! use rate_limiter::{Decision, DirectLimiter, Quota};
//!
//! # fn main() -> Result<(), rate_limiter::QuotaError> {
//! let limiter = DirectLimiter::new(Quota::per_second(100)?.with_burst(20)?);
//! match limiter.check() {
//!     Decision::Admitted => { /* serve */ }
//!     Decision::Denied(denial) => println!("again in {:?}", denial.retry_after()),
//!     Decision::Impossible { .. } => unreachable!("one cell fits in every burst"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Why it is exact
//!
//! The interval between two cells of a quota is a fraction, period over cells, and rarely a whole
//! number of nanoseconds. Rounding it changes the rate: a limiter that keeps 600 million cells a
//! second with an interval of one nanosecond admits a billion. Here time is counted in *ticks*,
//! chosen for each quota so that both the nanosecond and the interval are whole numbers of them;
//! nothing is ever rounded but the `retry_after` that is shown, and that upwards to the
//! nanosecond. A quota whose ticks outgrow 64 bits gets buckets of 128 bits instead.
//!
//! # Which limiter
//!
//! | type                                              | for                                              |
//! |---------------------------------------------------|--------------------------------------------------|
//! | [`DirectLimiter`]                                 | one bucket: GCRA, which is a token bucket        |
//! | [`LeasedLimiter`]                                 | one bucket, asked by threads all the time        |
//! | [`KeyedLimiter`]                                  | a bucket for each key, in fixed memory           |
//! | [`OwnedKeyLimiter`]                               | the same, where no two keys may share a bucket   |
//! | [`FairLimiter`]                                   | to wait for a turn, first come, first served     |
//! | [`LeakyQueue`]                                    | to be told when to go                            |
//! | [`FixedWindow`], [`SlidingCounter`], [`SlidingLog`] | contracts that are written in windows          |
//! | [`SeveralQuotas`]                                 | ten a second and a thousand a day                |
//! | [`QuotaTree`]                                     | tenants that lend to each other                  |
//! | [`WarmUp`]                                        | what is slow after a pause                       |
//! | [`ConcurrencyLimit`], [`AdaptiveLimit`], [`Partitions`], [`AdaptivePartitions`] | what is in flight at once |
//! | [`CircuitBreaker`], [`RetryBudget`]               | what fails, to be left alone and not asked again |
//!
//! Many processes: [`cluster`], a protocol of leases, or [`redis`]. With feature `tower`: `http`.
//!
//! # Modules, bottom up
//!
//! | module        | holds                                                               |
//! |---------------|---------------------------------------------------------------------|
//! | `quota`       | rate and burst, checked; the choice of ticks                        |
//! | `decision`    | admitted, denied until when, impossible                             |
//! | `gcra`        | the algorithm as a pure function on numbers of ticks                |
//! | `bucket`      | that function on an atomic word: the CAS loop                       |
//! | `single`      | one bucket in the narrowest word that keeps its quota, for ever     |
//! | `setting`     | a quota in ticks that changes while checks run                      |
//! | `live`        | one bucket under such a quota                                       |
//! | `direct`      | that bucket and a clock                                             |
//! | `keyed`       | many buckets in a table of fixed size; expired ones are overwritten |
//! | `fair`        | a bucket that may be overdrawn, and those who wait for it           |
//! | the others    | one limiter each, with its definition and error bound in the header |
//!
//! # What this crate does not do
//!
//! It starts no thread and sweeps no table in the background. A check allocates nothing, with one
//! exception: that of a new key in an [`OwnedKeyLimiter`] inserts it into the map, and where that
//! is full walks over it. A future that waits has a box for its timer and an entry in the line of
//! its [`FairLimiter`], which grows with the waiters. It never trusts a clock to be monotonic: a
//! reading that jumps back only denies for as long as it jumped.

mod breaker;
mod bucket;
pub mod cluster;
mod concurrency;
mod decision;
mod direct;
mod fair;
mod gcra;
#[cfg(feature = "tower")]
pub mod http;
mod jitter;
mod keyed;
mod leased;
mod live;
mod queue;
mod quota;
mod ratio;
pub mod redis;
mod retry;
mod setting;
mod several;
mod single;
mod sync;
mod tree;
mod versioned;
mod warm_up;
mod window;

pub use breaker::{BreakerOpen, BreakerState, Call, CircuitBreaker};
pub use concurrency::{
    AdaptiveLimit, AdaptivePartitionPermit, AdaptivePartitions, AdaptivePermit, Aimd,
    ConcurrencyLimit, Gradient, LimitRule, Partition, PartitionPermit, Partitions, PartitionsError,
    Permit, Sample, Vegas,
};
pub use decision::{Decision, Denial, Standing};
pub use direct::DirectLimiter;
pub use env::clock::{Clock, FastClock, ManualClock, MonotonicClock, Timestamp, TscClock};
pub use env::random::{OsRandom, Random, SeededRandom};
#[cfg(feature = "tokio")]
pub use fair::TokioTimer;
pub use fair::{Acquire, AcquireError, FairLimiter, Timer};
pub use jitter::Jitter;
pub use keyed::{
    KeyedBuilder, KeyedLimiter, KeyedStats, OwnedKeyLimiter, Refund, TableError, WhenFull,
};
pub use leased::{Lease, LeaseError, LeasedLimiter};
pub use live::Carry;
pub use queue::LeakyQueue;
pub use quota::{Quota, QuotaError};
pub use retry::RetryBudget;
pub use several::SeveralQuotas;
pub use tree::{NodeId, QuotaTree, Share, TreeError};
pub use warm_up::WarmUp;
pub use window::{FixedWindow, SlidingCounter, SlidingLog};

#[cfg(test)]
mod tests;
