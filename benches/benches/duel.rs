//! `cargo bench --bench duel`: ours against every peer, in paired rounds.
//!
//! Run by `cargo test` it does everything once, in smoke size, and says so.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use std::process::ExitCode;

use benches::lines;
use clap::Parser;
use comfy_table::{Table, presets};
use harness::duel::{self, Line, Plan};
use harness::record::{FailedLine, Ratio, Row};

/// Measures ours against the crates that people would otherwise pick, in paired rounds.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Parser)]
struct Arguments {
    /// Builds to measure; all of them when none is named.
    builds: Vec<String>,
    /// Measure longer, for figures to publish.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Measure as long as a ratio needs to repeat; the default.
    #[arg(long)]
    quick: bool,
    /// Only workloads whose path contains this.
    #[arg(long, value_name = "PATTERN")]
    workload: Option<String>,
    /// Only these contenders, and ours.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    contender: Vec<String>,
    /// Only these numbers of threads.
    #[arg(long, value_name = "1,2", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Say what there is to measure, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Given by cargo when it runs benchmarks rather than tests.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let lines = match select(&arguments) {
        Ok(lines) => lines,
        Err(message) => {
            println!("{message}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        for line in &lines {
            let names: Vec<_> = line.contenders.iter().map(|contender| contender.name).collect();
            println!("{} {} x{}: {}", line.build, line.workload, line.threads, names.join(", "));
        }
        return ExitCode::SUCCESS;
    }
    run(&lines, plan(&arguments))
}

fn plan(arguments: &Arguments) -> Plan {
    match (arguments.bench, arguments.full) {
        (false, _) => Plan::SMOKE,
        (true, false) => Plan::QUICK,
        (true, true) => Plan::FULL,
    }
}

/// The lines that were asked for, or what is wrong with the question.
fn select(arguments: &Arguments) -> Result<Vec<Line>, String> {
    let mut lines = lines::all();
    let builds = lines::builds();
    if let Some(unknown) = arguments.builds.iter().find(|name| !builds.contains(&name.as_str())) {
        return Err(format!("no build is called {unknown:?}; there are: {}", builds.join(", ")));
    }
    let mut names: Vec<_> =
        lines.iter().flat_map(|line| &line.contenders).map(|contender| contender.name).collect();
    names.sort_unstable();
    names.dedup();
    if let Some(unknown) = arguments.contender.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("no contender is called {unknown:?}; there are: {}", names.join(", ")));
    }
    let mut workloads: Vec<_> = lines.iter().map(|line| line.workload).collect();
    workloads.sort_unstable();
    workloads.dedup();
    lines.retain(|line| {
        let build =
            arguments.builds.is_empty() || arguments.builds.iter().any(|it| it == line.build);
        let workload = arguments.workload.as_ref().is_none_or(|it| line.workload.contains(it));
        let threads = arguments.threads.is_empty() || arguments.threads.contains(&line.threads);
        build && workload && threads
    });
    if lines.is_empty() {
        return Err(format!("nothing matches; workloads are: {}", workloads.join(", ")));
    }
    if !arguments.contender.is_empty() {
        for line in &mut lines {
            let wanted = |name: &str| arguments.contender.iter().any(|it| it == name);
            line.contenders.retain(|contender| contender.ours || wanted(contender.name));
        }
    }
    Ok(lines)
}

/// Measures the lines and shows each as soon as it is done.
fn run(lines: &[Line], plan: Plan) -> ExitCode {
    let machine = duel::inspect();
    println!(
        "{}, {} processors, {}, load {:.2}",
        machine.cpu, machine.cores, machine.kernel, machine.load_before
    );
    if machine.busy {
        println!("BUSY: the load is above {}; the figures are doubtful", duel::BUSY_LOAD);
    }
    let mut faults = 0;
    for line in lines {
        let (rows, ratios, failures) = duel::measure(line, &plan, &mut |_, _, _| {});
        println!("\n{} {} x{}", line.build, line.workload, line.threads);
        println!("{}", table(&rows, &ratios));
        for failure in &failures {
            println!("{}: {}", failure.contender, failure.reason);
        }
        faults += failures.iter().filter(|failure: &&FailedLine| failure.fault).count();
    }
    if plan == Plan::SMOKE {
        println!("\nsmoke size: everything ran once, no figure means anything");
    }
    if faults > 0 {
        println!("{faults} contenders failed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A row a contender: its figures, and what ours is to it.
fn table(rows: &[Row], ratios: &[Ratio]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["contender", "version", "Mop/s", "CPU ns/op", "ours / it (95 %)"]);
    for row in rows.iter().filter(|row| row.metric == "throughput") {
        let cpu = rows.iter().find(|it| it.contender == row.contender && it.metric == "cpu_per_op");
        let ratio = ratios.iter().find(|it| it.peer == row.contender && it.metric == row.metric);
        table.add_row([
            row.contender.clone(),
            row.version.clone(),
            format!("{:.1}", row.median / 1e6),
            cpu.map(|cpu| format!("{:.1}", cpu.median)).unwrap_or_default(),
            ratio
                .map(|ratio| {
                    let best = if ratio.best_peer { "  best peer" } else { "" };
                    format!("{:.2} ({:.2} .. {:.2}){best}", ratio.ratio, ratio.lo, ratio.hi)
                })
                .unwrap_or_default(),
        ]);
    }
    table
}
