//! The learner's limiter: what `exercises/rate-limiter` calls `Yours`.
//!
//! It takes part after `cargo study bench` has judged it, and until it changes.

use std::path::Path;

use exercise_rate_limiter::exercise::Yours;
use exercise_rate_limiter::{Judged, SOURCE};
use harness::gate;

/// The limiter, in the shape of the contract.
pub type Direct = Judged<Yours>;

/// Whether this very source was judged.
pub fn is_judged() -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    gate::is_open(&root, "rate-limiter", SOURCE)
}
