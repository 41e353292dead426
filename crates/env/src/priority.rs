//! Which threads go first where processors are scarce.

/// Lets the calling thread stand back: while others want its processor, it gets about a third of
/// what one of them gets. A thread that was woken to answer somebody then need not wait until this
/// one has used up its turn, which takes milliseconds. Where nobody else wants the processor it
/// runs as fast as before.
///
/// It cannot be taken back. For work that is worth doing and that nobody waits for at the moment.
/// It does nothing on systems where a thread has no priority of its own, and where the system
/// refuses.
pub fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};

        /// As `nice -n 5`: each step is a tenth or so of a processor.
        const STEPS: i32 = 5;

        // Here, other than POSIX has it, "this process" is this thread: see `setpriority(2)`.
        // Failure: the thread goes on as it is, which is correct.
        let _as_before = getpriority_process(None)
            .and_then(|nice| setpriority_process(None, nice.saturating_add(STEPS)));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use rustix::process::getpriority_process;

    use super::stand_back;

    /// One thread, not the process.
    #[test]
    fn it_is_the_calling_thread_that_stands_back() {
        let before = getpriority_process(None).expect("it may be read");
        let there = thread::spawn(|| {
            stand_back();
            getpriority_process(None).expect("it may be read")
        });
        assert_eq!(there.join().expect("it ends"), (before + 5).min(19));
        assert_eq!(getpriority_process(None).expect("it may be read"), before);
    }
}
