//! Limits on windows of time: for contracts that are written in windows.
//!
//! All take a [`Quota`](crate::Quota) and read it as *at most `cells` in a window of `period`*; its
//! burst plays no part.
//!
//! | limiter            | what it counts exactly                    | most in any stretch of one period | memory              |
//! |--------------------|-------------------------------------------|-----------------------------------|---------------------|
//! | [`FixedWindow`]    | the aligned window `k * W .. (k + 1) * W` | `2 * cells`, across a boundary    | 16 bytes            |
//! | [`SlidingCounter`] | this window and a share of the last one   | `2 * cells - 1`                   | 16 bytes            |
//! | [`SlidingLog`]     | every admission in `(t - W, t]`           | `cells`                           | 16 bytes for a cell |
//!
//! The third column is asserted by tests that reach it. GCRA admits at most `burst + cells` there
//! with 8 bytes, and spreads them; a window does not.
//!
//! # Another quota
//!
//! What was admitted stays counted when the quota changes, whatever it is then: a contract about a
//! window is one about admissions, so that there is nothing to carry over in proportion.
//!
//! # A clock that goes backwards
//!
//! A moment before the newest one at which something was counted is denied, until the clock is
//! there again. Nothing is ever counted into a window that was left.

mod counter;
mod fixed;
mod log;
mod rule;
mod shared;

pub use counter::SlidingCounter;
pub use fixed::FixedWindow;
pub use log::SlidingLog;

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
