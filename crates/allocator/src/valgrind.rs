//! What valgrind is told of blocks, in a build with the feature `valgrind`; else nothing is done.
//!
//! Memcheck knows the blocks of a `malloc` that it replaces. Ours it does not replace: so it is
//! told of each block that is made and freed, and finds what it finds in any program: what is read
//! or written beyond a block or after its end, read before it was written, freed twice, or lost.
//!
//! ```text
//!   alloc:  hush ... the block ... made(block)  speak
//!   free:   freed(block)  hush ... onto the list ... speak
//! ```
//!
//! The allocator itself writes links into what is free. While it does, the thread is *hushed*:
//! nothing that it does is reported. A request is a sequence of instructions that changes nothing,
//! which valgrind looks for; a program that runs without it pays some ten of them for each.
//!
//! # What this module does not do
//!
//! It says nothing of the library for `LD_PRELOAD`, whose `malloc` valgrind can replace.

#![cfg_attr(
    all(feature = "valgrind", target_arch = "x86_64"),
    expect(unsafe_code, reason = "valgrind is talked to in instructions")
)]

use std::marker::PhantomData;

/// Whether there is somebody to be told.
pub(crate) const ON: bool = cfg!(all(feature = "valgrind", target_arch = "x86_64"));

/// Requests, by the numbers of valgrind's and memcheck's headers.
#[derive(Clone, Copy)]
enum Request {
    Made = 0x1301,
    Freed = 0x1302,
    Resized = 0x130b,
    Silence = 0x1801,
    NoAccess = 0x4d43_0000,
    Defined = 0x4d43_0002,
}

/// While it lives, nothing that this thread does is reported.
#[must_use]
pub(crate) struct Hush(PhantomData<*const ()>);

/// Lets the thread do what a program may not do.
#[inline(always)]
pub(crate) fn hush() -> Hush {
    ask(Request::Silence, [1, 0, 0, 0]);
    Hush(PhantomData)
}

impl Drop for Hush {
    #[inline(always)]
    fn drop(&mut self) {
        ask(Request::Silence, [usize::MAX, 0, 0, 0]);
    }
}

/// A block was made, whose contents are zero or not defined. Null is none.
#[inline(always)]
pub(crate) fn made(block: *mut u8, size: usize, zero: bool) {
    if ON && !block.is_null() {
        ask(Request::Made, [block.addr(), size, 0, usize::from(zero)]);
    }
}

/// A block is about to be freed.
#[inline(always)]
pub(crate) fn freed(block: *mut u8) {
    ask(Request::Freed, [block.addr(), 0, 0, 0]);
}

/// A block of `old` bytes is one of `size` bytes now, there or elsewhere. Null is none.
#[inline(always)]
pub(crate) fn resized(from: *mut u8, old: usize, to: *mut u8, size: usize) {
    if !ON || to.is_null() {
        return;
    }
    if from == to {
        ask(Request::Resized, [from.addr(), old, size, 0]);
    } else {
        freed(from);
        made(to, size, false);
        // Which of the bytes were defined before is lost with the copy: all count as such.
        ask(Request::Defined, [to.addr(), old.min(size), 0, 0]);
    }
}

/// Nobody has a block there.
#[inline(always)]
pub(crate) fn unused(start: *mut u8, size: usize) {
    ask(Request::NoAccess, [start.addr(), size, 0, 0]);
}

#[inline(always)]
fn ask(request: Request, arguments: [usize; 4]) {
    if ON {
        let [first, second, third, fourth] = arguments;
        tell(&[request as usize, first, second, third, fourth, 0]);
    }
}

/// The sequence, with the address of a request and its five arguments.
#[cfg(all(feature = "valgrind", target_arch = "x86_64"))]
#[inline(always)]
fn tell(request: &[usize; 6]) {
    // SAFETY: the rotations add up to none, and the exchange is one of a register with itself.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request.as_ptr(),
            inout("rdx") 0_usize => _,
            options(nostack),
        );
    }
}

#[cfg(not(all(feature = "valgrind", target_arch = "x86_64")))]
#[inline(always)]
fn tell(_: &[usize; 6]) {}
