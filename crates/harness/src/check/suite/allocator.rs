//! What a memory allocator must do.
//!
//! | property                   | the contract of `GlobalAlloc` demands                           |
//! |----------------------------|-----------------------------------------------------------------|
//! | [`matches_model`]          | blocks are aligned, disjoint, and keep what is written to them  |
//! | [`sizes_and_alignments`]   | the same for each small size, each alignment, and large blocks  |
//! | [`zeroed_is_zero`]         | zeroed memory is zero also where it was used before             |
//! | [`realloc_keeps_contents`] | growing and shrinking keep the common part, to and fro          |
//! | [`threads_pass_blocks`]    | a block may be freed by another thread than its maker           |
//! | [`memory_is_reused`]       | freed memory is handed out again instead of new memory          |
//!
//! A [`ShadowHeap`] says whether a block can be where the allocator put it *before* anything is
//! written there, so a defect is reported instead of corrupting the process that reports it.
//!
//! # What this suite does not do
//!
//! It takes the allocator by its methods and does not make it the one of the process; and it
//! measures no resident memory, which needs a process for each allocator.
//!
//! [`ShadowHeap`]: crate::model::ShadowHeap

mod block;
mod properties;
mod threads;

pub use properties::{
    matches_model, memory_is_reused, realloc_keeps_contents, sizes_and_alignments, zeroed_is_zero,
};
pub use threads::threads_pass_blocks;

use super::{Examination, Finding, Report};
use crate::contract::Allocator;

/// Makes a module of tests for an allocator: `allocator_suite!(name, Allocator)`.
#[macro_export]
macro_rules! allocator_suite {
    ($name:ident, $allocator:ty) => {
        mod $name {
            use super::*;

            $crate::suite_properties!(allocator, $allocator:
                matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
                threads_pass_blocks, memory_is_reused,
            );
        }
    };
}

/// Examines an allocator by every property.
pub fn examine<A: Allocator>() -> Report {
    let mut examination = Examination::new();
    matches_model::<A>(&mut examination);
    sizes_and_alignments::<A>(&mut examination);
    zeroed_is_zero::<A>(&mut examination);
    realloc_keeps_contents::<A>(&mut examination);
    threads_pass_blocks::<A>(&mut examination);
    memory_is_reused::<A>(&mut examination);
    examination.into_report()
}

/// The findings of [`examine`] alone.
pub fn findings<A: Allocator>() -> Vec<Finding> {
    examine::<A>().findings
}

#[cfg(test)]
mod tests;
