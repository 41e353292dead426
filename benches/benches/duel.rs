//! `cargo bench --bench duel`: ours against every peer, in paired rounds.

use std::path::Path;
use std::process::ExitCode;

use benches::lines;
use harness::duel;

/// Contenders of the allocator's lines, and the programs that serve these to them.
const HOSTS: &[(&str, &str)] = &[
    ("allocator", env!("CARGO_BIN_EXE_host-allocator")),
    ("glibc", env!("CARGO_BIN_EXE_host-glibc")),
    ("jemalloc", env!("CARGO_BIN_EXE_host-jemalloc")),
    ("mimalloc", env!("CARGO_BIN_EXE_host-mimalloc")),
    ("mimalloc-nothp", env!("CARGO_BIN_EXE_host-mimalloc-nothp")),
    ("mimalloc-v2", env!("CARGO_BIN_EXE_host-mimalloc-v2")),
    ("rpmalloc", env!("CARGO_BIN_EXE_host-rpmalloc")),
    ("rusty_alloc", env!("CARGO_BIN_EXE_host-rusty-alloc")),
    #[cfg(feature = "snmalloc")]
    ("snmalloc", env!("CARGO_BIN_EXE_host-snmalloc")),
    #[cfg(feature = "tcmalloc")]
    ("tcmalloc", env!("CARGO_BIN_EXE_host-tcmalloc")),
    ("yours", env!("CARGO_BIN_EXE_host-yours")),
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches lies in the root");
    let mut lines = lines::all();
    for line in lines.iter_mut().filter(|it| it.build == lines::ALLOCATOR) {
        let is_served = |name| HOSTS.iter().any(|(contender, _)| *contender == name);
        let all = line.contenders.iter().all(|it| is_served(it.name));
        assert!(all, "a contender of {} has no program of its own", line.workload);
        line.programs = HOSTS.to_vec();
    }
    duel::main(lines, root)
}
