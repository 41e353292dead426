//! The definition, word for word: try every order.

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

fn can_continue<S: Specification>(state: &S, rest: &[&Operation<S::Op, S::Ret>]) -> bool {
    if rest.iter().all(|operation| operation.response.is_none()) {
        return true;
    }
    (0..rest.len()).any(|index| {
        let first = rest[index];
        if rest.iter().any(|other| other.precedes(first)) {
            return false;
        }
        let mut others = rest.to_vec();
        others.remove(index);
        let mut next = Vec::new();
        let ret = first.response.as_ref().map(|response| &response.ret);
        state.successors(&first.op, ret, &mut next);
        next.iter().any(|state| can_continue(state, &others))
    })
}
