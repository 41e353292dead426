//! `UnsafeCell` in the shape that loom needs to watch it.
//!
//! `std` hands out a raw pointer that lives as long as the cell; loom could not tell when the
//! access ends. With a closure it can, and it then reports two accesses that race. This version has
//! nothing to report and compiles to the bare pointer. Shuttle, which runs one thread at a time
//! between its scheduling points, uses it as well.

use std::cell;

/// Memory that may change while it is shared. The caller keeps accesses apart.
#[derive(Debug, Default)]
pub struct UnsafeCell<T: ?Sized>(cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// The value, at the end of sharing.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `read` with a pointer for reading. Nobody may write meanwhile.
    #[inline(always)]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Calls `write` with a pointer for writing. Nobody else may read or write meanwhile.
    #[inline(always)]
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
