//! Hands a source from elsewhere to an exercise that is built with the feature `mutant`.
//!
//! `cargo study verify` writes a solution with a planted bug to a file and names it in
//! `EXERCISE_SOURCE`. An included file has no inner documentation, so that is left out.

use std::env;
use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "a build script is no part of any build's world")]
fn main() {
    println!("cargo:rerun-if-env-changed=EXERCISE_SOURCE");
    let source = env::var("EXERCISE_SOURCE").unwrap_or_else(|_| "solution/exercise.rs".to_owned());
    println!("cargo:rerun-if-changed={source}");
    let text = std::fs::read_to_string(&source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let lines = text.lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
    let target = env::var("OUT_DIR").expect("cargo says where build scripts may write");
    let target = Path::new(&target).join("mutant.rs");
    std::fs::write(&target, lines.collect::<Vec<_>>().join("\n")).expect("that place is writable");
}
