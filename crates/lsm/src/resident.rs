//! Reads that do not wait for a disk, for callers who have something else to do meanwhile.
//!
//! All that a read needs is in memory or behind two doors: a block that is not in the cache, and a
//! value that lies apart. Both are cold, and both ask here first, so that the way of a read that
//! finds everything in memory costs the same as ever.

use std::cell::Cell;

use crate::{Error, Result};

thread_local! {
    static STAYS_IN_MEMORY: Cell<bool> = const { Cell::new(false) };
}

/// Lets the thread go to the disk again, also after a panic.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        STAYS_IN_MEMORY.set(false);
    }
}

/// Reads; where the disk is needed, the outcome is [`Error::WouldWait`].
pub(crate) fn in_memory<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    STAYS_IN_MEMORY.set(true);
    let _stay = Stay;
    read()
}

/// Asked before the disk is.
pub(crate) fn may_read_disk() -> Result<()> {
    if STAYS_IN_MEMORY.get() { Err(Error::WouldWait) } else { Ok(()) }
}
