//! The definition, word for word: try every order.

use std::collections::HashSet;

use crate::check::history::Operation;
use crate::check::model::Specification;

/// Whether some order of `operations`, all of those that returned and any of those that did not,
/// respects precedence and gives the recorded answers. Takes time factorial in their number.
pub(super) fn is_linearizable<S: Specification>(
    initial: &S,
    operations: &[Operation<S::Op, S::Ret>],
) -> bool {
    let mut keys: Vec<S::Key> = operations.iter().map(|operation| S::key(&operation.op)).collect();
    keys.sort();
    keys.dedup();
    keys.iter().all(|key| {
        let part: Vec<_> =
            operations.iter().filter(|operation| S::key(&operation.op) == *key).collect();
        can_continue(initial, &part)
    })
}

/// The states in which `operations`, all of which returned and touch one key, can leave the object.
pub(super) fn outcomes<S: Specification>(
    initial: &S,
    operations: &[&Operation<S::Op, S::Ret>],
) -> HashSet<S> {
    if operations.is_empty() {
        return HashSet::from([initial.clone()]);
    }
    first_steps(initial, operations).flat_map(|step| outcomes(&step.state, &step.others)).collect()
}

fn can_continue<S: Specification>(state: &S, rest: &[&Operation<S::Op, S::Ret>]) -> bool {
    // An operation that returns at the end of time may still be to come.
    rest.iter().all(|operation| operation.returned() == u64::MAX)
        || first_steps(state, rest).any(|step| can_continue(&step.state, &step.others))
}

/// The state after one operation, and the others.
struct Step<'a, S: Specification> {
    state: S,
    others: Vec<&'a Operation<S::Op, S::Ret>>,
}

/// Each way in which one of `rest` can be the first.
fn first_steps<'a, S: Specification>(
    state: &'a S,
    rest: &'a [&'a Operation<S::Op, S::Ret>],
) -> impl Iterator<Item = Step<'a, S>> {
    let can_be_first = |&index: &usize| !rest.iter().any(|other| other.precedes(rest[index]));
    (0..rest.len()).filter(can_be_first).flat_map(move |index| {
        let mut others = rest.to_vec();
        let first = others.remove(index);
        let mut next = Vec::new();
        let ret = first.response.as_ref().map(|response| &response.ret);
        state.successors(&first.op, ret, &mut next);
        next.into_iter().map(move |state| Step { state, others: others.clone() })
    })
}
