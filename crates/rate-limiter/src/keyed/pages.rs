//! Asks the system for huge pages.
//!
//! A processor knows the places of some thousand pages by heart. In pages of four kilobytes that is
//! a few megabytes, less than the buckets of a million keys; in pages of two megabytes it is all.
#![cfg_attr(
    all(target_os = "linux", not(miri)),
    expect(unsafe_code, reason = "advice about memory is a system call without a safe form")
)]

use std::mem::MaybeUninit;

/// Memory below this has too few huge pages in it to ask for them.
const BYTES_MIN: usize = 4 << 20;

/// Asks for huge pages where `memory`, which nobody has touched yet, is large. The system may
/// refuse, and then nothing is different.
pub(super) fn ask_for_huge<T>(memory: &mut [MaybeUninit<T>]) {
    #[cfg(all(target_os = "linux", not(miri)))]
    if size_of_val(memory) >= BYTES_MIN {
        use rustix::mm::{Advice, madvise};

        /// The system's advice is about whole pages; a huge page holds whole ones of every size.
        const PAGE: usize = 2 << 20;
        let bytes = memory.as_mut_ptr_range();
        let start = bytes.start.cast::<u8>();
        let skipped = start.align_offset(PAGE);
        let whole = size_of_val(memory).saturating_sub(skipped) / PAGE * PAGE;
        // SAFETY: `skipped` is below `PAGE`, which is below the size of the memory.
        let first = unsafe { start.add(skipped) };
        // SAFETY: the advice changes how memory is backed, never what it holds, and the range is
        // within memory that is ours alone. A refusal changes nothing.
        let _ = unsafe { madvise(first.cast(), whole, Advice::LinuxHugepage) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _: (&mut [MaybeUninit<T>], usize) = (memory, BYTES_MIN);
}
