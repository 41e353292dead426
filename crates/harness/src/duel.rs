//! The duel: contenders measured side by side, so that the *ratio* can be trusted.
//!
//! A machine that others use changes its speed from second to second. Measuring one contender
//! after the other compares two machines. A duel measures in many short rounds: in each, every
//! contender does the same work once in one order and once in the reverse order, so that what the
//! machine does to one it does to the next, and a drift cancels. The ratio of one round compares
//! neighbours in time; the published ratio is the median over rounds, with a bootstrap interval.
//!
//! ```text
//!   episode 1 (fresh subjects)        episode 2 (fresh subjects)
//!   round 1    round 2    round 3     round 4    ...
//!   A B | B A  B A | A B  A B | B A   ...
//!     ratio      ratio      ratio       ratio      -> median, 95 % interval
//! ```
//!
//! Every few rounds, an *episode*, the subjects are made anew: two copies of one program differ by
//! a percent or so from where their memory happens to lie, and only fresh copies turn that error
//! into one that the interval knows about. The interval resamples whole episodes for that reason.
//!
//! # Isolation
//!
//! Contenders live in child processes. One that panics, hangs or crashes is out of its line, with
//! the reason in the record, and the others go on. By default the contenders of a line share a
//! process; where memory, background threads or files matter, each has its own.
//!
//! # Modules, bottom up
//!
//! | module       | holds                                                          |
//! |--------------|----------------------------------------------------------------|
//! | `subject`    | what a contender and a line are                                |
//! | `plan`       | how much to measure                                            |
//! | `statistics` | medians and bootstrap intervals                                |
//! | `machine`    | processors, load, memory, version of the compiler              |
//! | `pass`       | one pass: pinned threads, timed or paced                       |
//! | `host`       | where subjects live: child processes with time limits          |
//! | `rounds`     | interleaved rounds of a line, and who is out                   |
//! | `metric`     | from samples to rows and ratios                                |
//! | `progress`   | the bar                                                        |
//! | `command`    | the command line, and where results are kept                   |
//!
//! # What this module does not do
//!
//! It knows no contender: `benches` brings the lines. It draws nothing: `report` does.

mod command;
mod host;
mod machine;
mod metric;
mod pass;
mod plan;
mod progress;
mod rounds;
mod statistics;
mod subject;

pub use command::main;
pub use host::serve;
pub use machine::{BUSY_LOAD, LoadWatch, inspect};
pub use pass::{Latency, LatencyLog};
pub use plan::Plan;
pub use rounds::Outcome;
pub use statistics::{Estimate, median, median_of_episodes};
pub use subject::{Contender, Isolation, Line, Make, OwnFigures, Start, Subject};

/// Measures one line in this very process: for tests, and for callers that trust the contenders.
///
/// A contender that panics is out; one that hangs or crashes takes the caller with it.
pub fn measure(line: &Line, plan: &Plan) -> Outcome {
    rounds::measure(line, plan, &host::InThisProcess, &mut || {})
}
