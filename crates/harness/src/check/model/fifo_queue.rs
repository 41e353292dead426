//! A queue: first in, first out.

use std::collections::VecDeque;

use super::Model;

/// An unbounded queue of numbers, at first empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FifoQueue(pub VecDeque<u64>);

/// What can be asked of a [`FifoQueue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueOp {
    /// Puts a number at the back.
    Enqueue(u64),
    /// Takes the number at the front.
    Dequeue,
}

/// What a [`FifoQueue`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueRet {
    /// Of `Enqueue`.
    Enqueued,
    /// Of `Dequeue`; `None` where the queue was empty.
    Dequeued(Option<u64>),
}

impl Model for FifoQueue {
    type Op = QueueOp;
    type Ret = QueueRet;
    type Key = ();

    fn key(_op: &QueueOp) {}

    fn apply(&mut self, op: &QueueOp) -> QueueRet {
        match *op {
            QueueOp::Enqueue(value) => {
                self.0.push_back(value);
                QueueRet::Enqueued
            }
            QueueOp::Dequeue => QueueRet::Dequeued(self.0.pop_front()),
        }
    }

    fn is_observation(_op: &QueueOp, ret: &QueueRet) -> bool {
        *ret == QueueRet::Dequeued(None)
    }
}
