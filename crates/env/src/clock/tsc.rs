//! The processor's time stamp counter. stub

use super::{Clock, Timestamp};
use std::time::Duration;

/// stub
#[derive(Clone, Copy, Debug)]
pub struct TscClock;
/// stub
#[derive(Clone, Copy, Debug)]
pub struct TscUnusable;
impl Clock for TscClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }
    fn sleep(&self, _: Duration) {}
}
