//! The search over one key: a walk over the returns that branches where a return demands it.
//!
//! [`explore`] follows the deepest node first, without recursion (a history has more returns than a
//! thread has stack). Three observations keep it short; each drops branches that cannot matter:
//!
//! - a node that was entered before leads nowhere new ([`Entered`]);
//! - an operation that only observes takes effect as soon as it fits ([`Node::settle`]);
//! - a node in which fewer of the pending calls are used up can do all that another can
//!   ([`Entered`] again).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use super::plan::{Call, Plan};
use crate::check::model::Specification;

/// A set of open calls, by slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slots<const W: usize>([u64; W]);

impl<const W: usize> Slots<W> {
    pub(super) const EMPTY: Self = Self([0; W]);

    pub(super) const fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    pub(super) const fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    const fn remove(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// Splits the set in those outside `mask` and those in it.
    fn split(mut self, mask: &Self) -> (Self, Self) {
        let mut inside = self;
        for word in 0..W {
            self.0[word] &= !mask.0[word];
            inside.0[word] &= mask.0[word];
        }
        (self, inside)
    }
}

/// All that the future of a branch depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node<S, const W: usize> {
    /// Position of the next return.
    pub(super) at: usize,
    /// The open calls that have already taken effect.
    pub(super) effective: Slots<W>,
    pub(super) state: S,
}

impl<S: Clone, const W: usize> Node<S, W> {
    /// Before the first return, with nothing done.
    pub(super) fn initial(state: &S) -> Self {
        Self { at: 0, effective: Slots::EMPTY, state: state.clone() }
    }
}

impl<S: Specification, const W: usize> Node<S, W> {
    /// Lets every open observation take effect that fits the state, and walks past the returns
    /// whose demand is met, up to position `goal`.
    ///
    /// Observing early is never wrong: whatever order explains the rest of the history, moving the
    /// observation to its front changes no state that another operation sees.
    fn settle(&mut self, plan: &Plan<'_, S>, goal: usize, scratch: &mut Vec<S>) {
        while self.at < goal {
            for &call in plan.open(self.at) {
                let slot = plan.slot(call);
                if plan.observes(call) && !self.effective.contains(slot) {
                    let Call { op, ret, .. } = plan.call(call);
                    self.state.successors(op, *ret, scratch);
                    if !scratch.is_empty() {
                        self.effective.insert(slot);
                        scratch.clear();
                    }
                }
            }
            let slot = plan.slot(plan.demanded(self.at));
            if !self.effective.contains(slot) {
                break;
            }
            // The slot is free from here on, for a call that comes later.
            self.effective.remove(slot);
            self.at += 1;
        }
    }
}

/// A node that is being followed, and the next of its choices.
struct Frame<S, const W: usize> {
    node: Node<S, W>,
    choice: usize,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `arrived` was content.
    Reached,
    /// Every branch was followed. `deepest` is the last return that any of them came to.
    Exhausted { deepest: usize },
    /// The steps were used up.
    OutOfSteps,
}

/// Follows every branch from the nodes `start` to the return at position `goal`, and calls
/// `arrived` with each node that gets there until it breaks. A node may arrive more than once.
///
/// The deepest node is followed first, for the quick yes. Among equally deep ones the order is that
/// of discovery, so that those with fewer effects come first and dominate the others.
pub(super) fn explore<S: Specification, const W: usize>(
    plan: &Plan<'_, S>,
    start: Vec<Node<S, W>>,
    goal: usize,
    steps_left: &mut u64,
    mut arrived: impl FnMut(Node<S, W>) -> ControlFlow<()>,
) -> Outcome {
    let mut deepest = 0;
    let mut entered = Entered::new(plan);
    // The frames of each position, in the order in which they were found.
    let mut layers: BTreeMap<usize, VecDeque<Frame<S, W>>> = BTreeMap::new();
    let mut reached: Vec<Node<S, W>> = start;
    let mut successors: Vec<S> = Vec::new();
    loop {
        for mut node in reached.drain(..) {
            node.settle(plan, goal, &mut successors);
            deepest = deepest.max(node.at);
            if node.at == goal {
                if arrived(node).is_break() {
                    return Outcome::Reached;
                }
            } else if entered.insert(&node) {
                layers.entry(node.at).or_default().push_back(Frame { node, choice: 0 });
            }
        }
        let Some(mut layer) = layers.last_entry() else {
            return Outcome::Exhausted { deepest };
        };
        let Some(frame) = layer.get_mut().front_mut() else {
            layer.remove();
            continue;
        };
        let Some(call) = plan.candidate(frame.node.at, frame.choice) else {
            layer.get_mut().pop_front();
            continue;
        };
        frame.choice += 1;
        let slot = plan.slot(call);
        // An observation that fits has taken effect already.
        if frame.node.effective.contains(slot) || plan.observes(call) {
            continue;
        }
        if *steps_left == 0 {
            return Outcome::OutOfSteps;
        }
        *steps_left -= 1;
        let Call { op, ret, .. } = plan.call(call);
        frame.node.state.successors(op, *ret, &mut successors);
        let at = frame.node.at;
        let mut effective = frame.node.effective;
        effective.insert(slot);
        reached.extend(successors.drain(..).map(|state| Node { at, effective, state }));
    }
}

/// The nodes that the walk has entered.
///
/// Two nodes that differ only in the *pending* calls that have taken effect are comparable: nothing
/// ever demands a pending call, so the node in which fewer of them are used up can do all that the
/// other can. Only the former is worth following.
struct Entered<S, const W: usize> {
    /// By node without its pending calls: the smallest sets of these, none a part of another. An
    /// empty list stands for the empty set, which is smaller than any.
    nodes: HashMap<Node<S, W>, Vec<Slots<W>>>,
    pending: Slots<W>,
}

impl<S: Specification, const W: usize> Entered<S, W> {
    fn new(plan: &Plan<'_, S>) -> Self {
        let mut pending = Slots::EMPTY;
        for &call in plan.pending() {
            pending.insert(plan.slot(call));
        }
        Self { nodes: HashMap::new(), pending }
    }

    /// Adds `node`. False where nothing can be gained by following it.
    fn insert(&mut self, node: &Node<S, W>) -> bool {
        let (effective, used) = node.effective.split(&self.pending);
        let node = Node { at: node.at, effective, state: node.state.clone() };
        match self.nodes.entry(node) {
            Entry::Vacant(vacant) => {
                vacant.insert(if used.is_empty() { Vec::new() } else { vec![used] });
                true
            }
            Entry::Occupied(mut occupied) => {
                let smallest = occupied.get_mut();
                if smallest.is_empty() || smallest.iter().any(|other| other.is_subset(&used)) {
                    return false;
                }
                smallest.retain(|other| !used.is_subset(other));
                if !used.is_empty() {
                    smallest.push(used);
                }
                true
            }
        }
    }
}
