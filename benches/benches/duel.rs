//! `cargo bench --bench duel`: ours against every peer, in paired rounds.

use std::path::Path;
use std::process::ExitCode;

use benches::lines;
use harness::duel;

fn main() -> ExitCode {
    duel::main(lines::all(), Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")))
}
