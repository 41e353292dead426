//! Serves the lines of the allocator to mimalloc v3 without huge pages.

#[path = "../adapters/mimalloc_nothp.rs"]
pub mod adapter;
#[path = "../adapters/allocators.rs"]
pub mod allocators;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator_lines::host::<adapter::Heap>()
}
