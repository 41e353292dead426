//! Secure mode against small programs that are wrong: each in a process of its own, which must end
//! with a message that names the block, or where a page cannot be accessed.

#![cfg(feature = "secure")]
#![expect(unsafe_code, reason = "allocators are misused by hand")]
#![expect(clippy::print_stderr, reason = "a child tells its parent what it does")]

use std::alloc::{GlobalAlloc, Layout};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr::NonNull;

use allocator::{Heap, Strata};

#[global_allocator]
static ALLOCATOR: Strata = Strata::new();

/// The environment variable that names the scene.
const SCENE: &str = "STRATA_TEST_SCENE";

const SMALL: usize = 100;
const MIDDLE: usize = 20_000;
const LARGE: usize = 300_000;
/// Ends with a page.
const PAGES: usize = 256 << 10;

#[derive(Clone, Copy)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block may be freed by any thread.
unsafe impl Send for Block {}

/// A block, and its address on standard error: the message must name it.
fn block(size: usize) -> Block {
    let block = quietly(size);
    eprintln!("block={:p}", block.start);
    block
}

fn quietly(size: usize) -> Block {
    let layout = Layout::from_size_align(size, 8).expect("a small block");
    // SAFETY: the allocator takes a size of zero too.
    let start = NonNull::new(unsafe { ALLOCATOR.alloc(layout) }).expect("there is memory");
    Block { start, layout }
}

impl Block {
    fn free(self) {
        // SAFETY: none; that is the point.
        unsafe { ALLOCATOR.dealloc(self.start.as_ptr(), self.layout) };
    }

    fn free_as(self, size: usize, align: usize) {
        Self { layout: Layout::from_size_align(size, align).expect("small"), ..self }.free();
    }

    fn at(self, offset: isize) -> Self {
        Self { start: self.byte(offset), ..self }
    }

    fn byte(self, offset: isize) -> NonNull<u8> {
        NonNull::new(self.start.as_ptr().wrapping_offset(offset)).expect("not zero")
    }

    fn write(self, offset: usize, value: u8) {
        let place = self.byte(offset.cast_signed());
        // SAFETY: none.
        unsafe { place.write_volatile(value) };
    }

    fn write_before(self, bytes: isize) {
        self.write_at(-bytes);
    }

    fn write_at(self, offset: isize) {
        // SAFETY: none.
        unsafe { self.byte(offset).write_volatile(1) };
    }

    fn read(self, offset: usize) -> u8 {
        // SAFETY: none.
        unsafe { self.byte(offset.cast_signed()).read_volatile() }
    }

    fn resize(self, believed: usize, size: usize) {
        let layout = Layout::from_size_align(believed, 8).expect("small");
        // SAFETY: none.
        unsafe { ALLOCATOR.realloc(self.start.as_ptr(), layout, size) };
    }
}

fn freed(size: usize) -> Block {
    let block = block(size);
    block.free();
    block
}

/// Blocks of a size come and go.
fn churn(size: usize, count: usize) {
    (0..count).for_each(|_| quietly(size).free());
}

/// A block with a slot beside it, before or behind, that nobody ever had.
fn beside_nobody(side: isize) -> Block {
    // Slots are drawn at random: sooner or later two lie beside such a one.
    let mut blocks: Vec<Block> = Vec::new();
    loop {
        let next = quietly(2_000);
        let is_out = |slots: isize| blocks.iter().any(|it| it.start == next.byte(slots * 2_048));
        if is_out(2 * side) && !is_out(side) {
            eprintln!("block={:p}", next.start);
            return next;
        }
        blocks.push(next);
    }
}

fn foreign(place: &mut u8) {
    eprintln!("block={place:p}");
    Block { start: NonNull::from_mut(place), layout: Layout::new::<u64>() }.free();
}

fn of_heap(act: impl FnOnce(&Heap, NonNull<u8>)) {
    let heap = Heap::new().expect("there is memory");
    let block = heap.allocate(Layout::new::<[u8; SMALL]>()).expect("there is memory");
    eprintln!("block={block:p}");
    act(&heap, block);
    // SAFETY: nobody uses the block any more.
    unsafe { heap.destroy() };
}

/// What a child ends with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A message of ours that names the block and has these words in it.
    Says(&'static str),
    /// The system stops it at a page that cannot be accessed.
    Stopped,
    /// Nothing is wrong.
    Well,
}
use End::{Says, Stopped, Well};

type Scene = (&'static str, End, fn());

const TWICE: End = Says("is freed twice");
const NONE: End = Says("is no block");
const INSIDE: End = Says("lies inside the block");
const OVERRUN: End = Says("beyond its end");

const SCENES: &[Scene] = &[
    ("double free, small", TWICE, || freed(SMALL).free()),
    ("double free, one byte", TWICE, || freed(1).free()),
    ("double free, middle", TWICE, || freed(MIDDLE).free()),
    ("double free, large", TWICE, || freed(LARGE).free()),
    ("double free, with another between", TWICE, || {
        let (first, second) = (block(SMALL), quietly(SMALL));
        first.free();
        second.free();
        first.free();
    }),
    ("double free, long after", TWICE, || {
        let block = freed(SMALL);
        churn(SMALL, 20);
        block.free();
    }),
    ("double free, large, after others", TWICE, || {
        let block = freed(LARGE);
        churn(LARGE, 20);
        block.free();
    }),
    ("double free, by another thread", TWICE, || {
        let block = block(SMALL);
        std::thread::spawn(move || block.free()).join().expect("it does not panic");
        block.free();
    }),
    ("foreign, on the stack", NONE, || foreign(&mut 0)),
    ("foreign, in a static", NONE, || {
        static mut PLACE: u8 = 0;
        let place = &raw mut PLACE;
        // SAFETY: nobody else knows of it.
        foreign(unsafe { &mut *place });
    }),
    ("foreign, where no block ever was", NONE, || {
        let far = block(SMALL).at(1 << 20);
        eprintln!("block={:p}", far.start);
        far.free();
    }),
    ("inside, small", INSIDE, || block(SMALL).at(16).free()),
    ("inside, not aligned", INSIDE, || block(SMALL).at(1).free()),
    ("inside, middle", INSIDE, || block(MIDDLE).at(4096).free()),
    ("inside, large", INSIDE, || block(LARGE).at(4096).free()),
    ("inside, of a freed block", TWICE, || {
        let inner = freed(SMALL).at(8);
        eprintln!("block={:p}", inner.start);
        inner.free();
    }),
    ("size, smaller", Says("of 100 bytes"), || block(SMALL).free_as(SMALL - 1, 8)),
    ("size, larger", Says("as one of 4096 bytes"), || block(SMALL).free_as(4096, 8)),
    ("size, large", Says("as one of 300001 bytes"), || block(LARGE).free_as(LARGE + 1, 8)),
    ("alignment", Says("aligned to 64"), || block(SMALL).free_as(SMALL, 64)),
    ("size, as it is resized", Says("is resized as one of 50"), || block(SMALL).resize(50, 200)),
    ("overrun, one byte", OVERRUN, || {
        let block = block(SMALL);
        block.write(SMALL, 1);
        block.free();
    }),
    ("overrun, the zero of a string", OVERRUN, || {
        let block = block(24);
        block.write(24, 0);
        block.free();
    }),
    ("overrun, eight bytes", OVERRUN, || {
        let block = block(8);
        (8..16).for_each(|at| block.write(at, 0xFF));
        block.free();
    }),
    ("overrun, middle", OVERRUN, || {
        let block = block(MIDDLE);
        block.write(MIDDLE + 7, 1);
        block.free();
    }),
    ("overrun, large, by a byte", OVERRUN, || {
        let block = block(LARGE - 7);
        block.write(LARGE - 7, 1);
        block.free();
    }),
    ("overrun, large, into the guard", Stopped, || block(PAGES).write(PAGES, 1)),
    ("overrun, large, read", Stopped, || {
        block(LARGE).read(LARGE + 16);
    }),
    ("overrun, small, on and on", Stopped, || {
        let block = block(SMALL);
        (0..1 << 30).for_each(|at| block.write(at, 1));
    }),
    ("far before, smallest", Stopped, || block(1).write_at(-(1 << 20))),
    ("far before, smallest, by most of a region", Stopped, || block(1).write_at(-(30 << 30))),
    ("far before, small", Stopped, || block(SMALL).write_at(-(1 << 20))),
    ("far behind, small", Stopped, || block(SMALL).write_at(1 << 20)),
    ("far before, large", Stopped, || block(LARGE).write_at(-(1 << 20))),
    ("far before, large, by most of a guard", Stopped, || block(LARGE).write_at(-(15 << 20))),
    ("far behind, large", Stopped, || block(LARGE).write_at(16 << 20)),
    ("far behind, large, in place of another", Stopped, || {
        churn(LARGE, 50);
        block(LARGE).write_at(1 << 20);
    }),
    ("overrun, found as it is resized", OVERRUN, || {
        let block = block(SMALL);
        block.write(SMALL, 1);
        block.resize(SMALL, 10);
    }),
    ("overrun, never freed", OVERRUN, || block(SMALL).write(SMALL, 1)),
    ("underrun, small", Says("beside it"), || {
        // In a full slab the slots beside it are all out or wait.
        let blocks: Vec<Block> = (0..700).map(|_| quietly(SMALL)).collect();
        blocks[300..400].iter().for_each(|block| block.free());
        let beside =
            |block: &&Block| blocks[300..400].iter().any(|it| it.start == block.byte(-112));
        let last = blocks[400..].iter().find(beside).expect("one of 300 lies beside one of 100");
        eprintln!("block={:p}", last.byte(-112));
        last.write_before(1);
        last.free();
    }),
    ("underrun, beside nobody", Says("before its start"), || {
        let block = beside_nobody(-1);
        block.write_before(1);
        block.free();
    }),
    ("underrun, by an element of 32 bytes", Says("before its start"), || {
        let block = beside_nobody(-1);
        (28..=32).for_each(|at| block.write_before(at));
        block.free();
    }),
    ("overrun, by an element of 32 bytes", OVERRUN, || {
        let block = beside_nobody(1);
        (32..36).for_each(|at| block.write(2_048 + at, 1));
        block.free();
    }),
    ("underrun, large", Says("before its start"), || {
        let block = block(LARGE - 4000);
        block.write_before(1);
        block.free();
    }),
    ("written after free, then used again", Says("while it was free"), || {
        let block = freed(SMALL);
        block.write(50, 1);
        churn(SMALL, 5_000);
    }),
    ("written after free, and no more", Says("while it was free"), || {
        freed(SMALL).write(0, 1);
    }),
    ("written after free, large", Stopped, || freed(LARGE).write(0, 1)),
    ("read after free, large", Stopped, || {
        freed(LARGE).read(0);
    }),
    ("read after free is zero", Well, || {
        let block = block(SMALL);
        (0..SMALL).for_each(|at| block.write(at, 0xFF));
        block.free();
        assert!((0..SMALL).all(|at| block.read(at) == 0), "secrets are left");
    }),
    ("zero bytes, written", Stopped, || block(0).write(0, 1)),
    ("zero bytes, read", Stopped, || {
        block(0).read(0);
    }),
    ("resized after free", Says("is resized after it was freed"), || {
        freed(SMALL).resize(SMALL, 200);
    }),
    ("measured after free", Says("is measured after it was freed"), || {
        let block = freed(SMALL);
        // SAFETY: none.
        unsafe { ALLOCATOR.usable_size(block.start) };
    }),
    ("resized inside", INSIDE, || block(SMALL).at(8).resize(SMALL, 200)),
    ("heap, double free", TWICE, || {
        of_heap(|heap, block| {
            // SAFETY: none.
            unsafe { heap.free(block) };
            // SAFETY: none.
            unsafe { heap.free(block) };
        });
    }),
    ("heap, overrun, found as it is destroyed", OVERRUN, || {
        of_heap(|_, block| {
            Block { start: block, layout: Layout::new::<u8>() }.write(SMALL, 1);
        });
    }),
    ("heap, free after it was destroyed", TWICE, || {
        let mut kept = None;
        of_heap(|_, block| kept = Some(block));
        // SAFETY: none.
        unsafe { ALLOCATOR.free(kept.expect("set above")) };
    }),
    ("all is well", Well, || {
        for size in (0..5_000).chain([LARGE, PAGES, 1 << 20]) {
            let block = quietly(size);
            (0..size.min(64)).for_each(|at| block.write(at, 1));
            block.free();
        }
    }),
];

fn in_child(scene: &str, secure: &str) -> Output {
    let program = std::env::current_exe().expect("this program has a path");
    let arguments = ["--exact", "scene", "--nocapture", "--test-threads=1"];
    let mut command = Command::new(program);
    command.args(arguments).env(SCENE, scene).env("STRATA_ALLOC_SECURE", secure);
    command.output().expect("this program can be run again")
}

/// The child's part.
#[test]
fn scene() {
    let Ok(name) = std::env::var(SCENE) else { return };
    let (.., act) = SCENES.iter().find(|(scene, ..)| *scene == name).expect("a scene");
    act();
}

/// Whether a line of ours names the block that the scene was about.
fn names_the_block(output: &Output, words: &str) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let block = text.rsplit("block=").next().and_then(|rest| rest.split_whitespace().next());
    let named = |line: &str| {
        line.starts_with("strata:") && line.contains(words) && line.contains(block.unwrap_or("?"))
    };
    text.lines().any(named)
}

#[test]
fn every_misuse_ends_the_process() {
    for (name, end, _) in SCENES {
        let output = in_child(name, "1");
        let status = output.status;
        let as_it_must = match end {
            // 6: SIGABRT.
            Says(words) => status.signal() == Some(6) && names_the_block(&output, words),
            // 11: SIGSEGV.
            Stopped => status.signal() == Some(11),
            Well => status.success(),
        };
        assert!(as_it_must, "{name}: {output:?}");
    }
}

/// Where a process may have few addresses, the mode does with fewer.
#[test]
fn few_addresses_suffice() {
    let program = std::env::current_exe().expect("this program has a path");
    for kibibytes in [4 << 20, 30 << 20] {
        let line = format!("ulimit -v {kibibytes} && exec \"$0\" --exact scene --test-threads=1");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).arg(&program).env(SCENE, "all is well");
        let output = command.output().expect("there is a shell");
        assert!(output.status.success(), "{kibibytes} KiB: {output:?}");
    }
}

/// The mode is what finds them: without it, these go unnoticed.
#[test]
fn without_the_mode_they_go_unnoticed() {
    for name in ["overrun, one byte", "size, smaller", "written after free, and no more"] {
        let output = in_child(name, "0");
        assert!(output.status.success(), "{name}: {output:?}");
    }
}
