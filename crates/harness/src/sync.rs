//! One name for threads, locks and atomics, whoever schedules them.
//!
//! Concurrent code that is to be explored takes its primitives from here. In a plain build they are
//! those of `std`, re-exported, at no cost. Built with `--cfg loom` or `--cfg shuttle` the same
//! names are the explorer's, so that [`check::schedule`](crate::check::schedule) decides at each
//! access which thread runs next.
//!
//! ```text
//!   code under test:  use crate::sync::{Arc, Mutex, atomic::AtomicU64}
//!                                 |
//!                 plain           |  --cfg shuttle        --cfg loom
//!             .-------------------+--------------------+--------------.
//!             v                                        v              v
//!        std::sync, std::thread              shuttle::sync, ...   loom::sync, ...
//! ```
//!
//! # The common subset
//!
//! Only what all three worlds offer in the same shape is here; one test compiles and runs every
//! name of it in all three.
//!
//! | name                                        | mind                                           |
//! |---------------------------------------------|------------------------------------------------|
//! | `Arc`                                       | `new`, `clone`, `strong_count`, `get_mut`, `ptr_eq`, `try_unwrap`; loom has no `Weak` and makes no `Arc<dyn T>` |
//! | `Mutex`, `RwLock`, `Condvar` and guards     | `lock` and its kin return a `LockResult` everywhere; no `wait_timeout`: no explorer knows time |
//! | `atomic::*`, `atomic::fence`                | up to 64 bits; the constructors are not `const` under the explorers |
//! | `thread::{spawn, yield_now, JoinHandle}`    | no `scope`: loom has none. Share through an `Arc` |
//! | `hint::spin_loop`                           | lets another thread run under the explorers: every spin needs one, or they loop for ever |
//! | `cell::UnsafeCell`                          | loom's shape: `with` and `with_mut` take a closure |
//!
//! Outside an exploration the primitives of loom and shuttle panic. A test that uses them runs
//! inside [`explore`](crate::check::schedule::explore); a test that is not about schedules uses
//! `std` by name.
//!
//! # How a product crate uses it
//!
//! It must not depend on this crate in a plain build, so it has a `sync.rs` of a few lines of its
//! own: the same names from `std`, and under the two flags `pub(crate) use harness::sync::*`, with
//! `harness` as a dependency of `[target.'cfg(any(loom, shuttle))'.dependencies]`.
//!
//! # What this module does not do
//!
//! It adds no lock, no fairness and no poison policy of its own, and it has no async.

#[cfg(all(loom, shuttle))]
compile_error!("set `--cfg loom` or `--cfg shuttle`, not both: one explorer schedules at a time");

#[cfg(not(any(loom, shuttle)))]
#[path = "sync/plain.rs"]
mod world;

#[cfg(shuttle)]
#[path = "sync/under_shuttle.rs"]
mod world;

#[cfg(loom)]
#[path = "sync/under_loom.rs"]
mod world;

#[cfg(not(loom))]
mod unsafe_cell;

pub use world::{
    Arc, Condvar, LockResult, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockResult, atomic, cell, hint, thread,
};

#[cfg(test)]
mod tests;
