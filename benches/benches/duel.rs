//! `cargo bench --bench duel`: ours against every peer, in paired rounds.

use std::path::Path;
use std::process::ExitCode;

use benches::lines;
use harness::duel::{self, Line};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches lies in the root");
    let small = |line: Line| match line.build {
        lines::ALLOCATOR => line.served_by(env!("CARGO_BIN_EXE_allocator-host")),
        _ => line,
    };
    duel::main(lines::all().into_iter().map(small).collect(), root)
}
