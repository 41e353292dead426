//! `maelstrom-node`: a node of the `lin-kv` workload on stdin and stdout; see [`kv::maelstrom`].
//!
//! # What this module does not do
//!
//! It only reads arguments.

use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kv::maelstrom::{Options, run};

/// A linearizable key-value node that speaks Maelstrom's protocol.
#[derive(Parser)]
#[command(name = "maelstrom-node", version)]
struct Arguments {
    /// Where the log is, so that the node survives kill -9; without it, in memory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Milliseconds; an election takes 10 to 20 ticks
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    tick_ms: u64,
    /// Answer reads without asking whether they are current, which is not linearizable
    #[arg(long)]
    stale_reads: bool,
}

fn main() -> ExitCode {
    let Arguments { dir, tick_ms, stale_reads } = Arguments::parse();
    let options = Options { dir, tick: Duration::from_millis(tick_ms), stale_reads };
    match run(BufReader::new(io::stdin()), io::stdout(), options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            // Where not even that can be shown there is nothing left to do.
            writeln!(io::stderr(), "maelstrom-node: {cause}").ok();
            ExitCode::FAILURE
        }
    }
}
