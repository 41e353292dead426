//! Draws operations as bars over a common axis, one line each.
//!
//! ```text
//!   thread 0  Insert(7, 1) -> None           0..2      |---|
//!   thread 1  Get(7) -> None              *  3..5            |---|
//!   thread 2  Remove(7) ...                  4..             |---?
//! ```
//!
//! The axis is not to scale: each stamp that occurs gets one place, so that a long pause between
//! two operations takes no room. Where there are too many stamps for a line, neighbours share one.

use std::fmt::{Debug, Formatter, Result};

use super::Operation;

/// Widest axis, in characters.
const AXIS_WIDTH_MAX: usize = 48;

/// Characters between two neighbouring stamps, where there is room.
const STAMP_WIDTH: usize = 2;

/// Longest text of a call and its answer; longer ones are cut.
const CALL_WIDTH_MAX: usize = 60;

/// Draws `operations`, in the order given. `mark` gives a sign to the ones that matter.
pub(crate) fn draw<Op: Debug, Ret: Debug>(
    f: &mut Formatter<'_>,
    operations: &[&Operation<Op, Ret>],
    mark: impl Fn(usize) -> Option<char>,
) -> Result {
    let axis = Axis::new(operations);
    let calls: Vec<String> = operations.iter().map(|operation| call(operation)).collect();
    let call_width = calls.iter().map(|call| call.chars().count()).max().unwrap_or(0);
    let intervals: Vec<String> = operations.iter().map(|operation| interval(operation)).collect();
    let interval_width = intervals.iter().map(String::len).max().unwrap_or(0);
    for (index, operation) in operations.iter().enumerate() {
        writeln!(
            f,
            "  thread {:<2} {:<call_width$} {} {:<interval_width$}  {}",
            operation.thread,
            calls[index],
            mark(index).unwrap_or(' '),
            intervals[index],
            axis.bar(operation),
        )?;
    }
    Ok(())
}

fn call<Op: Debug, Ret: Debug>(operation: &Operation<Op, Ret>) -> String {
    let text = match &operation.response {
        Some(response) => format!("{:?} -> {:?}", operation.op, response.ret),
        None => format!("{:?} ...", operation.op),
    };
    if text.chars().count() <= CALL_WIDTH_MAX {
        return text;
    }
    let mut cut: String = text.chars().take(CALL_WIDTH_MAX - 3).collect();
    cut.push_str("...");
    cut
}

fn interval<Op, Ret>(operation: &Operation<Op, Ret>) -> String {
    match &operation.response {
        Some(response) => format!("{}..{}", operation.invoked, response.at),
        None => format!("{}..", operation.invoked),
    }
}

/// The stamps that occur, in order; a stamp's rank decides its column.
struct Axis {
    stamps: Vec<u64>,
}

impl Axis {
    fn new<Op, Ret>(operations: &[&Operation<Op, Ret>]) -> Self {
        let mut stamps: Vec<u64> = operations
            .iter()
            .flat_map(|operation| [operation.invoked, operation.returned()])
            .collect();
        stamps.sort_unstable();
        stamps.dedup();
        Self { stamps }
    }

    fn column(&self, stamp: u64) -> usize {
        let rank = self.stamps.partition_point(|&other| other < stamp);
        let last = self.stamps.len().saturating_sub(1).max(1);
        let width = (last * STAMP_WIDTH).min(AXIS_WIDTH_MAX);
        rank * width / last
    }

    fn bar<Op, Ret>(&self, operation: &Operation<Op, Ret>) -> String {
        let start = self.column(operation.invoked);
        let end = self.column(operation.returned()).max(start + 1);
        let close = if operation.response.is_some() { '|' } else { '?' };
        format!("{}|{}{close}", " ".repeat(start), "-".repeat(end - start - 1))
    }
}
