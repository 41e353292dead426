//! A shared counter: two threads must never draw the same number.

use super::Model;

/// A counter, at first zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counter(pub u64);

/// What can be asked of a [`Counter`]; each operation answers with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Adds, wrapping, and answers the count *before*.
    FetchAdd(u64),
    /// Answers the count.
    Load,
}

impl Model for Counter {
    type Op = CounterOp;
    type Ret = u64;
    type Key = ();

    fn key(_op: &CounterOp) {}

    fn apply(&mut self, op: &CounterOp) -> u64 {
        let before = self.0;
        if let CounterOp::FetchAdd(amount) = *op {
            self.0 = before.wrapping_add(amount);
        }
        before
    }

    fn is_observation(op: &CounterOp, _ret: &u64) -> bool {
        *op == CounterOp::Load
    }
}
