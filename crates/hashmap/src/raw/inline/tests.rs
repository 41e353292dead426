//! Tests of the kernel that need a hand in it: every execution of a few operations, and mistakes.
//!
//! | module    | asks                                                                      |
//! |-----------|---------------------------------------------------------------------------|
//! | `kernels` | do the orderings of one bin suffice? (under loom: all executions)         |
//! | `planted` | is each mistake noticed, by one thread, by a schedule, or by an ordering? |
//!
//! What a suspended writer stops is in `edit/tests.rs`; models and histories are tests of the map.

mod kernels;
mod planted;
