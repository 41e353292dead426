//! Sequential specifications: what one thread alone would have seen.
//!
//! A linearizable object behaves as if each operation took effect at one moment between its call
//! and its return. "Behaves as if" needs a definition of the behaviour, and that is a [`Model`]: a
//! value with one method, so small that it is obviously right.
//!
//! | model                | family                   | state                  | key       |
//! |----------------------|--------------------------|------------------------|-----------|
//! | [`Register`]         | one shared cell          | the value              | none      |
//! | [`MapCell`]          | concurrent map           | the value of *one* key | the key   |
//! | [`Counter`]          | shared counter           | the count              | none      |
//! | [`FifoQueue`]        | queue                    | what waits in it       | none      |
//! | [`AppendLog`]        | replicated or plain log  | all entries            | none      |
//! | [`TokenBucket`]      | rate limiter             | one arrival time       | the key   |
//!
//! # Keys make checking cheap
//!
//! A history of a map is linearizable exactly when the part that touches each single key is
//! (linearizability is *local*: Herlihy and Wing 1990, theorem 1). A model therefore says which key
//! an operation touches and describes one key only; the checker splits the history and solves many
//! small problems instead of one large one. An operation that touches several keys at once (a
//! length, a scan) cannot be part of such a model: give that model the key `()`.
//!
//! # Two traits
//!
//! Almost every object is deterministic: the state and the operation determine the result. Such an
//! object is a [`Model`]. Where several results are right (a compare-exchange that may fail for no
//! reason, a limiter that may round either way), implement the relation [`Specification`] instead;
//! every `Model` is one. The checker knows only `Specification`.

mod append_log;
mod counter;
mod fifo_queue;
mod map_cell;
mod register;
mod token_bucket;

use std::fmt::Debug;
use std::hash::Hash;

pub use append_log::{AppendLog, LogOp, LogRet};
pub use counter::{Counter, CounterOp};
pub use fifo_queue::{FifoQueue, QueueOp, QueueRet};
pub use map_cell::{MapCell, MapOp};
pub use register::{Register, RegisterOp, RegisterRet};
pub use token_bucket::{BucketOp, TokenBucket};

/// A deterministic sequential object.
///
/// The checker clones and hashes the state at every step of its search, so keep it small.
pub trait Model: Clone + Eq + Hash + Debug {
    /// What can be asked of the object, arguments included.
    type Op: Clone + Debug;
    /// What it can answer.
    type Ret: Clone + Debug + PartialEq;
    /// What splits a history into independent parts; `()` where nothing does.
    type Key: Clone + Debug + Ord;

    /// The key that `op` touches.
    fn key(op: &Self::Op) -> Self::Key;

    /// Performs `op` and answers it.
    fn apply(&mut self, op: &Self::Op) -> Self::Ret;

    /// As [`Specification::is_observation`].
    fn is_observation(_op: &Self::Op, _ret: &Self::Ret) -> bool {
        false
    }
}

/// A sequential object as a relation: from a state, an operation that was answered in a given way
/// leads to any of several states, or to none.
pub trait Specification: Clone + Eq + Hash + Debug {
    /// As [`Model::Op`].
    type Op: Clone + Debug;
    /// As [`Model::Ret`].
    type Ret: Clone + Debug;
    /// As [`Model::Key`].
    type Key: Clone + Debug + Ord;

    /// As [`Model::key`].
    fn key(op: &Self::Op) -> Self::Key;

    /// Appends to `next` each state that the object may be in once `op` has returned `ret`. Nothing
    /// is appended where that answer is impossible in this state. `ret` is `None` for an operation
    /// whose answer nobody saw: then every answer is possible.
    fn successors(&self, op: &Self::Op, ret: Option<&Self::Ret>, next: &mut Vec<Self>);

    /// Whether an operation that was answered `ret` has changed nothing, in *every* state in which
    /// that answer is possible: a read, a failed compare-exchange, the removal of an absent key.
    ///
    /// It saves time, and a great deal of it: the checker never has to branch on observations. A
    /// wrong "yes" makes verdicts wrong; "no" never does, which is why it is the default.
    fn is_observation(_op: &Self::Op, _ret: &Self::Ret) -> bool {
        false
    }
}

impl<M: Model> Specification for M {
    type Op = M::Op;
    type Ret = M::Ret;
    type Key = M::Key;

    fn key(op: &Self::Op) -> Self::Key {
        M::key(op)
    }

    fn successors(&self, op: &Self::Op, ret: Option<&Self::Ret>, next: &mut Vec<Self>) {
        let mut after = self.clone();
        let answer = after.apply(op);
        if ret.is_none_or(|ret| *ret == answer) {
            next.push(after);
        }
    }

    fn is_observation(op: &Self::Op, ret: &Self::Ret) -> bool {
        M::is_observation(op, ret)
    }
}

#[cfg(test)]
mod tests;
