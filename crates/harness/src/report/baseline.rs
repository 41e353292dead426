//! Compares a record with an earlier one: did ours lose ground against its peers?
//!
//! Absolute figures of two runs compare two states of a machine. Ratios to a peer that was
//! measured in the same rounds cancel that, so the comparison is of ratios: the *change* of a
//! line is its ratio now over its ratio then. It is believed when the two intervals are disjoint,
//! and it matters when it exceeds [`THRESHOLD`]; both must hold.
//!
//! ```text
//!   then     |---*---|                  then     |---*---|
//!   now   |---*---|      unchanged      now                 |--*--|   improved, if by 5 %
//! ```
//!
//! # What this module does not do
//!
//! It does not correct for the number of lines: with a hundred of them and no change at all, a
//! few intervals of 95 % are disjoint by chance, and the threshold is what keeps those quiet.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::figure::{self, clean};
use crate::record::{Ratio, Record, SCHEMA};

/// The least change that counts, as a part of the earlier ratio.
pub const THRESHOLD: f64 = 0.05;

/// Columns of the text.
const WIDTH: u16 = 80;

/// Why two records cannot be compared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// One of them has another format.
    #[error("{which} record has schema {found}, not {SCHEMA}; measure it again with this version")]
    Schema {
        /// `the baseline's` or `the new`.
        which: &'static str,
        /// The schema that it states.
        found: u32,
    },
}

/// Two records, line by line.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Every ratio of either record, in the order of the new one, then those that are gone.
    pub changes: Vec<Change>,
    /// Why the comparison may mislead: another machine, another mode, a load.
    pub warnings: Vec<String>,
}

/// What became of one ratio.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The ratio now; as it was, where it is gone.
    pub ratio: Ratio,
    /// The ratio then, if there was one.
    pub before: Option<Ratio>,
    /// What to make of it.
    pub verdict: Verdict,
}

/// What to make of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Worse: the intervals are disjoint and the change exceeds the threshold.
    Regressed,
    /// Only the baseline has it.
    Gone,
    /// Better, by the same two conditions.
    Improved,
    /// Only the new record has it.
    New,
    /// Neither.
    Unchanged,
}

/// What a whole comparison comes to; a caller makes its exit code of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No ratio regressed.
    Held,
    /// Some did.
    Regressed,
    /// The records have no ratio in common, so that nothing was compared.
    NothingInCommon,
}

/// What two ratios must share to be compared.
type Key<'a> = (&'a str, &'a str, usize, &'a str, &'a str, &'a str);

fn key(ratio: &Ratio) -> Key<'_> {
    let Ratio { build, workload, threads, metric, ours, peer, .. } = ratio;
    (build, workload, *threads, metric, ours, peer)
}

/// Compares a new record with a baseline.
pub fn compare(baseline: &Record, new: &Record) -> Result<Comparison, BaselineError> {
    for (which, record) in [("the baseline's", baseline), ("the new", new)] {
        if record.schema != SCHEMA {
            return Err(BaselineError::Schema { which, found: record.schema });
        }
    }
    let mut then: BTreeMap<_, _> = baseline.ratios.iter().map(|it| (key(it), it)).collect();
    let mut changes: Vec<_> =
        new.ratios.iter().map(|now| Change::new(now, then.remove(&key(now)))).collect();
    let gone = baseline.ratios.iter().filter(|it| then.contains_key(&key(it)));
    changes.extend(gone.map(|ratio| Change {
        ratio: ratio.clone(),
        before: Some(ratio.clone()),
        verdict: Verdict::Gone,
    }));
    Ok(Comparison { changes, warnings: warnings(baseline, new) })
}

impl Change {
    fn new(now: &Ratio, before: Option<&Ratio>) -> Self {
        let verdict = before.map_or(Verdict::New, |before| judge(before, now));
        Self { ratio: now.clone(), before: before.cloned(), verdict }
    }

    /// The ratio now over the ratio then, where there are both. Not finite if the latter is zero.
    pub fn change(&self) -> Option<f64> {
        let before = self.before.as_ref().filter(|_| self.verdict != Verdict::Gone)?;
        Some(self.ratio.ratio / before.ratio)
    }
}

/// Both conditions of the header. Products, not quotients, so that a ratio of zero is no trouble.
fn judge(before: &Ratio, now: &Ratio) -> Verdict {
    if now.hi < before.lo && now.ratio < before.ratio * (1.0 - THRESHOLD) {
        Verdict::Regressed
    } else if now.lo > before.hi && now.ratio > before.ratio * (1.0 + THRESHOLD) {
        Verdict::Improved
    } else {
        Verdict::Unchanged
    }
}

fn warnings(baseline: &Record, new: &Record) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut differ = |what: &str, then: &str, now: &str| {
        if then != now {
            warnings.push(format!("{what} differs: {then:?} then, {now:?} now"));
        }
    };
    let (then, now) = (&baseline.machine, &new.machine);
    differ("the processor", &then.cpu, &now.cpu);
    differ("the number of processors", &then.cores.to_string(), &now.cores.to_string());
    differ("the kernel", &then.kernel, &now.kernel);
    differ("the compiler", &then.rustc, &now.rustc);
    differ("the mode", &baseline.mode, &new.mode);
    if then.moved() || now.moved() || then.lies_differently(now) {
        let (then, now) = (figure::handover(then), figure::handover(now));
        warnings.push(format!("processors lay differently: hand-over {then} then, {now} now"));
    }
    for (which, record) in [("the baseline", baseline), ("the new record", new)] {
        if record.machine.busy {
            warnings.push(format!("{which} was measured on a busy machine"));
        }
        if !record.disturbed.is_empty() {
            let lines = figure::count(record.disturbed.len(), "line");
            warnings.push(format!("others used the machine during {lines} of {which}"));
        }
        if record.mode == "smoke" {
            warnings.push(format!("{which} is of smoke size: its figures mean nothing"));
        }
    }
    warnings
}

impl Comparison {
    /// How many ratios came to a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.changes.iter().filter(|change| change.verdict == verdict).count()
    }

    /// What it all comes to.
    pub fn outcome(&self) -> Outcome {
        let compared = [Verdict::Regressed, Verdict::Improved, Verdict::Unchanged];
        if self.count(Verdict::Regressed) > 0 {
            Outcome::Regressed
        } else if compared.iter().all(|&verdict| self.count(verdict) == 0) {
            Outcome::NothingInCommon
        } else {
            Outcome::Held
        }
    }

    /// The comparison as text of at most 80 columns; unchanged ratios are only counted.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        for warning in &self.warnings {
            say(&wrap(&format!("WARNING: {warning}")));
        }
        let mut told: Vec<_> =
            self.changes.iter().filter(|it| it.verdict != Verdict::Unchanged).collect();
        told.sort_by_key(|change| change.verdict);
        if !told.is_empty() {
            say(&table(&told));
        }
        let counts = [
            (Verdict::Regressed, "regressed"),
            (Verdict::Improved, "improved"),
            (Verdict::Unchanged, "unchanged"),
            (Verdict::New, "new"),
            (Verdict::Gone, "gone"),
        ];
        let counts = counts.map(|(verdict, word)| format!("{} {word}", self.count(verdict)));
        say(&format!("{}; a change counts from {} %", counts.join(", "), THRESHOLD * 100.0));
        if self.outcome() == Outcome::NothingInCommon {
            say("the two records have no ratio in common: nothing was compared");
        }
        text
    }
}

fn table(changes: &[&Change]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_width(WIDTH).force_no_tty();
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(["", "line", "ours / peer", "then", "now", "change"]);
    for change in changes {
        let Change { ratio, before, verdict } = change;
        let word = match verdict {
            Verdict::Regressed => "REGRESSED",
            Verdict::Gone => "gone",
            Verdict::Improved => "improved",
            Verdict::New => "new",
            Verdict::Unchanged => "unchanged",
        };
        let shown = |ratio: &Ratio| figure::short(ratio.ratio);
        let now = if *verdict == Verdict::Gone { String::new() } else { shown(ratio) };
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(word),
            Cell::new(clean(&format!("{} x{} {}", ratio.workload, ratio.threads, ratio.metric))),
            Cell::new(clean(&format!("{} / {}", ratio.ours, ratio.peer))),
            right(before.as_ref().map(shown).unwrap_or_default()),
            right(now),
            right(change.change().map(figure::short).unwrap_or_default()),
        ]);
    }
    table.trim_fmt()
}

/// Breaks a sentence into lines of the width.
fn wrap(text: &str) -> String {
    figure::wrap(text, usize::from(WIDTH), 0)
}

#[cfg(test)]
mod tests;
