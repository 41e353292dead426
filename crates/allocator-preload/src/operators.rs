//! The operators `new` and `delete` of C++, by their mangled names.
//!
//! Where there is no memory, `new` asks the program's handler again and again, as the standard has
//! it. `new(nothrow)` returns null at once: a handler ends its calls by an exception, which could
//! not be stopped here.

use std::ffi::c_void;

use super::{ALIGN, STRATA, allocate, free_as, release};

/// What `new` does where there is no memory: it throws, if the program knows how.
#[cold]
fn throw() -> *mut c_void {
    // SAFETY: the name is a C string; a program without a C++ runtime has no such function.
    let thrower = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_ZSt17__throw_bad_allocv".as_ptr()) };
    if thrower.is_null() {
        // SAFETY: ends the process.
        unsafe { libc::abort() }
    }
    // SAFETY: that is its type.
    let thrower: extern "C-unwind" fn() -> ! = unsafe { std::mem::transmute(thrower) };
    thrower()
}

/// Asks for a block until there is one, or the program has no handler that might make room.
#[cold]
#[inline(never)]
extern "C-unwind" fn new_slow(size: usize, align: usize) -> *mut c_void {
    loop {
        let block = allocate(size, align);
        if !block.is_null() {
            return block;
        }
        match new_handler() {
            Some(handler) => handler(),
            None => return throw(),
        }
    }
}

/// What the program wants to be called where there is no memory: see `std::set_new_handler`.
fn new_handler() -> Option<extern "C-unwind" fn()> {
    // SAFETY: the name is a C string; a program without a C++ runtime has no such function.
    let get = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_ZSt15get_new_handlerv".as_ptr()) };
    if get.is_null() {
        return None;
    }
    // SAFETY: that is its type.
    let get: extern "C-unwind" fn() -> Option<extern "C-unwind" fn()> =
        unsafe { std::mem::transmute(get) };
    get()
}

#[inline(always)]
fn new(size: usize, align: usize) -> *mut c_void {
    let at_hand = if align <= ALIGN { STRATA.at_hand(size) } else { None };
    match at_hand {
        Some(block) => block.as_ptr().cast(),
        None => new_slow(size, align),
    }
}

macro_rules! operators {
    ($($doc:literal $name:ident($($argument:ident: $type:ty),*) { $body:expr })+) => {$(
        #[doc = $doc]
        #[unsafe(no_mangle)]
        pub(crate) extern "C-unwind" fn $name($($argument: $type),*) -> *mut c_void {
            $body
        }
    )+};
}

macro_rules! deletes {
    ($($doc:literal $name:ident($($more:ident: $type:ty),*) $free:ident($($known:ident),*))+) => {$(
        #[doc = $doc]
        ///
        /// # Safety
        ///
        /// The block is null, or one of this family that is not free.
        // Of the ABI that may unwind for the same reason as `free`.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C-unwind" fn $name(block: *mut c_void, $($more: $type),*) {
            // SAFETY: the caller says so.
            unsafe { $free(block, $($known),*) };
        }
    )+};
}

/// Frees a block of which the size is known.
///
/// # Safety
///
/// As for [`free`].
#[inline(always)]
unsafe fn free_sized(block: *mut c_void, size: usize) {
    // SAFETY: the caller says so.
    unsafe { free_as(block, size, ALIGN) };
}

type Tag = *const c_void;

operators! {
    "`new`" _Znwm(size: usize) { new(size, ALIGN) }
    "`new[]`" _Znam(size: usize) { new(size, ALIGN) }
    "`new(nothrow)`" _ZnwmRKSt9nothrow_t(size: usize, _tag: Tag) { allocate(size, ALIGN) }
    "`new[](nothrow)`" _ZnamRKSt9nothrow_t(size: usize, _tag: Tag) { allocate(size, ALIGN) }
    "`new(align)`" _ZnwmSt11align_val_t(size: usize, align: usize) { new(size, align) }
    "`new[](align)`" _ZnamSt11align_val_t(size: usize, align: usize) { new(size, align) }
    "`new(align, nothrow)`" _ZnwmSt11align_val_tRKSt9nothrow_t(
        size: usize, align: usize, _tag: Tag
    ) { allocate(size, align) }
    "`new[](align, nothrow)`" _ZnamSt11align_val_tRKSt9nothrow_t(
        size: usize, align: usize, _tag: Tag
    ) { allocate(size, align) }
}

deletes! {
    "`delete`" _ZdlPv() release()
    "`delete[]`" _ZdaPv() release()
    "`delete(size)`" _ZdlPvm(size: usize) free_sized(size)
    "`delete[](size)`" _ZdaPvm(size: usize) free_sized(size)
    "`delete(nothrow)`" _ZdlPvRKSt9nothrow_t(_tag: Tag) release()
    "`delete[](nothrow)`" _ZdaPvRKSt9nothrow_t(_tag: Tag) release()
    "`delete(align)`" _ZdlPvSt11align_val_t(_align: usize) release()
    "`delete[](align)`" _ZdaPvSt11align_val_t(_align: usize) release()
    "`delete(size, align)`" _ZdlPvmSt11align_val_t(
        size: usize, align: usize
    ) free_as(size, align)
    "`delete[](size, align)`" _ZdaPvmSt11align_val_t(
        size: usize, align: usize
    ) free_as(size, align)
    "`delete(align, nothrow)`" _ZdlPvSt11align_val_tRKSt9nothrow_t(
        _align: usize, _tag: Tag
    ) release()
    "`delete[](align, nothrow)`" _ZdaPvSt11align_val_tRKSt9nothrow_t(
        _align: usize, _tag: Tag
    ) release()
}
