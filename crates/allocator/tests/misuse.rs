//! What the allocator notices without being asked to look: each in a process of its own, which must
//! end with a message that names the block. And what it must put up with.

#![expect(unsafe_code, reason = "allocators are misused by hand")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::process::{Command, Output};

#[global_allocator]
static ALLOCATOR: allocator::Strata = allocator::Strata::new();

/// The environment variable that names the scene.
const SCENE: &str = "STRATA_TEST_SCENE";

fn in_child(scene: &str) -> Output {
    let program = std::env::current_exe().expect("this program has a path");
    let arguments = ["--exact", "scene", "--nocapture", "--test-threads=1"];
    let mut command = Command::new(program);
    command.args(arguments).env(SCENE, scene).output().expect("this program can be run again")
}

fn block(size: usize) -> (*mut u8, Layout) {
    let layout = Layout::from_size_align(size, 8).expect("a small block");
    // SAFETY: the size is above zero.
    let block = unsafe { ALLOCATOR.alloc(layout) };
    assert!(!block.is_null(), "no {size} bytes");
    (block, layout)
}

fn free((block, layout): (*mut u8, Layout)) {
    // SAFETY: none where a block is freed twice; that is the point.
    unsafe { ALLOCATOR.dealloc(block, layout) };
}

/// The child's part.
#[test]
fn scene() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let twice = |size| {
        let block = block(size);
        eprintln!("block={:p}", block.0);
        free(block);
        free(block);
    };
    match scene.as_str() {
        "small" => twice(100),
        "middle" => twice(20_000),
        "released" => {
            let span = block(8 << 20);
            eprintln!("block={:p}", span.0);
            free(span);
            free(span);
        }
        #[cfg(not(feature = "secure"))]
        "descriptors" => {
            let descriptors = descriptors();
            eprintln!("block={:p}", descriptors.0);
            zero(descriptors.1);
        }
        _ => panic!("no scene {scene:?}"),
    }
}

/// The descriptor for a block of 100 bytes, and the first of its segment.
#[cfg(not(feature = "secure"))]
fn descriptors() -> (*mut u8, *mut u8) {
    const SEGMENT: usize = 64 << 20;
    let address = block(100).0.expose_provenance();
    let (head, inside) = (address & !(SEGMENT - 1), address % SEGMENT);
    let at = |offset| std::ptr::with_exposed_provenance_mut(head + offset);
    (at(inside / (64 << 10) * 64), at(1024))
}

/// Zeroes all descriptors of a segment, as a wild copy does, and goes on.
#[cfg(not(feature = "secure"))]
fn zero(descriptors: *mut u8) {
    // Nobody waits for ever for a child that hangs.
    // SAFETY: none of what follows but this.
    unsafe { libc::alarm(20) };
    // SAFETY: none; that is the point.
    unsafe { descriptors.write_bytes(0, 63 << 10) };
    (0..2_000).for_each(|_| _ = block(100));
}

fn names_the_block(scene: &str) {
    let output = in_child(scene);
    let text = String::from_utf8_lossy(&output.stderr);
    let address = text.split("block=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = address.expect("the scene says which block");
    let named = |line: &str| line.contains("strata:") && line.contains(address);
    assert!(!output.status.success() && text.lines().any(named), "{scene}: {output:?}");
}

#[test]
fn a_small_block_that_is_freed_twice_is_named() {
    names_the_block("small");
}

#[test]
fn a_middle_block_that_is_freed_twice_is_named() {
    names_the_block("middle");
}

#[test]
fn a_large_block_that_is_freed_twice_is_named() {
    names_the_block("released");
}

/// In secure mode there are no segments.
#[cfg(not(feature = "secure"))]
#[test]
fn a_descriptor_that_was_written_over_is_named() {
    names_the_block("descriptors");
}

/// Sizes beyond all addresses of a process, and alignments beyond ours, are refused, and nothing
/// else suffers.
#[test]
fn what_cannot_be_had_is_null() {
    let most = isize::MAX.cast_unsigned();
    for (size, align) in [(most - 4_095, 8), (1 << 47, 8), (100, 64 << 20)] {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        // SAFETY: the size is above zero.
        assert!(unsafe { ALLOCATOR.alloc(layout) }.is_null(), "{layout:?}");
    }
    free(block(100));
}

/// A thread-local whose destructor allocates and frees runs before and after others.
#[test]
fn destructors_of_thread_locals_may_allocate() {
    struct Late(RefCell<Vec<String>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let more = (0..1_000).map(|it| format!("{it} at the end"));
            self.0.borrow_mut().extend(more);
        }
    }
    thread_local! {
        static FIRST: Late = const { Late(RefCell::new(Vec::new())) };
        static SECOND: Late = const { Late(RefCell::new(Vec::new())) };
    }
    for _ in 0..50 {
        let work = || {
            FIRST.with(|late| late.0.borrow_mut().push("first".to_owned()));
            SECOND.with(|late| late.0.borrow_mut().push("second".to_owned()));
        };
        let small = std::thread::Builder::new().stack_size(64 << 10).spawn(work);
        small.expect("there is room").join().expect("nothing in it panics");
    }
}

/// Threads that never allocate free what others made, one block or many, small and large, also from
/// the destructors of their thread-locals.
#[test]
fn threads_that_only_free_may() {
    struct Kept(RefCell<Vec<Block>>);
    #[derive(Clone, Copy)]
    struct Block(*mut u8, Layout);
    // SAFETY: blocks may be freed by any thread.
    unsafe impl Send for Block {}
    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.borrow().iter().for_each(|it| free((it.0, it.1)));
        }
    }
    thread_local! {
        static KEPT: Kept = const { Kept(RefCell::new(Vec::new())) };
    }
    for count in [1, 10, 5_000] {
        let make = |it: usize| {
            let (start, layout) = block(16 + it * 37 % 90_000);
            Block(start, layout)
        };
        let mut early: Vec<Block> = (0..count).map(make).collect();
        let late = early.split_off(count / 2);
        let work = move || {
            for it in early {
                free((it.0, it.1));
            }
            KEPT.with(|kept| kept.0.replace(late));
        };
        std::thread::spawn(work).join().expect("nothing in it panics");
    }
}
