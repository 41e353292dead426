//! The machine that a record was measured on, and whether it was quiet.

use std::process::Command;

use rustix::system::{sysinfo, uname};

use crate::record::Machine;

/// Load average, over one minute before the run, above which figures are doubtful.
pub const BUSY_LOAD: f64 = 0.5;

/// Looks at this machine. What cannot be found out is left empty.
pub fn inspect() -> Machine {
    let system = uname();
    let kernel =
        format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
    // The kernel gives the load in parts of 2^16.
    let load_before = sysinfo().loads[0] as f64 / 65_536.0;
    Machine {
        cpu: processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel,
        rustc: first_line("rustc", &["-V"]),
        load_before: (load_before * 100.0).round() / 100.0,
        busy: load_before > BUSY_LOAD,
    }
}

/// Model name of the processor.
fn processor() -> String {
    let lines = all_lines("cat", &["/proc/cpuinfo"]);
    let name = lines.lines().find_map(|line| line.strip_prefix("model name"));
    name.map(|name| name.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}

/// What a command prints; empty where it cannot be run.
fn all_lines(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    all_lines(program, arguments).lines().next().unwrap_or_default().to_owned()
}
