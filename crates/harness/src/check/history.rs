//! Concurrent histories: who called what, when, and what came back.
//!
//! Each thread writes to a [`Log`] of its own, so recording takes no lock and moves no shared
//! memory but one counter. That counter stamps every call and every return:
//!
//! ```text
//!   stamp     0     1     2     3     4     5
//!   thread 0  |--- insert(7) ---|                  invoked 0, returned 3
//!   thread 1        |get|                          invoked 1, returned 2
//!   thread 2                          |--- get ... invoked 4, never returned
//! ```
//!
//! One operation *precedes* another when it returned before the other was called. Since the call is
//! stamped before the operation begins and the return after it ends, a recorded interval contains
//! the real one: the history never claims an order that did not exist.
//!
//! An operation without a return is *pending*: its thread crashed or its client gave up. It may
//! have taken effect at any later moment, or never.
//!
//! # What this module does not do
//!
//! It judges nothing (see [`linearizable`](super::linearizable)), and it does not perturb
//! schedules (see [`schedule`](super::schedule)).

mod timeline;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
// Not `crate::sync`: the stamps are part of the observer. Under a schedule explorer they must be
// no scheduling point, and the explorer runs one thread at a time, which makes them exact anyway.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub(crate) use timeline::draw;

/// One call and, where it came, its return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<Op, Ret> {
    /// Which log it came from. Only for the reader of a report: the order follows from stamps.
    pub thread: usize,
    /// What was asked.
    pub op: Op,
    /// Stamp of the call.
    pub invoked: u64,
    /// `None` for a pending operation.
    pub response: Option<Response<Ret>>,
}

/// What an operation returned, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<Ret> {
    /// The answer.
    pub ret: Ret,
    /// Stamp of the return.
    pub at: u64,
}

impl<Op, Ret> Operation<Op, Ret> {
    /// An operation that was called at `interval.start` and returned `ret` at `interval.end`.
    pub const fn done(thread: usize, interval: Range<u64>, op: Op, ret: Ret) -> Self {
        let response = Some(Response { ret, at: interval.end });
        Self { thread, op, invoked: interval.start, response }
    }

    /// An operation that was called at `invoked` and never returned.
    pub const fn pending(thread: usize, invoked: u64, op: Op) -> Self {
        Self { thread, op, invoked, response: None }
    }

    /// Stamp of the return; the end of time for a pending operation.
    pub fn returned(&self) -> u64 {
        self.response.as_ref().map_or(u64::MAX, |response| response.at)
    }

    /// Whether this returned before `other` was called, so that every order must respect it.
    pub fn precedes(&self, other: &Self) -> bool {
        self.returned() < other.invoked
    }
}

/// Hands out logs that share one counter of stamps.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    stamps: Arc<AtomicU64>,
    threads: Arc<AtomicUsize>,
}

impl Recorder {
    /// A recorder whose first stamp is zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log for one thread. It can be made here and moved there.
    pub fn log<Op, Ret>(&self) -> Log<Op, Ret> {
        // Relaxed: the number only has to be unlike the others.
        let thread = self.threads.fetch_add(1, Ordering::Relaxed);
        Log { thread, stamps: Arc::clone(&self.stamps), operations: Vec::new() }
    }
}

/// What one thread did, in its order.
#[derive(Debug)]
pub struct Log<Op, Ret> {
    thread: usize,
    stamps: Arc<AtomicU64>,
    operations: Vec<Operation<Op, Ret>>,
}

/// A call that waits for its return. Dropped without one, the operation stays pending.
#[derive(Debug)]
#[must_use = "pass it to `Log::respond`, or the operation stays pending"]
pub struct Invocation {
    thread: usize,
    index: usize,
}

impl<Op, Ret> Log<Op, Ret> {
    /// Calls `run` and records it.
    ///
    /// Where `run` panics the operation is already in the log, as a pending one.
    pub fn record(&mut self, op: Op, run: impl FnOnce(&Op) -> Ret) -> &Ret {
        let invocation = self.invoke(op);
        let ret = run(&self.operations[invocation.index].op);
        self.respond(invocation, ret)
    }

    /// Stamps a call whose return comes later, or never. One log may have several such calls open.
    pub fn invoke(&mut self, op: Op) -> Invocation {
        let invoked = self.stamp();
        self.operations.push(Operation::pending(self.thread, invoked, op));
        Invocation { thread: self.thread, index: self.operations.len() - 1 }
    }

    /// Stamps the return of a call.
    ///
    /// Panics when the call was made on another log.
    #[expect(clippy::needless_pass_by_value, reason = "consumed: a call returns at most once")]
    pub fn respond(&mut self, invocation: Invocation, ret: Ret) -> &Ret {
        let Invocation { thread, index } = invocation;
        assert_eq!(thread, self.thread, "a call returns to the log that made it");
        let at = self.stamp();
        let operation = &mut self.operations[index];
        &operation.response.insert(Response { ret, at }).ret
    }

    fn stamp(&self) -> u64 {
        // AcqRel: a thread that draws a later stamp sees everything that the drawer of an earlier
        // one had done before it, and no access of the operation can move across its stamps. That
        // may hide a missing fence from a test on real threads; `schedule` under loom, whose model
        // does not see this counter, is where orderings are tested.
        self.stamps.fetch_add(1, Ordering::AcqRel)
    }
}

/// A whole run: the operations of all threads, ordered by their calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<Op, Ret> {
    /// Invariant: sorted by `invoked`, and every return comes after its call.
    operations: Vec<Operation<Op, Ret>>,
}

impl<Op, Ret> History<Op, Ret> {
    /// Merges the logs of one [`Recorder`]. All of them are needed: a history that lacks a write
    /// makes the reads of it look like errors.
    pub fn from_logs(logs: impl IntoIterator<Item = Log<Op, Ret>>) -> Self {
        Self::from_operations(logs.into_iter().flat_map(|log| log.operations))
    }

    /// A history from operations in any order.
    ///
    /// Panics where an operation returns before it is called.
    pub fn from_operations(operations: impl IntoIterator<Item = Operation<Op, Ret>>) -> Self {
        let mut operations: Vec<_> = operations.into_iter().collect();
        for operation in &operations {
            let (invoked, returned) = (operation.invoked, operation.returned());
            assert!(invoked < returned, "called at {invoked}, but returned at {returned}");
        }
        operations.sort_by_key(|operation| operation.invoked);
        Self { operations }
    }

    /// All operations, ordered by their calls.
    pub fn operations(&self) -> &[Operation<Op, Ret>] {
        &self.operations
    }

    /// How many operations there are, pending ones included.
    pub const fn count(&self) -> usize {
        self.operations.len()
    }

    /// The part of each key. Real time stays comparable across the parts: stamps are kept.
    pub fn split_by_key<K: Ord>(
        &self,
        key: impl Fn(&Op) -> K,
    ) -> BTreeMap<K, Vec<&Operation<Op, Ret>>> {
        let mut parts: BTreeMap<K, Vec<_>> = BTreeMap::new();
        for operation in &self.operations {
            parts.entry(key(&operation.op)).or_default().push(operation);
        }
        parts
    }
}

impl<Op: Debug, Ret: Debug> std::fmt::Display for History<Op, Ret> {
    /// Draws one line an operation: thread, call, answer, and its interval as a bar.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        draw(f, &self.operations.iter().collect::<Vec<_>>(), |_| None)
    }
}

#[cfg(test)]
mod tests;
