//! Serves the lines of the allocator to snmalloc.

#[path = "../adapters/snmalloc.rs"]
pub mod adapter;
#[path = "../adapters/allocators.rs"]
pub mod allocators;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator_lines::host::<adapter::Heap>()
}
