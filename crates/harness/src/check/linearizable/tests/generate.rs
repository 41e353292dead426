//! Histories that are linearizable by construction.
//!
//! A sequential run of the model is a linearization. Stretching each operation around its moment,
//! so that neighbours overlap but no thread overlaps itself, gives a concurrent history that this
//! linearization explains.

use std::collections::BTreeMap;

use crate::check::history::{History, Operation};
use crate::check::model::Model;
use crate::rng::SplitMix64;

/// How a history is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) operations: usize,
    pub(super) threads: usize,
    /// Of 100 operations, how many lose their return. Each ends the work of its thread.
    pub(super) pending_percent: u64,
}

/// A history of `shape` that starts in `initial`; `next_op` chooses what is asked.
pub(super) fn linearizable<M: Model>(
    rng: &mut SplitMix64,
    initial: &M,
    shape: Shape,
    mut next_op: impl FnMut(&mut SplitMix64) -> M::Op,
) -> History<M::Op, M::Ret> {
    let Shape { operations: count, threads, pending_percent } = shape;
    // Moments are so far apart that intervals have room to end between any two of them.
    let gap = 1_000;
    let mut states: BTreeMap<M::Key, M> = BTreeMap::new();
    let mut operations: Vec<Operation<M::Op, M::Ret>> = Vec::with_capacity(count);
    // Per thread: the moment before which it cannot call, and its current number (a crashed client
    // comes back under a new one).
    let mut free_from = vec![0; threads];
    let mut names: Vec<usize> = (0..threads).collect();
    for step in 0..count as u64 {
        let moment = (step + 1) * gap;
        let op = next_op(rng);
        let thread = choose_thread(rng, &free_from, moment);
        let state = states.entry(M::key(&op)).or_insert_with(|| initial.clone());
        let ret = state.apply(&op);
        let reach = gap * threads as u64 / 2;
        let invoked = free_from[thread].max(moment.saturating_sub(rng.below(reach))) + 1;
        let invoked = invoked.min(moment);
        let returned = moment + 1 + rng.below(reach);
        if rng.chance(pending_percent, 100) {
            operations.push(Operation::pending(names[thread], invoked, op));
            names[thread] = threads + operations.len();
            free_from[thread] = moment;
        } else {
            operations.push(Operation::done(names[thread], invoked..returned, op, ret));
            free_from[thread] = returned;
        }
    }
    History::from_operations(operations)
}

/// A thread that is free at `moment`; the one that is free first where none is.
fn choose_thread(rng: &mut SplitMix64, free_from: &[u64], moment: u64) -> usize {
    let free: Vec<usize> =
        (0..free_from.len()).filter(|&thread| free_from[thread] < moment).collect();
    match free.len() as u64 {
        0 => (0..free_from.len()).min_by_key(|&thread| free_from[thread]).expect("some thread"),
        count => free[usize::try_from(rng.below(count)).expect("below a usize")],
    }
}
