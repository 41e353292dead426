//! What secure mode ends a process with: a message that names the block.

use std::alloc::Layout;
use std::ptr::NonNull;

pub(super) use crate::abort::{die, foreign};

/// The block was freed before, and something else is done with it now.
#[cold]
pub(super) fn freed_before(block: NonNull<u8>, verb: &str) -> ! {
    if verb == "freed" {
        die(format_args!("the block at {block:p} is freed twice"))
    }
    die(format_args!("the block at {block:p} is {verb} after it was freed"))
}

/// The address lies inside a block.
#[cold]
pub(super) fn inside(at: NonNull<u8>, block: NonNull<u8>, size: usize, verb: &str) -> ! {
    die(format_args!("{at:p} is {verb}, but lies inside the block at {block:p} of {size} bytes"))
}

/// The block is not what the caller believes.
#[cold]
pub(super) fn mismatch(
    block: NonNull<u8>,
    (size, align): (usize, usize),
    wrong: Layout,
    verb: &str,
) -> ! {
    let (wrong_size, wrong_align) = (wrong.size(), wrong.align());
    die(format_args!(
        "the block at {block:p} of {size} bytes (aligned to {align}) is {verb} as one of \
         {wrong_size} bytes (aligned to {wrong_align})"
    ))
}

/// What lies behind the block is no longer what it was.
#[cold]
pub(super) fn overrun(block: NonNull<u8>, size: usize) -> ! {
    die(format_args!("the block at {block:p} of {size} bytes was written to beyond its end"))
}

/// What lies before the block is no longer what it was.
#[cold]
pub(super) fn underrun(block: NonNull<u8>, size: usize) -> ! {
    die(format_args!("the block at {block:p} of {size} bytes was written to before its start"))
}

/// A block that is not out reads as something else than zero.
#[cold]
pub(super) fn written_while_free(block: NonNull<u8>) -> ! {
    die(format_args!(
        "the block at {block:p} was written to while it was free, or from a block beside it"
    ))
}
