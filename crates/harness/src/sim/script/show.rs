//! Scripts as text. What this writes, `parse` reads back unchanged.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use super::{Command, Line, Nodes, Script};
use crate::sim::disk::{CERTAIN, DiskFault, Dose};
use crate::sim::network::{LinkFault, NodeId};

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "at {} {}", Time(self.at), self.fault)
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Partition(groups) => write!(f, "partition {}", joined(groups)),
            Self::OneWay(from, to) => write!(f, "partition {} -> {}", list(from), list(to)),
            Self::Bridge(groups) => write!(f, "bridge {}", joined(groups)),
            Self::Ring => f.write_str("ring"),
            Self::Heal => f.write_str("heal"),
            Self::Link(from, to, fault) => write!(f, "link {from} -> {to} {fault}"),
            Self::Pause(node) => write!(f, "pause {node}"),
            Self::Resume(node) => write!(f, "resume {node}"),
            Self::Kill(node) => write!(f, "kill {node}"),
            Self::Crash(node) => write!(f, "crash {node}"),
            Self::CrashAfter(node, ios) => write!(f, "crash {node} after {ios} ios"),
            Self::Restart(node) => write!(f, "restart {node}"),
            Self::ClockRate(node, rate) => write!(f, "clock {node} rate {}", Decimal(*rate, 6)),
            Self::ClockJump(node, nanos) => {
                let sign = if *nanos < 0 { "-" } else { "" };
                let time = Time(Duration::from_nanos(nanos.unsigned_abs()));
                write!(f, "clock {node} jump {sign}{time}")
            }
            Self::Disk(node, fault) => write!(f, "disk {node} {fault}"),
            Self::Recover => f.write_str("recover"),
        }
    }
}

impl Display for Nodes {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Some(nodes) => f.write_str(&list(nodes)),
        }
    }
}

impl Display for LinkFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Drop(chance) => write!(f, "drop {}", Chance(*chance)),
            Self::Duplicate(chance) => write!(f, "duplicate {}", Chance(*chance)),
            Self::Reorder(chance) => write!(f, "reorder {}", Chance(*chance)),
            Self::Delay { min, max } => write!(f, "delay {}..{}", Time(*min), Time(*max)),
            Self::Heal => f.write_str("heal"),
        }
    }
}

impl Display for DiskFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::LoseSync(dose) => write!(f, "lose-sync {dose}"),
            Self::ReadError(dose) => write!(f, "read-error {dose}"),
            Self::WriteError(dose) => write!(f, "write-error {dose}"),
            Self::SyncError(dose) => write!(f, "sync-error {dose}"),
            Self::ShortRead(dose) => write!(f, "short-read {dose}"),
            Self::Full { room } => write!(f, "full after {}", size(*room)),
            Self::FlipBit { file: None } => f.write_str("flip-bit"),
            Self::FlipBit { file: Some(file) } => write!(f, "flip-bit {file}"),
            Self::Slow { min, max } => write!(f, "slow {}..{}", Time(*min), Time(*max)),
            Self::Heal => f.write_str("heal"),
        }
    }
}

impl Display for Dose {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Times(1) => f.write_str("once"),
            Self::Times(times) => write!(f, "{times} times"),
            Self::After(passed) => write!(f, "once after {passed}"),
            Self::Chance(chance) => Chance(*chance).fmt(f),
        }
    }
}

/// A time in the largest unit in which it is whole.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let nanos = self.0.as_nanos();
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
        let unit = units.iter().find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
        let (unit, name) = unit.unwrap_or(&(1, "ns"));
        write!(f, "{}{name}", nanos / unit)
    }
}

struct Chance(u32);

impl Display for Chance {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}%", Decimal(self.0, 4))
    }
}

/// A number with so many digits behind the point, without the zeros at its end.
struct Decimal(u32, u32);

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(number, digits) = *self;
        let unit = 10_u32.pow(digits);
        let fraction = format!("{:0width$}", number % unit, width = digits as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction}", number / unit)
    }
}

const _: () = assert!(CERTAIN == 100 * 10_u32.pow(4), "a percent has four digits behind its point");

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes > 0 && bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    }
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn joined(groups: &[Vec<NodeId>]) -> String {
    groups.iter().map(|group| list(group)).collect::<Vec<_>>().join(" | ")
}
