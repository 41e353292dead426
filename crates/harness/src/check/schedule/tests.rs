//! How often an exploration runs its body. What it finds is tested in `sync`.

// The count is no part of what is explored, so it is not an atomic of `crate::sync`.
use std::sync::atomic::{AtomicU64, Ordering};

use super::{explore, find_failure};
use crate::sync::{Arc, Mutex, thread};

/// Two threads that meet once, and a count of the runs.
fn meeting(runs: &'static AtomicU64) -> impl Fn() + Send + Sync + 'static {
    move || {
        // Relaxed: a count.
        runs.fetch_add(1, Ordering::Relaxed);
        let met = Arc::new(Mutex::new(0));
        let other = {
            let met = Arc::clone(&met);
            thread::spawn(move || *met.lock().expect("no one panics") += 1)
        };
        *met.lock().expect("no one panics") += 1;
        other.join().expect("no one panics");
    }
}

#[test]
fn body_runs_under_many_schedules() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    explore("check::schedule::tests::body_runs_under_many_schedules", meeting(&RUNS));
    assert!(RUNS.load(Ordering::Relaxed) >= 2, "one schedule is no exploration");
}

#[test]
fn body_that_is_right_never_fails() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    assert!(find_failure(10, meeting(&RUNS)).is_none());
    assert!(RUNS.load(Ordering::Relaxed) >= 2, "one schedule is no exploration");
}
