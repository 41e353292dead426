//! Waiting for cells, in the order of arrival.
//!
//! A bucket that may be overdrawn is a timetable: who takes cells that are not there yet knows to
//! the tick when they will be. So a waiter takes its cells at once, by one exchange of the
//! theoretical arrival time (TAT), and sleeps until they are due:
//!
//! ```text
//!         now            A due    B due    C due        TAT
//!   -------|---------------|--------|--------|-----------|------> ticks
//!                                            |-tolerance-|
//!          A, B, C came in this order; each has one timer and nobody wakes anybody
//! ```
//!
//! - *FIFO by construction*: a later exchange finds a later TAT. A large request has its place like
//!   any other, and those who come after it cannot get before it.
//! - *No drift*: moments are absolute. A queue in which each wakes the next adds the lateness of
//!   every timer to all behind it; with timers of a millisecond, a thousand a second becomes five
//!   hundred.
//! - *The wait is known beforehand*: [`Acquire::within`] refuses at once what would come too late,
//!   instead of letting it wait in vain.
//!
//! # Cancellation
//!
//! A future that is dropped gives its cells back, whenever it is dropped, and all behind it move
//! up as if it had never come. They are found in a list, which is locked when a waiter enters, is
//! polled, or leaves; a request that finds its cells never looks at it. The next in line is woken
//! to set its timer anew, and wakes the one behind it when it leaves.
//!
//! A future whose moment has come, but which is dropped before it was polled again, gives its cells
//! back if nobody came after it. Else they are lost: the bucket may have been full in between.
//!
//! Whoever leaves corrects the moment of each who is behind, under the lock: `O(waiters behind)`,
//! a subtraction each. To drop `n` waiters from the front, as a server does that shuts down, costs
//! `n^2 / 2` of them; from the back, `n`. Where a line may become very long, bound it by
//! [`Acquire::within`].
//!
//! # Another quota
//!
//! [`FairLimiter::set_quota`] moves all who wait to the moments of the new rate, in their order.
//! Between two changes no more is handed out than the quota of that time allows; who was let in
//! under an old one is not sent away for asking more than the new burst.
//!
//! # What holds, exactly
//!
//! The moments at which waiters are due are within the quota's bound, to the tick; a future is
//! ready at the first poll at or after its moment. Who is polled late is late alone.
//!
//! # What this module does not do
//!
//! It does not refund: the proof needs a TAT that falls only when a waiter leaves.

mod line;
#[cfg(feature = "tokio")]
mod tokio;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use env::clock::{Clock, FastClock};

use crate::decision::Decision;
use crate::live::Carry;
use crate::quota::Quota;
use crate::sync::Mutex;
use line::{Entered, Line, Place, Turn};

#[cfg(feature = "tokio")]
pub use self::tokio::TokioTimer;

/// Lets a future sleep. A runtime's timer behind one method.
pub trait Timer: Send + Sync {
    /// Ends once the time has passed. It may end early: then it is made anew for the rest.
    type Sleep: Future<Output = ()> + Send;

    /// Begins to sleep for `duration`.
    fn sleep(&self, duration: Duration) -> Self::Sleep;
}

/// Why cells cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// The request is larger than a full bucket.
    #[error("{cells} cells never fit into a burst of {burst}; ask for fewer at a time")]
    TooLarge {
        /// What was asked for.
        cells: u64,
        /// The largest request that can be admitted.
        burst: u64,
    },
    /// The cells would come too late. Nothing was taken.
    #[error("the cells would be there in {wait:?}, which is later than was asked for; try later")]
    TooLate {
        /// How long it would have taken.
        wait: Duration,
    },
}

/// A limiter of one bucket for which one can wait.
///
/// `T` is the runtime's timer; with the feature `tokio` there is a ready one, `TokioTimer`.
pub struct FairLimiter<T, C = FastClock> {
    line: Line,
    timer: T,
    clock: C,
    /// Held while it changes.
    quota: Mutex<Quota>,
}

impl<T: Timer> FairLimiter<T, FastClock> {
    /// A limiter with a full bucket on the machine's fastest sound clock.
    pub fn new(quota: Quota, timer: T) -> Self {
        Self::with_clock(quota, timer, FastClock::new())
    }
}

impl<T: Timer, C: Clock> FairLimiter<T, C> {
    /// A limiter with a full bucket on `clock`, which the timer need not share: it is read again
    /// when a sleep is over.
    pub fn with_clock(quota: Quota, timer: T, clock: C) -> Self {
        Self { line: Line::new(&quota, clock.now()), timer, clock, quota: Mutex::new(quota) }
    }

    /// Takes `cells` cells as soon as all who came before have theirs.
    ///
    /// One comes when the future is first polled.
    #[must_use = "nothing is taken before the future is polled"]
    pub fn acquire(&self, cells: u64) -> Acquire<'_, T, C> {
        Acquire { limiter: self, cells, patience: Duration::MAX, state: State::New }
    }

    /// Takes `cells` cells if they are there and nobody waits for them.
    pub fn check_n(&self, cells: u64) -> Decision {
        self.line.bucket().check(self.clock.now(), cells)
    }

    /// Futures that wait at present.
    pub fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Keeps another quota from now on. Who waits keeps its place, and gets its cells at the new
    /// rate, earlier or later than it was told; also where they are more than the new burst. What
    /// the bucket holds is carried over, as [`Carry`] says. `O(waiting)`.
    pub fn set_quota(&self, quota: Quota, carry: Carry) {
        let mut current = self.quota.lock().expect("no holder of this lock panics");
        let wakes = self.line.change(self.clock.now(), &current, &quota, carry);
        *current = quota;
        // A waker is the runtime's code, which may ask for the quota.
        drop(current);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// The quota that the limiter keeps at present.
    pub fn quota(&self) -> Quota {
        *self.quota.lock().expect("no holder of this lock panics")
    }
}

/// The future of [`FairLimiter::acquire`]. Dropping it gives the cells back.
pub struct Acquire<'a, T: Timer, C: Clock = FastClock> {
    limiter: &'a FairLimiter<T, C>,
    cells: u64,
    patience: Duration,
    state: State<T::Sleep>,
}

enum State<S> {
    New,
    Waiting(Place, Pin<Box<S>>),
    Done,
}

impl<T: Timer, C: Clock> Acquire<'_, T, C> {
    /// Refuses at once, with [`AcquireError::TooLate`], if the wait would be longer.
    #[must_use = "nothing is taken before the future is polled"]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn enter(&mut self, context: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        let FairLimiter { line, timer, clock, .. } = self.limiter;
        let now = clock.now();
        match line.enter(now, self.cells, self.patience, context.waker()) {
            Entered::Served => Poll::Ready(Ok(())),
            Entered::TooLarge { burst } => {
                Poll::Ready(Err(AcquireError::TooLarge { cells: self.cells, burst }))
            }
            Entered::TooLate { due } => {
                Poll::Ready(Err(AcquireError::TooLate { wait: due.saturating_since(now) }))
            }
            Entered::Waits(place, due) => {
                let sleep = Box::pin(timer.sleep(due.saturating_since(now)));
                self.state = State::Waiting(place, sleep);
                Poll::Pending
            }
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        let FairLimiter { line, timer, clock, .. } = self.limiter;
        let State::Waiting(place, sleep) = &mut self.state else { return Poll::Pending };
        loop {
            let now = clock.now();
            let due = match line.turn(place, now, context.waker()) {
                Turn::Served => return Poll::Ready(Ok(())),
                Turn::MovedUp(due) => {
                    *sleep = Box::pin(timer.sleep(due.saturating_since(now)));
                    due
                }
                Turn::Waits(due) => due,
            };
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            // The timer was early, or the clock has just come to the moment.
            *sleep = Box::pin(timer.sleep(due.saturating_since(clock.now())));
        }
    }
}

impl<T: Timer, C: Clock> Future for Acquire<'_, T, C> {
    type Output = Result<(), AcquireError>;

    /// Panics when polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!matches!(self.state, State::Done), "`Acquire` was polled after it was ready");
        let mut outcome = Poll::Pending;
        if matches!(self.state, State::New) {
            outcome = self.enter(context);
        }
        if outcome.is_pending() {
            outcome = self.wait(context);
        }
        if outcome.is_ready() {
            self.state = State::Done;
        }
        outcome
    }
}

impl<T: Timer, C: Clock> Drop for Acquire<'_, T, C> {
    fn drop(&mut self) {
        if let State::Waiting(place, _) = &self.state {
            self.limiter.line.leave(place, || self.limiter.clock.now());
        }
    }
}

// The sleep is in a box of its own, so that the future may move.
impl<T: Timer, C: Clock> Unpin for Acquire<'_, T, C> {}

impl<T, C> fmt::Debug for FairLimiter<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairLimiter")
            .field("quota", &self.quota)
            .field("waiting", &self.line.waiting())
            .finish_non_exhaustive()
    }
}

impl<T: Timer, C: Clock> fmt::Debug for Acquire<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("cells", &self.cells).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
