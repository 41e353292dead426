//! Resident memory, as tests: each in a process of its own, under the allocator.
//!
//! A test starts this very program again with the name of a scene; the scene prints what it weighs.

use std::process::Command;
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use env::fs::{FsExt, OsFs};

#[global_allocator]
static ALLOCATOR: allocator::Strata = allocator::Strata::new();

/// The environment variable that names the scene.
const SCENE: &str = "STRATA_TEST_SCENE";

const MIB: usize = 1 << 20;

/// What may be left of a peak. In secure mode, the states of all slots that ever were are.
const LEFT: usize = if cfg!(feature = "secure") { 12 * MIB } else { 6 * MIB };

fn resident() -> usize {
    let path = std::path::Path::new("/proc/self/status");
    let status = OsFs.read_to_string(path).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    let kib = line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number");
    kib * 1024
}

/// Runs a scene in a child; it returns how much more is resident after it than before.
fn grown_in_child(scene: &str) -> usize {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["--exact", "scene", "--nocapture", "--test-threads=1"])
        .env(SCENE, scene)
        .env("STRATA_ALLOC_DECAY_MS", "500")
        .output()
        .expect("this program can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text.split("grown=").nth(1).and_then(|rest| rest.split_whitespace().next());
    figure.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{scene}: {output:?}"))
}

/// The child's part.
#[test]
fn scene() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let before = resident();
    match scene.as_str() {
        "peak" => drop(many_blocks(64 * MIB)),
        "held" => {
            let _held_to_the_end = Box::leak(Box::new(many_blocks(64 * MIB)));
        }
        "threads" => (0..16).for_each(|_| {
            let work = || drop(many_blocks(16 * MIB));
            std::thread::spawn(work).join().expect("nothing in it panics");
        }),
        "handed over" => {
            let made = std::thread::spawn(|| many_blocks(64 * MIB)).join();
            drop(made.expect("nothing in it panics"));
        }
        _ => panic!("no scene {scene:?}"),
    }
    MonotonicClock::new().sleep(Duration::from_millis(1_700));
    println!("grown={} ", resident().saturating_sub(before));
}

/// Blocks of many sizes, each written to.
fn many_blocks(bytes: usize) -> Vec<Vec<u8>> {
    let sizes = (0..).map(|turn| 16 + turn * 37 % 3_000);
    let mut sum = 0;
    let take = |size: &usize| {
        sum += size;
        sum < bytes
    };
    sizes.take_while(take).map(|size| vec![1; size]).collect()
}

#[test]
fn an_idle_process_gives_a_peak_back() {
    let grown = grown_in_child("peak");
    assert!(grown < LEFT, "{grown} bytes more than before the peak");
}

/// The figure is able to show that memory is held.
#[test]
fn what_is_held_is_seen() {
    let grown = grown_in_child("held");
    assert!(grown > 48 * MIB, "only {grown} bytes more than before");
}

#[test]
fn threads_that_ended_hold_nothing() {
    let grown = grown_in_child("threads");
    assert!(grown < LEFT, "{grown} bytes more than before the threads");
}

#[test]
fn blocks_of_a_thread_that_ended_are_given_back() {
    let grown = grown_in_child("handed over");
    // Up to 128 slabs wait for a block that lies in an unsent parcel of this thread.
    assert!(grown < 14 * MIB, "{grown} bytes more than before");
}

/// A program with one block at a time, of whatever size, makes the system work at first only.
#[test]
#[expect(unsafe_code, reason = "blocks and figures come from C")]
fn one_block_again_and_again_keeps_its_pages() {
    let faults = || {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the place is ours.
        unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
        // SAFETY: all zero is a sound value as well.
        unsafe { usage.assume_init() }.ru_minflt
    };
    for size in [100, 512, 2_048, 4_096, 8_000, 16_384, 60_000] {
        let turns = || (0..2_000).for_each(|_| drop(std::hint::black_box(vec![1_u8; size])));
        turns();
        let before = faults();
        turns();
        assert!(faults() - before < 100, "{size}: {} pages in 2000 turns", faults() - before);
    }
}
