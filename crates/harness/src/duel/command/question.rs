//! Which lines were asked for.

use std::io::{self, Write};

use super::super::subject::Line;
use super::Arguments;

/// What is wrong with the question, and what could have been asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misunderstood {
    #[error("no build is called {name:?}; there are: {}", .known.join(", "))]
    Build { name: String, known: Vec<&'static str> },
    #[error("no contender is called {name:?}; there are: {}", .known.join(", "))]
    Contender { name: String, known: Vec<&'static str> },
    #[error("no workload contains {pattern:?}; there are: {}", .known.join(", "))]
    Workload { pattern: String, known: Vec<&'static str> },
    #[error("no line has that number of threads; there are lines for: {known:?}")]
    Threads { known: Vec<usize> },
    #[error("{name:?} cannot name a record; use letters, digits, '-' and '_'")]
    RecordName { name: String },
}

/// The lines that were asked for, with the contenders that were asked for.
pub(super) fn select(
    arguments: &Arguments,
    mut lines: Vec<Line>,
) -> Result<Vec<Line>, Misunderstood> {
    for name in arguments.save.iter().chain(&arguments.baseline) {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if name.is_empty() || !name.chars().all(legal) {
            return Err(Misunderstood::RecordName { name: name.clone() });
        }
    }
    let contenders = lines.iter().flat_map(|line| &line.contenders);
    let contenders = unique(contenders.map(|contender| contender.name));
    let builds = unique(lines.iter().map(|line| line.build));
    if let Some(name) = unknown(&arguments.builds, &builds) {
        return Err(Misunderstood::Build { name, known: builds });
    }
    if let Some(name) = unknown(&arguments.contender, &contenders) {
        return Err(Misunderstood::Contender { name, known: contenders });
    }
    if !arguments.builds.is_empty() {
        lines.retain(|line| arguments.builds.iter().any(|build| build == line.build));
    }
    if let Some(pattern) = &arguments.workload {
        let known = unique(lines.iter().map(|line| line.workload));
        lines.retain(|line| line.workload.contains(pattern.as_str()));
        if lines.is_empty() {
            return Err(Misunderstood::Workload { pattern: pattern.clone(), known });
        }
    }
    if arguments.workload.is_none() && !arguments.full && !arguments.list {
        lines.retain(|line| !line.full_only || !arguments.bench);
    }
    if !arguments.threads.is_empty() {
        let known = unique(lines.iter().map(|line| line.threads));
        lines.retain(|line| arguments.threads.contains(&line.threads));
        if lines.is_empty() {
            return Err(Misunderstood::Threads { known });
        }
    }
    if !arguments.contender.is_empty() {
        for line in &mut lines {
            let wanted = |name: &str| arguments.contender.iter().any(|it| it == name);
            line.contenders.retain(|contender| contender.ours || wanted(contender.name));
        }
    }
    Ok(lines)
}

/// Writes a line for each line; an error where nobody reads them, or no further.
pub(super) fn list(lines: &[Line], out: &mut impl Write) -> io::Result<()> {
    for line in lines {
        let names: Vec<_> = line.contenders.iter().map(|contender| contender.name).collect();
        let full = if line.full_only { " (with --full)" } else { "" };
        let Line { build, workload, threads, .. } = line;
        writeln!(out, "{build} {workload} x{threads}{full}: {}", names.join(", "))?;
    }
    out.flush()
}

fn unknown(asked: &[String], known: &[&'static str]) -> Option<String> {
    asked.iter().find(|name| !known.contains(&name.as_str())).cloned()
}

fn unique<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
