//! The world of shuttle: seeded schedules, every atomic sequentially consistent.

pub use shuttle::sync::{
    Arc, Condvar, LockResult, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockResult,
};

/// Atomics.
pub mod atomic {
    pub use shuttle::sync::atomic::{
        AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32,
        AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Shared memory without a lock.
pub mod cell {
    pub use crate::sync::unsafe_cell::UnsafeCell;
}

/// Hints to whoever schedules.
pub mod hint {
    pub use shuttle::hint::spin_loop;
}

/// Threads.
pub mod thread {
    pub use shuttle::thread::{JoinHandle, current, park, spawn, yield_now};
}
