//! A heap profile: which call stacks allocated what, and hold how much of it now.
//!
//! ```text
//!   slab: allocations until the next sample --none left--> the block becomes a span of its own,
//!         (in the word that counts its blocks)             and its descriptor names its stack
//!                                                                  |
//!   free: a span is no business of the fast path ------------------'-> counted off
//! ```
//!
//! One in about [`rate`](crate::Options::profile_rate) bytes is sampled: the distance to the next
//! sample is drawn from the exponential distribution, so that every byte is as likely to be hit as
//! any other, and no pattern of the program can hide from it. A block of `s` bytes is hit with
//! probability `1 - exp(-s / rate)`, and counts for the inverse of that, which makes the sums
//! unbiased (as in tcmalloc and jemalloc).
//!
//! A free need not look anything up: a sampled block is a span, whatever its size, which takes the
//! slow path anyway. That costs a slice of addresses and a page of memory for each.
//!
//! # What this module does not do
//!
//! It does not sample in secure mode, where no thread has a heap. It does not demangle names.

#![expect(unsafe_code, reason = "the C library calls back when the process ends")]

mod capture;
mod numeric;
mod pprof;
mod report;
mod stacks;
mod symbols;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use self::report::Profile;
use self::stacks::{Stacks, Weight};
use crate::lock::Locked;
use crate::options::Options;
use crate::slab::Slab;

/// Mean distance between two samples, in bytes; zero while nothing is sampled.
static RATE: AtomicUsize = AtomicUsize::new(0);
static STACKS: Locked<Stacks> = Locked::new(Stacks::new());
static AT_EXIT: Locked<AtExit> = Locked::new(AtExit { path: [0; PATH_MAX], length: 0 });
static LEAKS: AtomicBool = AtomicBool::new(false);

/// Longest path of a file.
const PATH_MAX: usize = 512;

/// Where the profile goes when the process ends; empty for nowhere. A copy: the environment may
/// change.
struct AtExit {
    path: [u8; PATH_MAX],
    length: usize,
}

/// Begins to sample, before the first block is handed out, if the options say so.
pub(crate) fn start(options: &Options) {
    if options.profile.is_none() && !options.leaks {
        return;
    }
    if !STACKS.with(Stacks::start) {
        return;
    }
    let path = options.profile.unwrap_or("").as_bytes();
    AT_EXIT.with(|at_exit| {
        at_exit.length = path.len().min(PATH_MAX);
        at_exit.path[..at_exit.length].copy_from_slice(&path[..at_exit.length]);
    });
    LEAKS.store(options.leaks, Ordering::Relaxed); // Relaxed: read by this process's end.
    // Relaxed: set before any other heap is made.
    RATE.store(options.profile_rate, Ordering::Relaxed);
}

/// Sees to it that what was asked for is written when the process ends.
pub(crate) fn watch_exit() {
    if rate().is_some() {
        // SAFETY: the function lives for ever. Where there is no room for it, nothing is written.
        unsafe { libc::atexit(at_exit) };
    }
}

/// The mean distance between two samples; `None` while nothing is sampled.
pub(crate) fn rate() -> Option<usize> {
    let rate = RATE.load(Ordering::Relaxed); // Relaxed: see `start`.
    (rate > 0).then_some(rate)
}

/// Bytes until the next sample. `state` is the generator's, and changed.
pub(crate) fn distance(state: &mut u64) -> isize {
    let Some(rate) = rate() else { return isize::MAX };
    // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    // Above zero and at most one, so that the logarithm is finite.
    let uniform = ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "at most 37 times the rate")]
    let distance = (-numeric::ln(uniform) * rate as f64) as isize;
    distance
}

/// A block of `size` bytes is a sample; `slab` is the descriptor of its span.
#[inline(always)]
pub(crate) fn record(slab: &'static Slab, size: usize) {
    let Some(rate) = rate() else { return };
    let stack = capture::stack();
    let weight = Weight::of(size, rate);
    let number = STACKS.with(|stacks| stacks.add(&stack, weight));
    slab.set_sample(number, size);
}

/// The block of a span that may be a sample is freed.
#[inline(always)]
pub(crate) fn forget(slab: &'static Slab) {
    if slab.is_sample() {
        forget_sample(slab);
    }
}

#[cold]
#[inline(never)]
fn forget_sample(slab: &'static Slab) {
    if let (Some(rate), Some((stack, size))) = (rate(), slab.take_sample()) {
        STACKS.with(|stacks| stacks.remove(stack, Weight::of(size, rate)));
    }
}

/// Closes the lock for a `fork`.
pub(crate) fn close() {
    STACKS.close();
}

/// Opens it again.
pub(crate) fn open() {
    STACKS.open();
}

/// In the child of a `fork`: its end must not write over its parent's file.
pub(crate) fn forget_file() {
    LEAKS.store(false, Ordering::Relaxed); // Relaxed: the child has one thread.
    AT_EXIT.with(|at_exit| {
        if !at_exit.path[..at_exit.length].windows(2).any(|two| two == b"%p") {
            at_exit.length = 0;
        }
    });
}

/// Writes what was asked for: the profile, the leak report.
extern "C" fn at_exit() {
    let mut path = [0; PATH_MAX];
    let length = AT_EXIT.with(|at_exit| {
        path = at_exit.path;
        at_exit.length
    });
    let Some(profile) = Profile::take() else { return };
    if LEAKS.load(Ordering::Relaxed) {
        // Relaxed: see `start`.
        report::print(&profile.leaks());
    }
    if length > 0 {
        report::write(&profile, &path[..length]);
    }
}

#[cfg(test)]
mod tests;
