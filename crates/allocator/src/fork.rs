//! What a `fork` must find: no lock held.
//!
//! The child has one thread. Heaps of the others stay owned by threads that are no more: one of
//! them may have been half way through an allocation, so that nobody may look into them again.
//! Their blocks can be freed in the child, and are lost to it.

#![expect(unsafe_code, reason = "handlers are registered with the C library")]

use crate::profile;
use crate::world::WORLD;

/// Registers the handlers, once.
pub(crate) fn register() {
    // SAFETY: the handlers live for ever.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) };
}

extern "C" fn before() {
    WORLD.close();
    profile::close();
    if crate::secure::is_on() {
        crate::secure::close();
    }
}

extern "C" fn after() {
    if crate::secure::is_on() {
        crate::secure::open();
    }
    profile::open();
    WORLD.open();
}

extern "C" fn in_child() {
    after();
    WORLD.keep_taken();
    crate::purger::forget();
    profile::forget_file();
    if crate::secure::is_on() {
        crate::secure::reseed();
    }
}
