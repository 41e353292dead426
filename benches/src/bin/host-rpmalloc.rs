//! Serves the lines of the allocator to rpmalloc.

#[path = "../adapters/rpmalloc.rs"]
pub mod adapter;
#[path = "../adapters/allocators.rs"]
pub mod allocators;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator_lines::host::<adapter::Heap>()
}
