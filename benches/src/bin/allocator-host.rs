//! Where the subjects of the allocator's lines live: a program that holds little else.
//!
//! What is compared there is the peak of a process's memory. A process of the whole comparison has
//! megabytes of its program resident before an allocator has made one block, the same for all, and
//! most of what small lines weigh.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::duel::serve(benches::lines::allocator())
}
