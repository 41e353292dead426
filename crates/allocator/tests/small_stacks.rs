//! Threads with little room on their stacks allocate, free blocks of each other, and end: in a
//! process of its own, with and without a heap profile.

use std::hint::black_box;
use std::process::Command;
use std::thread;

#[global_allocator]
static ALLOCATOR: allocator::Strata = allocator::Strata::new();

/// The environment variable that asks for the child's part.
const SCENE: &str = "STRATA_TEST_SCENE";

/// The least stack that POSIX knows, on x86-64: room for a signal and not for much else.
const LEAST: usize = 16 << 10;

/// A block of each path there is: of a thread's slabs, of spans, and with a mapping of its own.
fn blocks() -> Vec<Vec<u8>> {
    let sizes = [1, 64, 900, 5_000, 60_000, 100_000, 33 << 20];
    sizes.into_iter().map(|size| black_box(vec![1; size])).collect()
}

/// Starts a thread with a stack of this size, which allocates, grows and zeroes blocks, frees some
/// of another thread, and leaves some of its own to another.
fn thread_of(stack: usize) {
    let others = blocks();
    let work = move || {
        let (mut own, left) = (blocks(), blocks());
        for block in &mut own {
            block.resize(block.len() * 2 + 1, 0);
        }
        drop(black_box(own));
        drop(others);
        ALLOCATOR.collect();
        left
    };
    let thread = thread::Builder::new().stack_size(stack).spawn(work).expect("it starts");
    drop(thread.join().expect("nothing in it panics"));
}

/// The child's part.
#[test]
fn scene() {
    if std::env::var(SCENE).is_ok() {
        for stack in [1 << 20, LEAST].into_iter().cycle().take(8) {
            thread_of(stack);
        }
        println!("all came back");
    }
}

fn assert_comes_back(variables: &[(&str, &str)]) {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["--exact", "scene", "--nocapture", "--test-threads=1"])
        .env(SCENE, "1")
        .envs(variables.iter().copied())
        .output()
        .expect("this program can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("all came back"), "{output:?}");
}

#[test]
fn threads_with_small_stacks_come_and_go() {
    assert_comes_back(&[]);
}

/// A sample walks the stack, which takes room on it.
#[test]
#[cfg(not(feature = "secure"))]
fn their_blocks_are_sampled() {
    assert_comes_back(&[("STRATA_ALLOC_LEAKS", "1"), ("STRATA_ALLOC_PROFILE_RATE", "4096")]);
}
