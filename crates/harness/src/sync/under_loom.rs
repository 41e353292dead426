//! The world of loom: every schedule, and every value that the memory model allows.

pub use loom::sync::{
    Arc, Condvar, LockResult, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockResult,
};

/// Atomics.
pub mod atomic {
    pub use loom::sync::atomic::{
        AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32,
        AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Shared memory without a lock.
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

/// Hints to whoever schedules.
pub mod hint {
    pub use loom::hint::spin_loop;
}

/// Threads.
pub mod thread {
    pub use loom::thread::{JoinHandle, current, park, spawn, yield_now};
}
