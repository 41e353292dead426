//! From "no order exists" to a few lines that show why.
//!
//! A failing history has thousands of operations, and all but a few have nothing to do with the
//! failure. Three steps find the few; each keeps the proof intact.
//!
//! ```text
//!   operations of the key, by time
//!   |-a-|  |--b--|  |-c-|    |--d--|   |-g-|  |-h-|
//!            |--e--|      |----- x -----|  |-i-|
//!                            |---f---|
//!                         ^entry        ^deepest return: the earliest prefix that has no order
//!                         '-- window --'
//! ```
//!
//! 1. **Cut the end.** The walk over the returns came as far as the return of `x` and no further:
//!    whatever was called after it plays no part.
//! 2. **Cut the beginning.** Up to the call of `x` there are orders. The walk, stopped there, tells
//!    the *entry states*: every state the object may be in, with the open calls that are done
//!    already. They stand for the whole past, so only `x` and what overlaps it remain. The window
//!    cannot start later: `x` may take effect at any moment since its call.
//! 3. **Drop bystanders.** Each other operation of the window is *relaxed* in turn: its answer is
//!    forgotten, and from any entry state on it may take effect at any time or never. Relaxing
//!    only adds orders. Where still none exists, the operation had no part in the contradiction,
//!    whatever it did. (Leaving the operation out instead would be wrong: without a write, a good
//!    read of it becomes a bad one.) Since each relaxation only adds orders, an operation that had
//!    to be kept once would have to be kept at the end too: the evidence is minimal.
//!
//! What is left are the *evidence*, the entry states, and, to help the reader, the last few
//! operations before the window.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow::{Break, Continue};

use super::Problem;
use super::plan::{Call, Plan};
use super::search::{Node, Outcome, Slots, explore};
use crate::check::history::{Operation, draw};
use crate::check::model::Specification;

/// Steps for finding the entry states. Above it they are left out of the report.
const ENTRY_STEPS_MAX: u64 = 4_000_000;

/// Steps for one attempt to drop an operation. Above it the operation is kept.
const DROP_STEPS_MAX: u64 = 20_000;

/// Most operations of a window that are tried to be dropped, so that a report is soon made.
const DROP_ATTEMPTS_MAX: usize = 200;

/// Operations before the window that a report shows.
const CONTEXT_COUNT: usize = 4;

/// Entry states that a report shows.
const STATES_SHOWN_MAX: usize = 8;

/// Why a history is not linearizable. `Display` draws it.
#[derive(Clone, Debug)]
pub struct Violation<S: Specification> {
    /// The key whose operations have no order.
    pub key: S::Key,
    /// Position in `evidence` of the operation whose return no order reaches.
    pub culprit: usize,
    /// The operations that contradict each other, given `entry`; ordered by their calls.
    pub evidence: Vec<Operation<S::Op, S::Ret>>,
    /// Every state the object may be in when the culprit is called.
    pub entry: Vec<EntryState<S>>,
    /// The last operations before these, for orientation only.
    pub context: Vec<Operation<S::Op, S::Ret>>,
    /// How many other operations overlap the culprit; the contradiction does not depend on them.
    pub bystanders: usize,
}

/// A state in which the object may have been, as far as the past tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryState<S> {
    /// The state.
    pub state: S,
    /// Threads whose operation in the evidence is still open, but done already.
    pub done: Vec<usize>,
}

/// The calls that overlap the culprit, each with its index in the whole key.
struct Window<'p, 'h, S: Specification> {
    problem: &'p Problem<'h, S>,
    culprit: usize,
    calls: Vec<usize>,
}

/// The open calls that have taken effect, as indices in the whole key, and the state.
type Entry<S> = (Vec<usize>, S);

/// Explains that no branch came further than the return at position `deepest`.
pub(super) fn explain<S: Specification, const W: usize>(
    problem: &Problem<'_, S>,
    deepest: usize,
) -> Violation<S> {
    let culprit = problem.plan.demanded(deepest);
    let window = Window::around(problem, culprit);
    let entry = window.entry_states::<W>();
    let kept = match &entry {
        Some(entry) => window.without_bystanders::<W>(entry),
        None => window.calls.clone(),
    };
    let operation = |&call: &usize| problem.operations[call].clone();
    let context: Vec<usize> = (0..problem.operations.len())
        .take_while(|&call| call != culprit)
        .filter(|call| !kept.contains(call))
        .collect();
    let context = &context[context.len().saturating_sub(CONTEXT_COUNT)..];
    Violation {
        key: problem.key.clone(),
        culprit: kept
            .iter()
            .position(|&call| call == culprit)
            .expect("the culprit is never dropped"),
        evidence: kept.iter().map(operation).collect(),
        entry: shown(problem, entry.unwrap_or_default(), &kept),
        context: context.iter().map(operation).collect(),
        bystanders: window.calls.len() - kept.len(),
    }
}

/// The entry states as far as they concern the calls that are kept.
fn shown<S: Specification>(
    problem: &Problem<'_, S>,
    entry: Vec<Entry<S>>,
    kept: &[usize],
) -> Vec<EntryState<S>> {
    let mut seen = HashSet::new();
    let entry = entry.into_iter().map(|(effective, state)| {
        let kept = effective.iter().filter(|call| kept.contains(call));
        let done = kept.map(|&call| problem.operations[call].thread).collect();
        EntryState { state, done }
    });
    entry.filter(|entry| seen.insert(entry.clone())).collect()
}

impl<'p, 'h, S: Specification> Window<'p, 'h, S> {
    fn around(problem: &'p Problem<'h, S>, culprit: usize) -> Self {
        let operations = problem.operations;
        let this = operations[culprit];
        let calls = (0..operations.len())
            .filter(|&call| !operations[call].precedes(this) && !this.precedes(operations[call]))
            .collect();
        Self { problem, culprit, calls }
    }

    /// All states in which a branch can be when the culprit is called; `None` where there are too
    /// many to find.
    fn entry_states<const W: usize>(&self) -> Option<Vec<Entry<S>>> {
        let Problem { initial, operations, plan, .. } = self.problem;
        let invoked = operations[self.culprit].invoked;
        let start = vec![Node::<S, W>::initial(initial)];
        let mut found: HashSet<Node<S, W>> = HashSet::new();
        let mut steps = ENTRY_STEPS_MAX;
        let outcome = explore(plan, start, plan.returns_before(invoked), &mut steps, |node| {
            found.insert(node);
            Continue(())
        });
        if outcome == Outcome::OutOfSteps {
            return None;
        }
        // These calls are all open at the same moment, so their slots are distinct.
        let open: Vec<usize> = self
            .calls
            .iter()
            .copied()
            .filter(|&call| operations[call].invoked <= invoked)
            .collect();
        let entry = found.into_iter().map(|node| {
            let is_effective = |&call: &usize| node.effective.contains(plan.slot(call));
            (open.iter().copied().filter(is_effective).collect(), node.state)
        });
        let mut entry: Vec<Entry<S>> = entry.collect();
        // A hash set has no order of its own, and a report must not change from run to run.
        entry.sort_by_cached_key(|(effective, state)| (effective.len(), format!("{state:?}")));
        Some(entry)
    }

    /// The calls that remain once each one that plays no part is dropped.
    fn without_bystanders<const W: usize>(&self, entry: &[Entry<S>]) -> Vec<usize> {
        let mut relaxed = vec![false; self.calls.len()];
        assert!(
            self.is_contradiction::<W>(entry, &relaxed) != Some(false),
            "the whole history has no order, but a part that stands for it has one"
        );
        for index in 0..self.calls.len().min(DROP_ATTEMPTS_MAX) {
            if self.calls[index] != self.culprit {
                relaxed[index] = true;
                relaxed[index] = self.is_contradiction::<W>(entry, &relaxed) == Some(true);
            }
        }
        let calls = self.calls.iter().zip(relaxed);
        calls.filter(|(_, relaxed)| !relaxed).map(|(&call, _)| call).collect()
    }

    /// Whether the window still has no order once some of its calls are relaxed; `None` where that
    /// is too hard to tell.
    fn is_contradiction<const W: usize>(
        &self,
        entry: &[Entry<S>],
        relaxed: &[bool],
    ) -> Option<bool> {
        let call = |(&call, &relaxed): (&usize, &bool)| {
            let call: Call<'_, S> = self.problem.operations[call].into();
            if relaxed { call.relaxed() } else { call }
        };
        let plan: Plan<'_, S> = Plan::new(self.calls.iter().zip(relaxed).map(call).collect());
        if plan.slot_count() > W * 64 {
            return None;
        }
        let position = |call: usize| {
            self.calls.binary_search(&call).expect("an open call overlaps the culprit")
        };
        let start = entry.iter().map(|(effective, state)| {
            let mut slots = Slots::<W>::EMPTY;
            for index in effective.iter().map(|&call| position(call)) {
                if !relaxed[index] {
                    slots.insert(plan.slot(index));
                }
            }
            Node { at: 0, effective: slots, state: state.clone() }
        });
        let goal = plan.returns_through(self.problem.operations[self.culprit].returned());
        let mut steps = DROP_STEPS_MAX;
        match explore(&plan, start.collect(), goal, &mut steps, |_| Break(())) {
            Outcome::Reached => Some(false),
            Outcome::Exhausted { .. } => Some(true),
            Outcome::OutOfSteps => None,
        }
    }
}

impl<S: Specification> fmt::Display for Violation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, culprit, evidence, entry, context, bystanders } = self;
        writeln!(f, "not linearizable: for key {key:?} no order explains the answer marked *")?;
        let mut rows: Vec<_> = context.iter().map(|operation| (operation, None)).collect();
        rows.extend(evidence.iter().enumerate().map(|(index, operation)| {
            (operation, Some(if index == *culprit { '*' } else { '+' }))
        }));
        rows.sort_by_key(|(operation, _)| operation.invoked);
        let operations: Vec<_> = rows.iter().map(|(operation, _)| *operation).collect();
        draw(f, &operations, |index| rows[index].1)?;
        if evidence.len() > 1 {
            writeln!(f, "  It contradicts those marked +; the others only show what came before.")?;
        }
        let invoked = evidence[*culprit].invoked;
        writeln!(f, "  Possible states when it was called, at {invoked}:")?;
        for EntryState { state, done } in entry.iter().take(STATES_SHOWN_MAX) {
            match done.as_slice() {
                [] => writeln!(f, "    {state:?}")?,
                threads => writeln!(
                    f,
                    "    {state:?}, the open operations of threads {threads:?} being done"
                )?,
            }
        }
        match entry.len() {
            0 => writeln!(f, "    too many to list")?,
            count if count > STATES_SHOWN_MAX => {
                writeln!(f, "    and {} more", count - STATES_SHOWN_MAX)?;
            }
            _ => {}
        }
        if *bystanders > 0 {
            writeln!(f, "  {bystanders} more overlap it, but whatever they did, no order exists.")?;
        }
        Ok(())
    }
}
