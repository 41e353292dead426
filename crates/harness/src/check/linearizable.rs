//! Judges concurrent histories: is there one order of all calls that explains every answer?
//!
//! A history is *linearizable* (Herlihy and Wing, "Linearizability", TOPLAS 1990) when each
//! operation can be given one moment inside its interval such that performing the operations one
//! after another, in the order of these moments, gives exactly the recorded answers. Deciding it is
//! NP-complete in general and quick in practice, for a reason that shapes the algorithm: only
//! operations that overlap can be reordered, and few overlap at any one time.
//!
//! # Method
//!
//! 1. **Split by key.** Each key is a problem of its own (Horn and Kroening, "Faster
//!    linearizability checking via P-compositionality", FORTE 2015).
//! 2. **Walk over the returns** of one key in the order of time. A return *demands* that its
//!    operation has taken effect. Where it has not yet, some of the calls that are open at that
//!    moment must take effect now, the demanded one last; each choice is a branch. This is the
//!    search of Wing and Gong ("Testing and verifying concurrent objects", JPDC 1993) with the
//!    *just-in-time* rule of Lowe ("Testing for linearizability", CCPE 2017): nothing takes effect
//!    before a return forces it, which merges the many orders that nobody can tell apart.
//! 3. **Remember.** What a branch can still do depends on three things alone: which return comes
//!    next, which open calls have already taken effect, and the state. A node that was entered once
//!    is never entered again.
//!
//! ```text
//!   thread 0   |----- write 1 -----|            at A, `write 1` is demanded: write 1
//!   thread 1        |-- read: 1 --|             at B, `read: 1` is demanded: already there, or
//!   thread 2     |--- write 2 -----------|            write 1 -> read, write 2 -> write 1 -> read
//!                                 B   A   C
//! ```
//!
//! A node is small whatever the length of the history: the calls that took effect and have returned
//! are implied by the position, so the set holds only calls that are open, one bit each. That is
//! also why there is no linked list of entries here, as in other implementations of this search:
//! the candidates at a return are a short precomputed slice.
//!
//! # When the answer is no
//!
//! The deepest return that any branch reached is the *earliest moment* at which no order is left.
//! [`Violation`] explains it: how it gets from there to a few lines is told in its own header.
//!
//! # Cost
//!
//! Time and memory grow with the nodes visited. With `c` calls open at once an easy history of `n`
//! operations takes about `n` nodes, a hard one up to `n * 2^c` for each reachable state. The
//! number of steps is bounded ([`Checker::steps_max`]), and beyond it the verdict is [`Unknown`],
//! never a guess.
//!
//! # What this module does not do
//!
//! It checks no weaker condition (sequential or causal consistency, serializability of
//! transactions), and it finds no history by itself: it can only judge the schedules that happened.

mod plan;
mod search;
mod violation;

use std::fmt;
use std::ops::ControlFlow::Break;

use plan::Plan;
use search::{Node, Outcome};
pub use violation::{EntryState, Violation};

use super::history::{History, Operation};
use super::model::Specification;

/// Judges `history` with the usual limits. Each key starts in the state `initial`.
pub fn check<S: Specification>(initial: &S, history: &History<S::Op, S::Ret>) -> Verdict<S> {
    Checker::default().check(initial, history)
}

/// Panics unless `history` is linearizable, with a drawing of the part that is not.
#[track_caller]
pub fn assert_linearizable<S: Specification>(initial: &S, history: &History<S::Op, S::Ret>) {
    let verdict = check(initial, history);
    assert!(verdict.is_linearizable(), "{verdict}");
}

/// Most calls of one key that may be open at once. It bounds the bits of a node of the search.
pub const OPEN_MAX: usize = 1_024;

/// The checker and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checker {
    /// Most steps of the search over all keys together; one step tries one operation in one state.
    /// At about 50 ns and at most one remembered node a step, the default of four million ends
    /// within a second and, for a model of a few words, 300 MB.
    pub steps_max: u64,
}

impl Default for Checker {
    fn default() -> Self {
        Self { steps_max: 4_000_000 }
    }
}

/// What the checker found.
#[derive(Clone, Debug)]
pub enum Verdict<S: Specification> {
    /// Some order explains every answer.
    Linearizable,
    /// No order does, for at least one key.
    NotLinearizable(Box<Violation<S>>),
    /// The limits were reached first, and no other key is in violation.
    Unknown(Unknown),
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The search was too long.
    #[error(
        "gave up on key {key} after {steps_max} steps: raise `Checker::steps_max`, \
         or record fewer operations or fewer threads for one key"
    )]
    TooManySteps {
        /// The key, as its `Debug` text.
        key: String,
        /// The limit that was reached.
        steps_max: u64,
    },
    /// More calls were open at once than the search has bits for.
    #[error(
        "cannot judge key {key}, where {open} calls are open at once and {OPEN_MAX} are the limit: \
         record fewer threads, or fewer operations that never return"
    )]
    TooManyOpen {
        /// The key, as its `Debug` text.
        key: String,
        /// Calls that were open at once.
        open: usize,
    },
}

impl<S: Specification> Verdict<S> {
    /// Whether an order was found.
    pub const fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable)
    }

    /// The violation, where there is one.
    pub fn violation(&self) -> Option<&Violation<S>> {
        match self {
            Self::NotLinearizable(violation) => Some(violation),
            Self::Linearizable | Self::Unknown(_) => None,
        }
    }
}

impl<S: Specification> fmt::Display for Verdict<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => f.write_str("linearizable"),
            Self::NotLinearizable(violation) => violation.fmt(f),
            Self::Unknown(unknown) => unknown.fmt(f),
        }
    }
}

impl Checker {
    /// Judges `history`. Each key starts in the state `initial`.
    pub fn check<S: Specification>(
        &self,
        initial: &S,
        history: &History<S::Op, S::Ret>,
    ) -> Verdict<S> {
        let mut parts: Vec<_> = history.split_by_key(S::key).into_iter().collect();
        // Small parts first: one hard key must not use up the steps that decide a hundred easy
        // ones.
        parts.sort_by_key(|(_, operations)| operations.len());
        let mut steps_left = self.steps_max;
        let mut unknown = None;
        for (key, operations) in &parts {
            match self.check_key(initial, key, operations, &mut steps_left) {
                Verdict::Linearizable => {}
                Verdict::Unknown(reason) => unknown = unknown.or(Some(reason)),
                violated @ Verdict::NotLinearizable(_) => return violated,
            }
        }
        unknown.map_or(Verdict::Linearizable, Verdict::Unknown)
    }

    fn check_key<S: Specification>(
        self,
        initial: &S,
        key: &S::Key,
        operations: &[&Operation<S::Op, S::Ret>],
        steps_left: &mut u64,
    ) -> Verdict<S> {
        let plan = Plan::new(operations.iter().map(|operation| (*operation).into()).collect());
        let problem = Problem { initial, key, operations, plan };
        // The set of open calls is as wide as this key needs, and most need one word.
        match problem.plan.slot_count() {
            0..=64 => self.judge::<S, 1>(&problem, steps_left),
            65..=256 => self.judge::<S, 4>(&problem, steps_left),
            257..=OPEN_MAX => self.judge::<S, { OPEN_MAX / 64 }>(&problem, steps_left),
            open => Verdict::Unknown(Unknown::TooManyOpen { key: format!("{key:?}"), open }),
        }
    }

    fn judge<S: Specification, const W: usize>(
        self,
        problem: &Problem<'_, S>,
        steps_left: &mut u64,
    ) -> Verdict<S> {
        let plan = &problem.plan;
        let start = vec![Node::<S, W>::initial(problem.initial)];
        match search::explore(plan, start, plan.return_count(), steps_left, |_| Break(())) {
            Outcome::Reached => Verdict::Linearizable,
            Outcome::Exhausted { deepest } => {
                Verdict::NotLinearizable(Box::new(violation::explain::<S, W>(problem, deepest)))
            }
            Outcome::OutOfSteps => Verdict::Unknown(Unknown::TooManySteps {
                key: format!("{:?}", problem.key),
                steps_max: self.steps_max,
            }),
        }
    }
}

/// One key's part of a history.
struct Problem<'h, S: Specification> {
    initial: &'h S,
    key: &'h S::Key,
    /// Ordered by their calls, as the calls of `plan` are.
    operations: &'h [&'h Operation<S::Op, S::Ret>],
    plan: Plan<'h, S>,
}

#[cfg(test)]
mod tests;
