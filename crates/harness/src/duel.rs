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
//! # Modules
//!
//! | module       | holds                                                          |
//! |--------------|----------------------------------------------------------------|
//! | `subject`    | what a contender is: a name and a way to make a subject        |
//! | `rounds`     | timed, pinned rounds in interleaved order                      |
//! | `statistics` | medians and bootstrap intervals                                |
//! | `machine`    | processors, load, version of the compiler                      |
//!
//! # What this module does not do
//!
//! It knows no contender and writes no file: `benches` brings the lines, `report` shows them.

mod machine;
mod rounds;
mod statistics;
mod subject;

pub use machine::{BUSY_LOAD, inspect};
pub use rounds::{Plan, Progress, measure};
pub use statistics::{Estimate, median, median_of_episodes};
pub use subject::{Contender, Line, Subject};
