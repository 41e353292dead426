//! Real threads that start at one moment.

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Sets a flag when it is dropped: at the end of a thread's work, and when the work panics too, so
/// that nobody goes on for the sake of a thread that has gone.
pub(super) struct SetAtEnd<'a>(pub(super) &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire load of whoever is to stop.
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `work` on `threads` threads, which it numbers from zero, and returns their results in that
/// order. All of them are alive before the first begins. A panic of any of them goes on here.
pub(super) fn together<T: Send>(threads: u32, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(usize::try_from(threads).expect("a handful of threads"));
    thread::scope(|scope| {
        let (barrier, work) = (&barrier, &work);
        let start = |thread| {
            scope.spawn(move || {
                barrier.wait();
                work(thread)
            })
        };
        let workers: Vec<_> = (0..threads).map(start).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|cause| resume_unwind(cause)))
            .collect()
    })
}
