//! Text to scripts: one function for each rule of the grammar in `script`'s header.

use std::str::FromStr;
use std::time::Duration;

use super::{Command, Line, Nodes, Script};
use crate::sim::disk::{CERTAIN, DiskFault, Dose};
use crate::sim::network::{LinkFault, NodeId};
use crate::sim::time::TRUE_RATE;

/// A line that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, but found {found}")]
pub struct ScriptError {
    /// Which line, from 1.
    pub line: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// What stands there, in backticks, or that nothing does.
    pub found: String,
}

type Result<T> = std::result::Result<T, ScriptError>;

const NODE: &str = "a node, such as 2";
const TIME: &str = "a time with its unit, such as 120ms";
const TIMES: &str = "two times, such as 1ms..20ms";
const CHANCE: &str = "a chance of at most 100%, such as 2.5%";
const DOSE: &str = "`once`, `once after 7`, `3 times` or a chance such as 2.5%";
const RATE: &str = "a rate between 0 and 1000, such as 1.05";
const SIZE: &str = "a size with its unit, such as 64KiB";
const COUNT: &str = "a whole number";
const FAULT: &str = "a fault: partition, bridge, ring, heal, link, pause, resume, kill, crash, \
                     restart, clock, disk or recover";
const LINK_FAULT: &str = "drop, duplicate, reorder, delay or heal";
const DISK_FAULT: &str = "lose-sync, read-error, write-error, sync-error, short-read, full, \
                          flip-bit, slow or heal";

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = Words { rest: line.split_whitespace().collect(), line: number + 1 };
            if !words.rest.is_empty() {
                lines.push(parse_line(&mut words)?);
            }
        }
        Ok(Self { lines })
    }
}

/// What is left of a line.
struct Words<'a> {
    rest: Vec<&'a str>,
    line: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.first().copied()
    }

    /// The next word, if it is this one.
    fn takes(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.rest.remove(0);
        }
        found
    }

    fn expect(&mut self, word: &str, expected: &'static str) -> Result<()> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// The next word, as `parse` understands it.
    fn next<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T> {
        match self.peek().and_then(parse) {
            Some(value) => {
                self.rest.remove(0);
                Ok(value)
            }
            None => Err(self.unexpected(expected)),
        }
    }

    fn unexpected(&self, expected: &'static str) -> ScriptError {
        let found = self.peek().map(|word| format!("`{word}`"));
        let found = found.unwrap_or_else(|| "the end of the line".to_owned());
        ScriptError { line: self.line, expected, found }
    }
}

fn parse_line(words: &mut Words<'_>) -> Result<Line> {
    let at = if words.takes("at") { words.next(TIME, time)? } else { Duration::ZERO };
    let fault = command(words)?;
    match words.peek() {
        None => Ok(Line { at, fault }),
        Some(_) => Err(words.unexpected("the end of the line")),
    }
}

fn command(words: &mut Words<'_>) -> Result<Command> {
    let name = words.next(FAULT, Some)?;
    Ok(match name {
        "partition" => partition(words)?,
        "bridge" => bridge(words)?,
        "ring" => Command::Ring,
        "heal" => Command::Heal,
        "link" => link(words)?,
        "pause" => Command::Pause(words.next(NODE, node)?),
        "resume" => Command::Resume(words.next(NODE, node)?),
        "kill" => Command::Kill(words.next(NODE, node)?),
        "crash" => crash(words)?,
        "restart" => Command::Restart(words.next(NODE, node)?),
        "clock" => clock(words)?,
        "disk" => disk(words)?,
        "recover" => Command::Recover,
        _ => {
            words.rest.insert(0, name);
            return Err(words.unexpected(FAULT));
        }
    })
}

fn partition(words: &mut Words<'_>) -> Result<Command> {
    let first = nodes(words)?;
    if words.takes("->") {
        return Ok(Command::OneWay(first, nodes(words)?));
    }
    let mut groups = vec![first];
    while words.takes("|") {
        groups.push(nodes(words)?);
    }
    Ok(Command::Partition(groups))
}

fn bridge(words: &mut Words<'_>) -> Result<Command> {
    const BAR: &str = "`|` between the two sides and the bridge";
    let left = nodes(words)?;
    words.expect("|", BAR)?;
    let middle = nodes(words)?;
    words.expect("|", BAR)?;
    Ok(Command::Bridge([left, middle, nodes(words)?]))
}

fn link(words: &mut Words<'_>) -> Result<Command> {
    let from = node_set(words)?;
    words.expect("->", "`->` and where the links lead")?;
    let to = node_set(words)?;
    let fault = match words.peek() {
        Some("drop") => chance_of(words, LinkFault::Drop)?,
        Some("duplicate") => chance_of(words, LinkFault::Duplicate)?,
        Some("reorder") => chance_of(words, LinkFault::Reorder)?,
        Some("delay") => {
            words.rest.remove(0);
            let (min, max) = words.next(TIMES, times)?;
            LinkFault::Delay { min, max }
        }
        Some("heal") => {
            words.rest.remove(0);
            LinkFault::Heal
        }
        _ => return Err(words.unexpected(LINK_FAULT)),
    };
    Ok(Command::Link(from, to, fault))
}

fn chance_of(words: &mut Words<'_>, fault: fn(u32) -> LinkFault) -> Result<LinkFault> {
    words.rest.remove(0);
    words.next(CHANCE, chance).map(fault)
}

fn crash(words: &mut Words<'_>) -> Result<Command> {
    let node = words.next(NODE, node)?;
    if !words.takes("after") {
        return Ok(Command::Crash(node));
    }
    let ios = words.next(COUNT, count)?;
    words.expect("ios", "`ios`")?;
    Ok(Command::CrashAfter(node, ios))
}

fn clock(words: &mut Words<'_>) -> Result<Command> {
    let node = words.next(NODE, node)?;
    if words.takes("rate") {
        return Ok(Command::ClockRate(node, words.next(RATE, rate)?));
    }
    words.expect("jump", "rate or jump")?;
    Ok(Command::ClockJump(node, words.next(TIME, signed_time)?))
}

fn disk(words: &mut Words<'_>) -> Result<Command> {
    let node = words.next(NODE, node)?;
    let name = words.peek().unwrap_or_default();
    let known = ["lose-sync", "read-error", "write-error", "sync-error", "short-read", "full"];
    if !known.contains(&name) && !["flip-bit", "slow", "heal"].contains(&name) {
        return Err(words.unexpected(DISK_FAULT));
    }
    words.rest.remove(0);
    let fault = match name {
        "lose-sync" => DiskFault::LoseSync(dose(words)?),
        "read-error" => DiskFault::ReadError(dose(words)?),
        "write-error" => DiskFault::WriteError(dose(words)?),
        "sync-error" => DiskFault::SyncError(dose(words)?),
        "short-read" => DiskFault::ShortRead(dose(words)?),
        "full" => {
            words.expect("after", "`after` and a size")?;
            DiskFault::Full { room: words.next(SIZE, size)? }
        }
        "flip-bit" => DiskFault::FlipBit {
            file: words.next("a part of a path", Some).ok().map(str::to_owned),
        },
        "slow" => {
            let (min, max) = words.next(TIMES, times)?;
            DiskFault::Slow { min, max }
        }
        _ => DiskFault::Heal,
    };
    Ok(Command::Disk(node, fault))
}

fn dose(words: &mut Words<'_>) -> Result<Dose> {
    if words.takes("once") {
        if words.takes("after") {
            return Ok(Dose::After(words.next(DOSE, |word| word.parse().ok())?));
        }
        return Ok(Dose::Times(1));
    }
    if let Some(chance) = words.peek().and_then(chance) {
        words.rest.remove(0);
        return Ok(Dose::Chance(chance));
    }
    let times = words.next(DOSE, |word| word.parse().ok())?;
    words.expect("times", DOSE)?;
    Ok(Dose::Times(times))
}

/// At least one node.
fn nodes(words: &mut Words<'_>) -> Result<Vec<NodeId>> {
    let mut nodes = vec![words.next(NODE, node)?];
    while let Some(next) = words.peek().and_then(node) {
        words.rest.remove(0);
        nodes.push(next);
    }
    Ok(nodes)
}

fn node_set(words: &mut Words<'_>) -> Result<Nodes> {
    if words.takes("*") { Ok(Nodes::All) } else { nodes(words).map(Nodes::Some) }
}

fn node(word: &str) -> Option<NodeId> {
    word.parse().ok().filter(|&node| node > 0).map(NodeId)
}

fn count(word: &str) -> Option<u64> {
    word.parse().ok()
}

fn time(word: &str) -> Option<Duration> {
    let (number, unit) = split_unit(word)?;
    let nanos: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    Some(Duration::from_nanos(number.checked_mul(nanos)?))
}

fn signed_time(word: &str) -> Option<i64> {
    let negative = word.starts_with('-');
    let nanos = i64::try_from(time(word.trim_start_matches('-'))?.as_nanos()).ok()?;
    Some(if negative { -nanos } else { nanos })
}

fn times(word: &str) -> Option<(Duration, Duration)> {
    let (min, max) = word.split_once("..")?;
    let times = (time(min)?, time(max)?);
    (times.0 <= times.1).then_some(times)
}

fn size(word: &str) -> Option<u64> {
    let (number, unit) = split_unit(word)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn split_unit(word: &str) -> Option<(u64, &str)> {
    let digits = word.find(|character: char| !character.is_ascii_digit())?;
    Some((word[..digits].parse().ok()?, &word[digits..]))
}

fn chance(word: &str) -> Option<u32> {
    decimal(word.strip_suffix('%')?, 4).filter(|&chance| chance <= CERTAIN)
}

fn rate(word: &str) -> Option<u32> {
    decimal(word, 6).filter(|&rate| rate > 0 && rate <= 1_000 * TRUE_RATE)
}

/// A number times `10^digits`, with at most so many digits behind its point.
fn decimal(word: &str, digits: u32) -> Option<u32> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    if fraction.len() > digits as usize || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<width$}", width = digits as usize);
    let whole = whole.parse::<u32>().ok()?.checked_mul(10_u32.pow(digits))?;
    whole.checked_add(fraction.parse().ok()?)
}
