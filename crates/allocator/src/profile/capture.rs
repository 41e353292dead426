//! The call stack of a sample, without allocating: the unwinder that panics use walks the tables
//! that every program carries, so that nothing need be built with frame pointers.

#![expect(unsafe_code, reason = "the unwinder is called by its C interface")]

use std::ffi::{c_int, c_void};

/// The most frames of a stack; what called the outermost of them is cut off.
pub(super) const FRAMES: usize = 62;

/// A call stack, innermost first: addresses of call instructions, or bytes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) depth: usize,
    pub(super) frames: [usize; FRAMES],
}

impl Stack {
    pub(super) fn frames(&self) -> &[usize] {
        &self.frames[..self.depth]
    }
}

#[repr(C)]
struct Context {
    private: [u8; 0],
}

const CONTINUE: c_int = 0;
/// Any other reason ends the walk.
const END: c_int = 5;

unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: extern "C" fn(*mut Context, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut Context) -> usize;
}

extern "C" fn visit(context: *mut Context, stack: *mut c_void) -> c_int {
    // SAFETY: `stack` below passes its place.
    let stack = unsafe { &mut *stack.cast::<Stack>() };
    // SAFETY: the unwinder's own context.
    let address = unsafe { _Unwind_GetIP(context) };
    if address == 0 || stack.depth == FRAMES {
        return END;
    }
    // A return address may belong to the next line, or function; the byte before does not.
    stack.frames[stack.depth] = address - 1;
    stack.depth += 1;
    CONTINUE
}

/// The stack of the caller.
#[inline(always)]
pub(super) fn stack() -> Stack {
    let mut stack = Stack { depth: 0, frames: [0; FRAMES] };
    // SAFETY: the place lives as long as the call.
    unsafe { _Unwind_Backtrace(visit, (&raw mut stack).cast()) };
    stack
}
