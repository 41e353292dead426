//! Two thousand tasks wait for a cell each, at a thousand cells a second.
//!
//! ```text
//! cargo run --release -p benches --example herd
//! ```
//!
//! Two seconds are the least that it can take. A task's place is the order in which it came; its
//! displacement is how far from that place it was served. The line `timer alone` is what tokio
//! takes to wake two thousand tasks a millisecond apart, with no limiter: nobody can take less.

#![expect(clippy::print_stdout, reason = "an example shows what it measured")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use rate_limiter::{FairLimiter, Quota, TokioTimer};
use rustix::time::{ClockId, clock_gettime};

const WAITERS: usize = 2_000;
const RATE: u32 = 1_000;

/// Processor time of this thread, on which everything runs.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is not negative");
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// Lets the herd wait and prints what it took.
fn herd<F: Future<Output = ()> + 'static>(name: &str, acquire: impl Fn() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime can be made");
    let served = Rc::new(RefCell::new(Vec::new()));
    let tasks = tokio::task::LocalSet::new();
    let clock = MonotonicClock::new();
    let (began, worked) = (clock.now(), processor_time());
    for number in 0..WAITERS {
        let (wait, served) = (acquire(), Rc::clone(&served));
        tasks.spawn_local(async move {
            wait.await;
            served.borrow_mut().push(number);
        });
    }
    runtime.block_on(tasks);
    let wall = clock.now().saturating_since(began);
    let worked = processor_time().saturating_sub(worked);
    let served = served.borrow();
    let displacements = served.iter().enumerate().map(|(place, &number)| place.abs_diff(number));
    let most = displacements.max().unwrap_or(0);
    println!("{name:<14}{wall:>10.3?} wall {worked:>10.3?} processor, displaced by {most} at most");
}

fn main() {
    let rate = NonZeroU32::new(RATE).expect("the rate is not zero");
    let next = Cell::new(0);
    for _ in 0..2 {
        let quota = Quota::per_second(RATE.into()).and_then(|quota| quota.with_burst(1));
        let ours = FairLimiter::new(quota.expect("the quota is legal"), TokioTimer);
        let ours = Rc::new(ours);
        herd("rate-limiter", || {
            let ours = Rc::clone(&ours);
            async move { ours.acquire(1).await.expect("one cell fits") }
        });
        herd("timer alone", || {
            let number = next.replace(next.get() + 1);
            async move { tokio::time::sleep(Duration::from_secs(1) * number / RATE).await }
        });
        next.set(0);
        let quota = governor::Quota::per_second(rate).allow_burst(NonZeroU32::MIN);
        let governor = Rc::new(governor::RateLimiter::direct(quota));
        herd("governor", || {
            let governor = Rc::clone(&governor);
            async move { governor.until_ready().await }
        });
        let mut leaky = leaky_bucket::RateLimiter::builder();
        let leaky = leaky.max(1).initial(1).refill(1).interval(Duration::from_millis(1)).build();
        let leaky = Rc::new(leaky);
        herd("leaky-bucket", || {
            let leaky = Rc::clone(&leaky);
            async move { leaky.acquire(1).await }
        });
    }
}
