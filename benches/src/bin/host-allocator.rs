//! Serves the lines of the allocator to ours.

#[path = "../adapters/allocator.rs"]
pub mod adapter;
#[path = "../adapters/allocators.rs"]
pub mod allocators;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator_lines::host::<adapter::Heap>()
}
