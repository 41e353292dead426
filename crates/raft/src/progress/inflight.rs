//! The window of messages on their way to one follower.
//!
//! It is bounded twice: messages bound what a follower must queue, bytes what the network must.
//!
//! # What this module does not do
//!
//! It holds no messages, only where each one ended.

use std::collections::VecDeque;

use crate::types::Index;

/// What is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Inflight {
    count_max: usize,
    bytes_max: u64,
    /// The last index of each message and its bytes. Invariant: indices grow.
    messages: VecDeque<(Index, u64)>,
    /// Invariant: the sum over `messages`.
    bytes: u64,
}

impl Inflight {
    pub(crate) const fn new(count_max: usize, bytes_max: u64) -> Self {
        Self { count_max, bytes_max, messages: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= self.count_max || self.bytes >= self.bytes_max
    }

    pub(crate) fn sent(&mut self, last: Index, bytes: u64) {
        assert!(self.messages.back().is_none_or(|(index, _)| *index < last), "indices grow");
        self.messages.push_back((last, bytes));
        self.bytes += bytes;
    }

    /// Everything up to `index` has arrived.
    pub(crate) fn arrived(&mut self, index: Index) {
        while let Some(&(last, bytes)) = self.messages.front() {
            if last > index {
                return;
            }
            self.bytes -= bytes;
            self.messages.pop_front();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}
