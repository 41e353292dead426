//! Which heap is this thread's.
//!
//! A word of thread-local memory holds the address of the heap, at first that of one without slabs:
//! so the fast path needs no test, and the slow path finds out that there is a heap to be made. On
//! Linux on x86-64 the word is placed by hand in the block of thread-local memory that exists from
//! the start (model "initial exec"): two instructions, also in a shared library, where the compiler
//! would call a function. Elsewhere it is a `thread_local!` without a destructor.
//!
//! When the thread ends, the destructor of a pthread key gives the heap up. It runs after those of
//! Rust's thread-locals; what still frees after it goes by a heap without slabs, and what still
//! allocates gets a heap again, which the next round of destructors gives up.

#![expect(unsafe_code, reason = "thread-local memory is found by address")]

use std::sync::atomic::{AtomicU32, Ordering};

use crate::environment;
use crate::heap::{Heap, NOBODY, Role};
use crate::lock::Errno;
use crate::options::Options;
use crate::profile;
use crate::world::WORLD;

pub(crate) use slot::get as heap;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod slot {
    use super::{Heap, NOBODY};

    std::arch::global_asm!(
        ".pushsection .tdata.strata_allocator_heap,\"awT\",@progbits",
        ".balign 8",
        ".globl strata_allocator_heap",
        ".hidden strata_allocator_heap",
        ".type strata_allocator_heap,@object",
        ".size strata_allocator_heap,16",
        "strata_allocator_heap:",
        ".quad {nobody}",
        ".quad 0",
        ".popsection",
        nobody = sym NOBODY,
    );

    /// The heap of this thread.
    #[inline(always)]
    pub(crate) fn get() -> &'static Heap {
        let heap: *const Heap;
        // SAFETY: reads the word above, which holds the address of a heap at all times.
        unsafe {
            std::arch::asm!(
                "mov {heap}, qword ptr [rip + strata_allocator_heap@GOTTPOFF]",
                "mov {heap}, qword ptr fs:[{heap}]",
                heap = out(reg) heap,
                options(nostack, preserves_flags, readonly, pure),
            );
        }
        // SAFETY: heaps live for ever.
        unsafe { &*heap }
    }

    /// Makes `heap` the heap of this thread.
    pub(super) fn set(heap: &'static Heap) {
        // SAFETY: writes the word above, which only this thread reads.
        unsafe {
            std::arch::asm!(
                "mov {place}, qword ptr [rip + strata_allocator_heap@GOTTPOFF]",
                "mov qword ptr fs:[{place}], {heap}",
                place = out(reg) _,
                heap = in(reg) heap,
                options(nostack, preserves_flags),
            );
        }
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended() -> bool {
        let ended: u64;
        // SAFETY: reads the second word, which only this thread writes.
        unsafe {
            std::arch::asm!(
                "mov {ended}, qword ptr [rip + strata_allocator_heap@GOTTPOFF]",
                "mov {ended}, qword ptr fs:[{ended} + 8]",
                ended = out(reg) ended,
                options(nostack, preserves_flags, readonly),
            );
        }
        ended != 0
    }

    /// Notes that it has.
    pub(super) fn set_ended() {
        // SAFETY: writes the second word, which only this thread reads.
        unsafe {
            std::arch::asm!(
                "mov {place}, qword ptr [rip + strata_allocator_heap@GOTTPOFF]",
                "mov qword ptr fs:[{place} + 8], 1",
                place = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod slot {
    use std::cell::Cell;

    use super::{Heap, NOBODY};

    std::thread_local! {
        static HEAP: Cell<&'static Heap> = const { Cell::new(&NOBODY) };
        static ENDED: Cell<bool> = const { Cell::new(false) };
    }

    /// The heap of this thread.
    #[inline(always)]
    pub(crate) fn get() -> &'static Heap {
        HEAP.get()
    }

    /// Makes `heap` the heap of this thread.
    pub(super) fn set(heap: &'static Heap) {
        HEAP.set(heap);
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended() -> bool {
        ENDED.get()
    }

    /// Notes that it has.
    pub(super) fn set_ended() {
        ENDED.set(true);
    }
}

const UNBORN: u32 = 0;
const BEING_BORN: u32 = 1;
const BORN: u32 = 2;

/// Whether the process is set up.
static STAGE: AtomicU32 = AtomicU32::new(UNBORN);
/// The key whose destructor gives heaps up.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Makes a heap for this thread; `None` where there is no memory.
#[cold]
#[inline(never)]
pub(crate) fn begin(options: &Options) -> Option<&'static Heap> {
    set_up(options);
    let heap = WORLD.heap(Role::Thread)?;
    // Before the key is set: that may allocate.
    slot::set(heap);
    let errno = Errno::save();
    let key = KEY.load(Ordering::Relaxed); // Relaxed: written before `STAGE` was.
    // SAFETY: the key exists; the value is only compared with null.
    unsafe { libc::pthread_setspecific(key, std::ptr::from_ref(heap).cast()) };
    errno.restore();
    Some(heap)
}

/// Makes a heap for this thread if `heap` is what it began with; `None` if it has one, if its end
/// has come, and where there is no memory.
pub(crate) fn begin_to_free(heap: &'static Heap) -> Option<&'static Heap> {
    // The process is set up, with options of its own: there is a block.
    if heap.is_nobody() && !slot::has_ended() { begin(&Options::new()) } else { None }
}

/// Sets the process up, once, by whoever allocates first.
pub(crate) fn set_up(options: &Options) {
    // Acquire: pairs with the Release at the end.
    if STAGE.load(Ordering::Acquire) == BORN {
        return;
    }
    // Acquire: on failure we see what the one who was first has set up so far.
    let first =
        STAGE.compare_exchange(UNBORN, BEING_BORN, Ordering::Acquire, Ordering::Acquire).is_ok();
    if !first {
        while STAGE.load(Ordering::Acquire) != BORN {
            // SAFETY: gives the processor to the thread that sets up.
            unsafe { libc::sched_yield() };
        }
        return;
    }
    WORLD.set_options(environment::overrule(*options));
    if WORLD.options().secure {
        crate::secure::start();
    } else {
        crate::secure::leave_off();
    }
    profile::start(&WORLD.options());
    let mut key = 0;
    // SAFETY: the place is ours; the destructor takes what `begin` sets.
    let made = unsafe { libc::pthread_key_create(&raw mut key, Some(end)) };
    assert!(made == 0, "no key for thread-local data is left");
    // Relaxed: the Release below publishes it.
    KEY.store(key, Ordering::Relaxed);
    // Release: pairs with the Acquires above.
    STAGE.store(BORN, Ordering::Release);
    // These may allocate.
    crate::fork::register();
    profile::watch_exit();
    if WORLD.options().secure {
        crate::secure::watch_exit();
    }
}

/// The thread ends.
extern "C" fn end(_: *mut libc::c_void) {
    let heap = heap();
    if !heap.is_nobody() {
        let _hush = crate::valgrind::hush();
        slot::set(&NOBODY);
        slot::set_ended();
        heap.leave();
    }
}
