//! tokio's timer.

use std::time::Duration;

use super::Timer;

/// Sleeps on tokio's timer, which has a resolution of a millisecond and is never early. Use it
/// within a runtime whose time is enabled.
///
/// ```
/// use rate_limiter::{FairLimiter, Quota, TokioTimer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = FairLimiter::new(Quota::per_second(1_000)?.with_burst(1)?, TokioTimer);
/// for _ in 0..3 {
///     limiter.acquire(1).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    type Sleep = ::tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        ::tokio::time::sleep(duration)
    }
}
