//! The machine that a record was measured on, and whether it was quiet.
//!
//! A load average looks back over a minute, so that after a build it blames the compiler for what
//! the comparison does now. Here the processors themselves are asked: how much of them was busy
//! over a stretch of time, less what this program used. More than [`BUSY_LOAD`] processors' worth
//! of other work makes figures doubtful; the record says so.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use env::fs::{FsExt, OsFs};
use rustix::param::clock_ticks_per_second;
use rustix::system::uname;

use super::pass::together;
use crate::record::Machine;

/// Processors' worth of other work above which figures are doubtful.
pub const BUSY_LOAD: f64 = 0.5;

/// How long the processors are watched before a run.
const WATCHED: Duration = Duration::from_millis(500);

/// How often a run waits for the machine to become quiet before it begins all the same.
const PATIENCE: usize = 20;

/// Hand-overs that are timed together.
const RALLY: u64 = 200;

/// How often they are.
const SERVES: usize = 41;

/// Looks at this machine, and waits up to ten seconds for it to be quiet where `patient`. What
/// cannot be found out is left empty.
pub fn inspect(patient: bool) -> Machine {
    let system = uname();
    let kernel =
        format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
    let load = quietest_load(if patient { PATIENCE } else { 1 });
    Machine {
        cpu: processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel,
        rustc: first_line("rustc", &["-V"]),
        load_before: (load * 100.0).round() / 100.0,
        busy: load > BUSY_LOAD,
        handover_ns: [0.0; 2],
    }
}

/// The commit of the checkout in `root` and whether it has changes; empty where there is no git.
pub(super) fn checkout(root: &Path) -> (String, bool) {
    let root = root.to_string_lossy();
    let commit = first_line("git", &["-C", &root, "rev-parse", "HEAD"]);
    let changes = first_line("git", &["-C", &root, "status", "--porcelain"]);
    (commit, !changes.is_empty())
}

/// The load of the first stretch that is quiet, or of the last one.
fn quietest_load(attempts: usize) -> f64 {
    let mut load = 0.0;
    for _ in 0..attempts {
        let watch = LoadWatch::start();
        MonotonicClock::new().sleep(WATCHED);
        load = watch.foreign_load();
        if load <= BUSY_LOAD {
            break;
        }
    }
    load
}

/// Nanoseconds that a cache line takes from one processor to the next; `None` where there is one
/// processor. The median of [`SERVES`] rallies of [`RALLY`] hand-overs, a millisecond or so in all.
pub(super) fn handover_ns() -> Option<f64> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let ball = AtomicU64::new(0);
    let clock = MonotonicClock::new();
    let mut rallies = together(2, |player, start| {
        start.wait();
        let player = player as u64;
        let mut ends = Vec::with_capacity(SERVES);
        for serve in 0..SERVES as u64 {
            for stroke in (serve * RALLY..(serve + 1) * RALLY).filter(|it| it % 2 == player) {
                // Relaxed: the number is all that is handed over.
                while ball.load(Ordering::Relaxed) != stroke {
                    std::hint::spin_loop();
                }
                ball.store(stroke + 1, Ordering::Relaxed);
            }
            ends.push(clock.now());
        }
        let lengths = ends.windows(2).map(|pair| pair[1].saturating_since(pair[0]));
        lengths.map(|length| length.as_secs_f64() * 1e9 / RALLY as f64).collect::<Vec<_>>()
    });
    let mut lengths = rallies.swap_remove(0);
    lengths.sort_by(f64::total_cmp);
    Some(lengths[lengths.len() / 2])
}

/// Watches what others do with the processors.
#[derive(Debug)]
pub struct LoadWatch {
    clock: MonotonicClock,
    busy_before: f64,
    own_before: f64,
}

impl LoadWatch {
    /// Begins to watch.
    pub fn start() -> Self {
        let clock = MonotonicClock::new();
        Self { clock, busy_before: busy_seconds(), own_before: own_seconds() }
    }

    /// Processors' worth of work that others did since the start: zero on a quiet machine. What
    /// this process and its ended children did does not count.
    pub fn foreign_load(&self) -> f64 {
        let wall = self.clock.now().as_nanos() as f64 / 1e9;
        let busy = busy_seconds() - self.busy_before;
        let own = own_seconds() - self.own_before;
        ((busy - own) / wall.max(0.01)).max(0.0)
    }
}

/// Seconds that the processors have been busy since the machine began, stolen time included.
fn busy_seconds() -> f64 {
    let text = proc_file("/proc/stat");
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks: Vec<f64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (ticks.iter().sum::<f64>() - idle) / clock_ticks_per_second() as f64
}

/// Processor seconds of this process and of its children that have ended.
fn own_seconds() -> f64 {
    let text = proc_file("/proc/self/stat");
    // The name, in parentheses, may hold anything; 11 fields stand between it and the four times.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let times = after_name.split_whitespace().skip(11).take(4);
    let ticks: f64 = times.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / clock_ticks_per_second() as f64
}

/// What this process weighs, in bytes; zero where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// What is resident and of no file: a program's own pages are not of what it holds.
    pub(super) anonymous: u64,
    pub(super) peak_rss: u64,
    /// Written to files since the process began.
    pub(super) written: u64,
}

pub(super) fn memory() -> Memory {
    let status = proc_file("/proc/self/status");
    let io = proc_file("/proc/self/io");
    Memory {
        anonymous: (number_after(&status, "RssAnon:") + number_after(&status, "RssShmem:")) * 1024,
        peak_rss: number_after(&status, "VmHWM:") * 1024,
        written: number_after(&io, "\nwrite_bytes:"),
    }
}

/// The number that follows `label`; zero where there is none.
fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split_once(label).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// Model name of the processor.
fn processor() -> String {
    let text = proc_file("/proc/cpuinfo");
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    name.map(|name| name.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}

fn proc_file(path: &str) -> String {
    OsFs.read_to_string(Path::new(path)).unwrap_or_default()
}

/// The first line that a command prints; empty where it cannot be run.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{handover_ns, memory, number_after};

    #[test]
    fn a_hand_over_takes_some_time() {
        let Some(ns) = handover_ns() else { return };
        // From one thread of a core to the other, to a processor that others use as well.
        assert!((1.0..1e7).contains(&ns), "{ns}");
    }

    #[test]
    fn numbers_are_read_after_their_labels() {
        let text = "Name:\tduel\nVmRSS:\t    1234 kB\nwrite_bytes: 77\ncancelled_write_bytes: 5\n";
        assert_eq!(number_after(text, "VmRSS:"), 1234);
        assert_eq!(number_after(text, "\nwrite_bytes:"), 77);
        assert_eq!(number_after(text, "VmHWM:"), 0);
    }

    #[test]
    fn this_process_weighs_something() {
        let before = memory();
        let block = vec![1_u8; 64 << 20];
        let after = memory();
        assert!(after.anonymous >= before.anonymous + (60 << 20), "{before:?} {after:?}");
        assert!(after.peak_rss >= after.anonymous, "{after:?}");
        assert_eq!(block.len(), 64 << 20);
    }
}
