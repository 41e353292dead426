//! The learner's store: what `exercises/lsm` calls `Store`.
//!
//! It takes part after `cargo study bench` has judged it, and until it changes.

use std::path::Path;

use exercise_lsm::SOURCE;
use harness::gate;

/// The store, in the shape of the contract.
pub type Store = exercise_lsm::Judged;

/// Whether this very source was judged.
pub fn is_judged() -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    gate::is_open(&root, "lsm", SOURCE)
}
