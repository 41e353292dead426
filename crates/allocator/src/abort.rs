//! The end of a process whose heap is not whole: a message that names the block, without
//! allocating.

#![expect(unsafe_code, reason = "the message is written and the process ended by system calls")]

use std::fmt::{self, Write};
use std::ptr::NonNull;

use crate::slab::Slab;

/// The block was freed before.
#[cold]
#[inline(never)]
pub(crate) fn double_free(block: NonNull<u8>) -> ! {
    die(format_args!("the block at {block:p} is freed twice"))
}

/// The address is none of a block of ours.
#[cold]
#[inline(never)]
pub(crate) fn foreign(block: NonNull<u8>, verb: &str) -> ! {
    die(format_args!("{block:p} is {verb}, but is no block of this allocator"))
}

/// What is known of a slab makes no sense: the program wrote to where no block lies.
#[cold]
#[inline(never)]
pub(crate) fn written_over(slab: &Slab) -> ! {
    die(format_args!("the allocator's own record of a slab, at {slab:p}, was written over"))
}

/// Says why and ends the process.
#[cold]
pub(crate) fn die(why: fmt::Arguments<'_>) -> ! {
    say(why);
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

/// Writes a line to standard error.
#[cold]
pub(crate) fn say(what: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 256], length: 0 };
    // A message that is too long is cut.
    let _cut = line.write_fmt(format_args!("strata: {what}"));
    line.bytes[line.length] = b'\n';
    // SAFETY: the bytes are ours.
    unsafe { libc::write(2, line.bytes.as_ptr().cast(), line.length + 1) };
}

struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - 1 - self.length;
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
