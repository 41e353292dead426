//! `cargo bench --bench duel`: ours against every peer, in paired rounds.

use std::path::Path;
use std::process::ExitCode;

use benches::lines;
use harness::duel;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches lies in the root");
    duel::main(lines::all(), root)
}
