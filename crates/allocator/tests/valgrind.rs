//! Programs that are wrong, and one that is not, under valgrind's memcheck: it must find in blocks
//! of ours what it finds in those of any `malloc`.
//!
//! Skipped, and said so, where there is no valgrind.

// Secure mode ends a program where memcheck would go on and tell.
#![cfg(all(feature = "valgrind", not(feature = "secure")))]
#![expect(unsafe_code, reason = "blocks are misused by hand")]
#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::process::{Command, Output};

use allocator::{Heap, Strata};

#[global_allocator]
static ALLOCATOR: Strata = Strata::new();

/// The environment variable that names the scene.
const SCENE: &str = "STRATA_TEST_SCENE";

const LAYOUT: Layout = Layout::new::<[u8; 24]>();

fn block() -> *mut u8 {
    // SAFETY: the layout has bytes.
    black_box(unsafe { ALLOCATOR.alloc(LAYOUT) })
}

fn free(block: *mut u8) {
    // SAFETY: it is one, of this layout; or it is none, and that is what the scene is about.
    unsafe { ALLOCATOR.dealloc(block, LAYOUT) };
}

fn write(block: *mut u8, offset: usize) {
    // SAFETY: the byte lies in memory of the allocator, though perhaps in no block.
    unsafe { black_box(block).wrapping_add(offset).write_volatile(1) };
}

fn read(block: *mut u8, offset: usize) -> u8 {
    // SAFETY: as above.
    unsafe { black_box(block).wrapping_add(offset).read_volatile() }
}

/// Uses all there is, and nothing wrongly.
fn behave() {
    let threads = (0..2).map(|seed| {
        std::thread::spawn(move || {
            let mut texts: Vec<String> = (0..500).map(|it| "t".repeat(it * seed % 90)).collect();
            texts.retain(|text| text.len() % 3 != 0);
            let zeroed = vec![0_u8; 100_000];
            (texts, zeroed.iter().map(|byte| usize::from(*byte)).sum::<usize>())
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        // Blocks of a thread that has ended are read and freed here.
        let (texts, sum) = thread.join().expect("it ends well");
        assert!(sum == 0 && texts.concat().bytes().all(|byte| byte == b't'), "other contents");
    }
    let mut growing = Vec::new();
    (0..300_000_u32).for_each(|it| growing.push(it));
    assert!(growing.iter().enumerate().all(|(at, it)| at == *it as usize), "other contents");
    let heap = Heap::new().expect("there is memory");
    let kept = heap.allocate(LAYOUT).expect("there is memory");
    // SAFETY: 24 bytes that are ours.
    unsafe { kept.write_bytes(7, 24) };
    // SAFETY: nobody uses its blocks any more.
    unsafe { heap.destroy() };
    // Memory that a heap had is a block of another.
    let again: Vec<Vec<u8>> = (0..2_000).map(|it| vec![1; 24 + it % 2]).collect();
    assert!(again.iter().flatten().all(|byte| *byte == 1), "other contents");
    ALLOCATOR.collect();
}

fn play(scene: &str) {
    match scene {
        "none" => behave(),
        "overrun" => {
            let block = block();
            write(block, 24);
            free(block);
        }
        "after" => {
            let block = block();
            write(block, 0);
            free(block);
            black_box(read(block, 0));
        }
        "unwritten" => {
            let block = block();
            if read(block, 5) == 77 {
                println!("by chance");
            }
            free(block);
        }
        "lost" => {
            black_box(block());
        }
        "twice" => {
            let (first, second) = (block(), block());
            free(first);
            free(second);
            free(first);
        }
        other => panic!("there is no scene {other}"),
    }
}

/// The scene that the environment names; without one, nothing.
#[test]
fn scene() {
    if let Ok(scene) = std::env::var(SCENE) {
        play(&scene);
    }
}

fn under_valgrind(scene: &str) -> Option<Output> {
    let program = std::env::current_exe().expect("this program has a path");
    Command::new("valgrind")
        .args(["--leak-check=full", "--errors-for-leak-kinds=definite", "--error-exitcode=9"])
        .arg(program)
        .args(["--exact", "scene", "--nocapture", "--test-threads=1"])
        .env(SCENE, scene)
        .output()
        .ok()
}

fn is_told(scene: &str, words: &str) {
    let Some(output) = under_valgrind(scene) else {
        println!("skipped: this machine has no valgrind");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(words), "{scene}: {said}");
    assert_eq!(output.status.success(), scene == "none", "{scene}: {said}");
}

#[test]
fn a_sound_program_has_no_errors() {
    is_told("none", "ERROR SUMMARY: 0 errors");
}

#[test]
fn what_is_written_beyond_a_block_is_found() {
    is_told("overrun", "0 bytes after a block of size 24 alloc'd");
}

#[test]
fn what_is_read_after_the_end_of_a_block_is_found() {
    is_told("after", "0 bytes inside a block of size 24 free'd");
}

#[test]
fn what_was_never_written_is_found() {
    is_told("unwritten", "depends on uninitialised value");
}

#[test]
fn what_is_lost_is_found() {
    is_told("lost", "24 bytes in 1 blocks are definitely lost");
}

#[test]
fn what_is_freed_twice_is_found() {
    is_told("twice", "Invalid free");
}
