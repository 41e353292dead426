//! Measures the lines, shows each as soon as it is done, and keeps what was measured.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

use super::super::host::Hosting;
use super::super::machine::{BUSY_LOAD, LoadWatch, checkout, handover_ns, inspect};
use super::super::plan::Plan;
use super::super::progress::Progress;
use super::super::rounds::measure;
use super::super::subject::Line;
use super::Arguments;
use super::keep::Keeper;
use crate::record::{DisturbedLine, Record, SCHEMA};
use crate::report::baseline::{self, Outcome};
use crate::report::terminal::{self, Terminal};

/// Widest table that is worth reading.
const WIDTH_MAX: u16 = 140;

/// Measures `lines` and says how it went.
pub(super) fn run(
    arguments: &Arguments,
    lines: &[Line],
    keeper: &mut Keeper,
    hosting: &dyn Hosting,
) -> ExitCode {
    let plan = plan(arguments);
    // A baseline that cannot be read is found out before the long work, not after it.
    let baseline = arguments.baseline.as_ref().map(|name| keeper.baseline(name));
    let (commit, dirty) = checkout(keeper.root());
    let mut record = Record {
        schema: SCHEMA,
        commit,
        dirty,
        mode: plan.size.name().to_owned(),
        machine: inspect(plan.measures()),
        rows: Vec::new(),
        ratios: Vec::new(),
        failures: Vec::new(),
        disturbed: Vec::new(),
    };
    let mut progress = Progress::new(lines, &plan);
    for line in lines {
        progress.begin(line);
        let measured = measure_line(line, &plan, hosting, &progress, &record);
        progress.print(&terminal::render_lines(&measured, this_terminal()));
        if let Some(ns) = measures_handover(line, &plan).then(handover_ns).flatten() {
            record.machine.note_handover(ns);
        }
        record.rows.extend(measured.rows);
        record.ratios.extend(measured.ratios);
        record.failures.extend(measured.failures);
        record.disturbed.extend(measured.disturbed);
        keeper.keep_json(&record);
    }
    progress.finish();
    progress.print(&terminal::render_summary(&record, this_terminal()));
    keeper.keep_all(&record, arguments);
    let mut sound = verdict(&record, &plan, &progress);
    if let Some(before) = baseline {
        sound &= compare(before.as_ref(), &record, &progress);
    }
    for sentence in keeper.tell() {
        progress.print(&sentence);
    }
    if sound && keeper.kept_everything() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(arguments: &Arguments) -> Plan {
    let mut plan = match (arguments.bench, arguments.full) {
        (false, _) => Plan::SMOKE,
        (true, false) => Plan::QUICK,
        (true, true) => Plan::FULL,
    };
    if let Some(rounds) = arguments.rounds {
        plan = plan.with_rounds(rounds);
    }
    plan.limit = arguments.limit.map_or(plan.limit, Duration::from_secs);
    plan
}

/// Whether the ratios of `line` hang on how the processors lie to each other.
fn measures_handover(line: &Line, plan: &Plan) -> bool {
    line.threads > 1 && plan.measures()
}

/// The record of one line.
fn measure_line(
    line: &Line,
    plan: &Plan,
    hosting: &dyn Hosting,
    progress: &Progress,
    so_far: &Record,
) -> Record {
    let watch = LoadWatch::start();
    let measured = measure(line, plan, hosting, &mut || progress.step());
    let load = watch.foreign_load();
    let disturbed = (load > BUSY_LOAD && plan.measures()).then(|| DisturbedLine {
        build: line.build.to_owned(),
        workload: line.workload.to_owned(),
        threads: line.threads,
        load: (load * 100.0).round() / 100.0,
    });
    Record {
        rows: measured.rows,
        ratios: measured.ratios,
        failures: measured.failures,
        disturbed: disturbed.into_iter().collect(),
        ..so_far.clone()
    }
}

/// Whether every contender has figures and every figure can be trusted; says what is not so.
fn verdict(record: &Record, plan: &Plan, progress: &Progress) -> bool {
    let faults = record.failures.iter().filter(|failure| failure.fault).count();
    if faults > 0 {
        progress.tell(&format!("{faults} contenders failed on a line; see above"));
    }
    let doubtful = plan.measures() && (record.machine.busy || !record.disturbed.is_empty());
    if doubtful {
        progress.tell("others used the machine; run this again when it is quiet");
    }
    faults == 0 && !doubtful
}

/// Shows what became better or worse; whether nothing became worse.
fn compare(before: Result<&Record, &String>, record: &Record, progress: &Progress) -> bool {
    let comparison = match before {
        Ok(before) => baseline::compare(before, record).map_err(|error| error.to_string()),
        Err(message) => Err(message.clone()),
    };
    match comparison {
        Ok(comparison) => {
            progress.print(&comparison.render());
            comparison.outcome() == Outcome::Held
        }
        Err(message) => {
            progress.tell(&message);
            false
        }
    }
}

fn this_terminal() -> Terminal {
    if !stdout().is_terminal() {
        return Terminal::PLAIN;
    }
    let width = rustix::termios::tcgetwinsize(stdout()).map_or(80, |size| size.ws_col);
    let colours = std::env::var_os("NO_COLOR").is_none();
    Terminal { width: width.clamp(Terminal::PLAIN.width, WIDTH_MAX), colours }
}
