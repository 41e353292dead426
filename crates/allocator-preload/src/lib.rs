//! The allocator as a shared library that any Linux program can run under.
//!
//! ```text
//! cargo build --release -p allocator-preload
//! LD_PRELOAD=target/release/liballocator_preload.so python3 ...
//! ```
//!
//! The whole family of `malloc` and the operators of C++. Blocks are aligned to 16 bytes, those of
//! 8 bytes and less too. What cannot be had is null with `ENOMEM`; `new` throws `std::bad_alloc`
//! where the program has a C++ runtime.
//!
//! # What this crate does not do
//!
//! Programs that bring a `malloc` of their own, as `rustc` does, keep it.

#![expect(unsafe_code, reason = "these are the functions of C")]

mod operators;

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use allocator::Strata;

static STRATA: Strata = Strata::new();

/// What C promises of every block.
const ALIGN: usize = 16;

/// A layout, or `None` where a size is beyond all addresses or an alignment no power of two.
///
/// Secure mode is told of blocks of no bytes, since it lets nobody access them.
#[inline(always)]
fn layout(size: usize, align: usize) -> Option<Layout> {
    let least = usize::from(align > ALIGN || cfg!(not(feature = "secure")));
    Layout::from_size_align(size.max(least), align.max(ALIGN)).ok()
}

#[cold]
#[inline(never)]
fn fail(error: c_int) -> *mut c_void {
    // SAFETY: always sound.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it is the place of this thread's own number.
    unsafe { *place = error };
    ptr::null_mut()
}

fn allocate(size: usize, align: usize) -> *mut c_void {
    let Some(layout) = layout(size, align) else { return fail(libc::ENOMEM) };
    // SAFETY: the size is above zero.
    let block = unsafe { STRATA.alloc(layout) };
    if block.is_null() { fail(libc::ENOMEM) } else { block.cast() }
}

/// Bytes of a block that may be used.
///
/// # Safety
///
/// It is a block of this allocator.
unsafe fn room(block: *mut c_void) -> usize {
    // SAFETY: the caller says so.
    NonNull::new(block.cast()).map_or(0, |block| unsafe { STRATA.usable_size(block) })
}

/// What `malloc` does where no block lies at hand. Of the ABI of its callers, and called last by
/// them: so they save no register.
#[cold]
#[inline(never)]
extern "C" fn malloc_slow(size: usize) -> *mut c_void {
    allocate(size, ALIGN)
}

/// See `malloc(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    match STRATA.at_hand(size) {
        Some(block) => block.as_ptr().cast(),
        None => malloc_slow(size),
    }
}

/// Frees a block. What this library exports it does not call itself: a name leads to the first
/// library that has it, which is another one where this is loaded by hand.
///
/// # Safety
///
/// The block is null, or one of this family that is not free.
#[inline(always)]
unsafe fn release(block: *mut c_void) {
    if let Some(block) = NonNull::new(block.cast()) {
        // SAFETY: the caller says so.
        unsafe { STRATA.free(block) };
    }
}

/// See `free(3)`.
///
/// # Safety
///
/// The block is null, or one of this family that is not free.
// Of the ABI that may unwind, although nothing here does: else every call in it would be guarded,
// and none could be its last instruction.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn free(block: *mut c_void) {
    // SAFETY: the caller says so.
    unsafe { release(block) };
}

/// Frees a block that was asked for with this layout; without one, it is freed all the same.
///
/// # Safety
///
/// As for [`free`].
#[inline(always)]
unsafe fn free_as(block: *mut c_void, size: usize, align: usize) {
    // Without secure mode nobody compares the layout.
    let layout = if cfg!(feature = "secure") { layout(size, align) } else { None };
    match layout {
        // SAFETY: the caller says so.
        Some(layout) if !block.is_null() => unsafe { STRATA.dealloc(block.cast(), layout) },
        // SAFETY: as above.
        _ => unsafe { release(block) },
    }
}

/// As [`malloc_slow`].
#[cold]
#[inline(never)]
extern "C" fn calloc_slow(count: usize, size: usize) -> *mut c_void {
    let layout = count.checked_mul(size).and_then(|size| layout(size, ALIGN));
    let Some(layout) = layout else { return fail(libc::ENOMEM) };
    // SAFETY: the size is above zero.
    let block = unsafe { STRATA.alloc_zeroed(layout) };
    if block.is_null() { fail(libc::ENOMEM) } else { block.cast() }
}

/// See `calloc(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else { return calloc_slow(count, size) };
    let Some(block) = STRATA.at_hand(bytes) else { return calloc_slow(count, size) };
    // SAFETY: the block is that long.
    unsafe { block.write_bytes(0, bytes) };
    block.as_ptr().cast()
}

/// Changes the size of a block. A size of zero frees it, as in glibc.
///
/// # Safety
///
/// As for [`free`].
#[inline(always)]
unsafe fn resize(block: *mut c_void, size: usize) -> *mut c_void {
    let Some(start) = NonNull::new(block.cast()) else { return allocate(size, ALIGN) };
    if size == 0 {
        // SAFETY: the caller says so.
        unsafe { release(block) };
        return ptr::null_mut();
    }
    if layout(size, ALIGN).is_none() {
        return fail(libc::ENOMEM);
    }
    // SAFETY: the caller says so, and the size is a sound one above zero.
    let new = unsafe { STRATA.resize(start, ALIGN, size) };
    if new.is_null() { fail(libc::ENOMEM) } else { new.cast() }
}

/// See `realloc(3)`. A size of zero frees the block, as glibc does.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller says so.
    unsafe { resize(block, size) }
}

/// See `reallocarray(3)`.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller says so.
        Some(size) => unsafe { resize(block, size) },
        None => fail(libc::ENOMEM),
    }
}

/// A block whose alignment a caller chose.
fn allocate_aligned(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { allocate(size, align) } else { fail(libc::EINVAL) }
}

/// See `memalign(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    allocate_aligned(align, size)
}

/// See `aligned_alloc(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    allocate_aligned(align, size)
}

/// See `posix_memalign(3)`.
///
/// # Safety
///
/// `place` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    place: *mut *mut c_void,
    align: usize,
    size: usize,
) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    let Some(layout) = layout(size, align) else { return libc::ENOMEM };
    // SAFETY: the size is above zero.
    let block = unsafe { STRATA.alloc(layout) };
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller says so.
    unsafe { place.write(block.cast()) };
    0
}

/// Size of a page.
const PAGE: usize = 4096;

/// See `valloc(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    allocate(size, PAGE)
}

/// See `pvalloc(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.checked_next_multiple_of(PAGE) {
        Some(size) => allocate(size, PAGE),
        None => fail(libc::ENOMEM),
    }
}

/// See `malloc_usable_size(3)`.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller says so.
    unsafe { room(block) }
}

/// `free` of C23, with the size that was asked for.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, size: usize) {
    // SAFETY: the caller says so.
    unsafe { free_as(block, size, ALIGN) };
}

/// `free` of C23, with the size and the alignment that were asked for.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, align: usize, size: usize) {
    // SAFETY: the caller says so.
    unsafe { free_as(block, size, align) };
}

/// `free` of old.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn cfree(block: *mut c_void) {
    // SAFETY: the caller says so.
    unsafe { release(block) };
}
