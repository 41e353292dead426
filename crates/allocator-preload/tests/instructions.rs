//! Instructions of the hot paths, counted one by one: what a clock shows only on a quiet machine,
//! this shows on any, to the instruction.
//!
//! A child calls the library again and again while its parent lets it go on by one instruction at a
//! time. What lies within the library counts; the loop around it does not, nor what the library
//! calls in others, as `memset`.
//!
//! ```text
//!   child:  begin to be traced, warm up, stop | call, call, ..., call | stop
//!   parent:                                   | step, look, step, ... | divide
//! ```

#![cfg(all(target_os = "linux", target_arch = "x86_64", not(feature = "secure")))]
#![expect(unsafe_code, reason = "a process is traced, and functions are called by their names")]
#![expect(clippy::print_stdout, reason = "the counts are worth reading")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int, c_void};
use std::mem::transmute;
use std::ops::Range;
use std::sync::mpsc;
use std::{ptr, slice, thread};

/// Calls that are counted. All take the same path, so that the least is what one costs.
const CALLS: u64 = 64;
/// Calls before that: the heap exists, the block is at hand.
const WARM_UP: u64 = 1000;

/// How a child ends that may not be traced.
const UNTRACED: c_int = 77;

type Allocate = extern "C" fn(usize) -> *mut c_void;
type Zeroed = extern "C" fn(usize, usize) -> *mut c_void;
type Resize = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);
type FreeSized = unsafe extern "C" fn(*mut c_void, usize);

/// The library, loaded beside the allocator that this process uses itself.
struct Library {
    handle: *mut c_void,
    code: Range<u64>,
}

impl Library {
    fn load() -> Self {
        let test = std::env::current_exe().expect("this program has a path");
        let folder = test.parent().expect("tests lie in `deps`, beside what they need");
        let path = folder.join("liballocator_preload.so");
        let name = CString::new(path.as_os_str().as_encoded_bytes()).expect("no zero in a path");
        // SAFETY: the name is a C string; what the library does when it is loaded harms nobody.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "{} cannot be loaded", path.display());
        // SAFETY: the name is a C string.
        let code = code_around(unsafe { libc::dlsym(handle, c"malloc".as_ptr()) });
        Self { handle, code }
    }

    fn address(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is that of a library that stays loaded; the name is a C string.
        let address = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        assert!(!address.is_null(), "there is no {name:?}");
        address
    }
}

/// The code around a function: of all libraries that are loaded, the segment that holds it.
fn code_around(function: *mut c_void) -> Range<u64> {
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        sought: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader hands in the description of a library.
        let info = unsafe { &*info };
        // SAFETY: and our own pointer.
        let sought = unsafe { &mut *sought.cast::<Range<u64>>() };
        // SAFETY: it says how many headers there are, and where.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        for header in headers.iter().filter(|it| it.p_type == libc::PT_LOAD) {
            let start = info.dlpi_addr + header.p_vaddr;
            if (start..start + header.p_memsz).contains(&sought.start) {
                *sought = start..start + header.p_memsz;
                return 1;
            }
        }
        0
    }
    let mut range = function.addr() as u64..0;
    // SAFETY: the callback takes what it is given for what it is.
    let found = unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut range).cast()) };
    assert_eq!(found, 1, "the function lies in no library");
    range
}

/// Instructions of the library in one call of `act`; `None` where nobody may be traced.
fn count(library: &Library, act: impl Fn()) -> Option<u64> {
    // SAFETY: between here and its end the child calls the library and the system alone: no lock
    // that another thread of this process may hold is ever asked for.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process can be made");
    if child == 0 {
        be_traced(act);
    }
    let mut counted = 0;
    let stop = |status| libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status));
    let begun = wait(child);
    if libc::WIFEXITED(begun) && libc::WEXITSTATUS(begun) == UNTRACED {
        return None;
    }
    assert_eq!(stop(begun), Some(libc::SIGSTOP), "the child ends before it begins: {begun}");
    loop {
        if library.code.contains(&place_of(child)) {
            counted += 1;
        }
        // SAFETY: the child is ours and stands still.
        unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, child, ptr::null_mut::<c_void>(), 0) };
        match stop(wait(child)) {
            Some(libc::SIGTRAP) => {}
            Some(libc::SIGSTOP) => break,
            other => panic!("the child ends in the midst of it: {other:?}"),
        }
    }
    // SAFETY: the child is ours, and has not been waited for to its end.
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait(child);
    Some(counted / CALLS)
}

/// The child's part.
fn be_traced(act: impl Fn()) -> ! {
    // SAFETY: asks to be traced by the parent, which waits for it.
    let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, ptr::null_mut::<c_void>(), 0) };
    if traced == 0 {
        (0..WARM_UP).for_each(|_| act());
        // SAFETY: stops this process; the parent goes on with it.
        unsafe { libc::raise(libc::SIGSTOP) };
        (0..CALLS).for_each(|_| act());
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
    // SAFETY: ends the process, without what its parent has registered for its own end.
    unsafe { libc::_exit(UNTRACED) }
}

fn wait(child: c_int) -> c_int {
    let mut status = 0;
    // SAFETY: the place is ours.
    let found = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(found, child, "the child is lost");
    status
}

/// The address of the instruction that comes next.
fn place_of(child: c_int) -> u64 {
    // SAFETY: zero bytes are a place for the answer.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let place = &raw mut registers;
    // SAFETY: the child stands still; the place is ours.
    let told = unsafe { libc::ptrace(libc::PTRACE_GETREGS, child, 0, place) };
    assert_eq!(told, 0, "its registers cannot be read");
    registers.rip
}

/// Counts what a call costs, and holds it against the most that it may.
fn check(library: &Library, name: &str, most: [u64; 2], act: impl Fn()) {
    let Some(counted) = count(library, act) else {
        println!("skipped: no process may be traced here");
        return;
    };
    let most = most[usize::from(cfg!(debug_assertions))];
    println!("{name}: {counted} instructions, at most {most}");
    assert!(counted <= most, "{name}: {counted} instructions, at most {most}");
    assert!(counted > 20, "{name}: {counted} instructions are too few to be true");
}

// Each with the most that it may take: optimized as users build it, and with assertions.
#[test]
fn hot_paths_stay_short() {
    let library = Library::load();
    // SAFETY: this is the type of the function of that name, as are those below.
    let malloc: Allocate = unsafe { transmute(library.address(c"malloc")) };
    // SAFETY: as above.
    let free: Free = unsafe { transmute(library.address(c"free")) };
    // SAFETY: as above.
    let calloc: Zeroed = unsafe { transmute(library.address(c"calloc")) };
    // SAFETY: as above.
    let realloc: Resize = unsafe { transmute(library.address(c"realloc")) };
    // SAFETY: as above.
    let new: Allocate = unsafe { transmute(library.address(c"_Znwm")) };
    // SAFETY: as above.
    let delete: FreeSized = unsafe { transmute(library.address(c"_ZdlPvm")) };

    // SAFETY: here and below it is a block that was just made, and is used no more.
    let free = |block| unsafe { free(block) };
    check(&library, "malloc, free of 64 B", [44, 85], || free(malloc(64)));
    check(&library, "malloc, free of 10 KiB", [82, 132], || free(malloc(10 << 10)));
    check(&library, "malloc, free of 128 KiB", [124, 245], || free(malloc(128 << 10)));
    check(&library, "calloc, free of 64 B", [52, 92], || free(calloc(8, 8)));
    check(&library, "new, delete of 64 B", [44, 85], || {
        let block = new(64);
        // SAFETY: as above.
        unsafe { delete(block, 64) };
    });
    // Blocks of a thread that is there as long as they are: else its heap would be ours. All but a
    // few in a hundred go into a parcel and wait.
    let (made, blocks) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let maker = thread::spawn(move || {
        let blocks = (0..WARM_UP + CALLS).map(|_| malloc(64).expose_provenance());
        made.send(blocks.collect::<Vec<_>>()).expect("the test waits for them");
        ended.recv().expect_err("nothing is ever sent");
    });
    let blocks = RefCell::new(blocks.recv().expect("the thread makes them").into_iter());
    check(&library, "free of 64 B of another thread", [49, 108], || {
        let block = blocks.borrow_mut().next().expect("one for each call");
        free(ptr::with_exposed_provenance_mut(block));
    });
    drop(end);
    maker.join().expect("nothing in it panics");
    let block = malloc(64);
    check(&library, "realloc in place", [64, 98], || {
        // SAFETY: it stays where it is, since it fits.
        unsafe { realloc(block, 60) };
    });
}
