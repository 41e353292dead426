//! A thread that gives memory back while nobody asks for any.
//!
//! Rounds of the purge come with requests; a process that has become idle makes none. So when much
//! is dirty, a thread is started that runs the rounds, and ends when nothing is left to purge: a
//! process that never frees much never has one. It starts anew in the child of a `fork`.
//!
//! ```text
//!   give: dirty > START --> [ runs ]: sleep half the decay time, round, ... --> clean: ends
//! ```
//!
//! # What this module does not do
//!
//! It does not reach into heaps: what those keep for reuse is theirs until they are asked.

#![expect(unsafe_code, reason = "a thread is made without std, which would allocate")]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lock::Errno;
use crate::size_class::SLICE;
use crate::world::WORLD;

/// Dirty slices from which on the thread is started: 1 MiB.
const START: usize = (1 << 20) / SLICE;

/// Bytes of its stack.
const STACK: usize = 64 << 10;

/// Whether the thread runs.
static RUNS: AtomicBool = AtomicBool::new(false);

/// Starts the thread where it is needed. Called without a lock, since the C library may allocate.
#[inline]
pub(crate) fn wake() {
    // Relaxed: hints; the exchange in `start` decides.
    if WORLD.pool.dirty.load(Ordering::Relaxed) > START && !RUNS.load(Ordering::Relaxed) {
        start();
    }
}

#[cold]
fn start() {
    // Relaxed: no data goes with it.
    if !WORLD.options().purger || RUNS.swap(true, Ordering::Relaxed) {
        return;
    }
    let errno = Errno::save();
    // A program with much thread-local memory has no room for that on a small stack.
    if !spawn(Some(STACK)) && !spawn(None) {
        // Tried again when more is freed; until then rounds come with requests.
        RUNS.store(false, Ordering::Relaxed); // Relaxed: as above.
    }
    errno.restore();
}

/// Makes a detached thread that takes no signal, with a stack of that many bytes, else of as many
/// as others have.
fn spawn(stack: Option<usize>) -> bool {
    // SAFETY: zero bytes are a place for attributes and signal sets, which the calls below fill.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    let mut thread = 0;
    // SAFETY: every place is ours.
    unsafe { libc::pthread_attr_init(&raw mut attributes) };
    if let Some(stack) = stack {
        // SAFETY: as above.
        unsafe { libc::pthread_attr_setstacksize(&raw mut attributes, stack) };
    }
    // SAFETY: as above.
    unsafe {
        libc::pthread_attr_setdetachstate(&raw mut attributes, libc::PTHREAD_CREATE_DETACHED)
    };
    // SAFETY: as above.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: as above; a thread inherits the mask of its maker.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old) };
    let (null, place) = (ptr::null_mut(), &raw mut thread);
    // SAFETY: `run` takes nothing.
    let made = unsafe { libc::pthread_create(place, &raw const attributes, run, null) } == 0;
    // SAFETY: the mask is the one from before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, ptr::null_mut()) };
    // SAFETY: they were made above.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    made
}

extern "C" fn run(_: *mut libc::c_void) -> *mut libc::c_void {
    loop {
        sleep_ms((WORLD.options().decay_ms / 2).max(1));
        WORLD.pool.tick(&WORLD);
        // Relaxed: what is freed after this look wakes the thread anew.
        if WORLD.pool.dirty.load(Ordering::Relaxed) == 0 {
            RUNS.store(false, Ordering::Relaxed); // Relaxed: no data goes with it.
            // Looked at again: somebody may have freed before they could see that we go.
            let dirty = WORLD.pool.dirty.load(Ordering::Relaxed); // Relaxed: as above.
            if dirty <= START || RUNS.swap(true, Ordering::Relaxed) {
                return ptr::null_mut();
            }
        }
    }
}

fn sleep_ms(ms: u64) {
    let part = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let time = libc::timespec { tv_sec: part(ms / 1000), tv_nsec: part(ms % 1000 * 1_000_000) };
    // SAFETY: the time is ours; how much of it is left does not matter.
    unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
}

/// In the child of a `fork` there is no such thread.
pub(crate) fn forget() {
    RUNS.store(false, Ordering::Relaxed); // Relaxed: the child has one thread.
}
