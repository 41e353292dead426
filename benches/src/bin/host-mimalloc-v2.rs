//! Serves the lines of the allocator to mimalloc v2.

#[path = "../adapters/mimalloc_v2.rs"]
pub mod adapter;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator_lines::host::<adapter::Heap>()
}
