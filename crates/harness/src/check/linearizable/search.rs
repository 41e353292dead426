//! The search over one key: a walk over the returns that branches where a return demands it.
//!
//! [`Plan`] is what can be prepared: the returns in order, and for each the calls that are open at
//! that moment. [`explore`] is the walk, a depth-first search with an explicit stack (a history has
//! more returns than a thread has stack) and a set of the nodes it has entered.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::ops::{ControlFlow, Range};

use crate::check::history::Operation;
use crate::check::model::Specification;

/// A call as the search sees it: what it asks, what is known of its answer, and when.
#[derive(Debug)]
pub(super) struct Call<'h, S: Specification> {
    pub(super) op: &'h S::Op,
    /// `None` where the answer is unknown, so that any is possible.
    pub(super) ret: Option<&'h S::Ret>,
    pub(super) invoked: u64,
    /// The end of time where nothing demands that the call takes effect.
    pub(super) returned: u64,
}

impl<'h, S: Specification> From<&'h Operation<S::Op, S::Ret>> for Call<'h, S> {
    fn from(operation: &'h Operation<S::Op, S::Ret>) -> Self {
        Self {
            op: &operation.op,
            ret: operation.response.as_ref().map(|response| &response.ret),
            invoked: operation.invoked,
            returned: operation.returned(),
        }
    }
}

impl<S: Specification> Call<'_, S> {
    fn observes(&self) -> bool {
        self.ret.is_some_and(|ret| S::is_observation(self.op, ret))
    }

    /// The same call, with nothing known about its answer or whether it ever took effect. Every
    /// order that explains a history also explains it after this: it only removes demands.
    pub(super) const fn relaxed(self) -> Self {
        Self { ret: None, returned: u64::MAX, ..self }
    }
}

/// One key's calls, arranged for the walk.
#[derive(Debug)]
pub(super) struct Plan<'h, S: Specification> {
    /// Ordered by `invoked`.
    calls: Vec<Call<'h, S>>,
    /// Bit of each call in a set of open calls. Calls that are never open at once may share one.
    slots: Vec<usize>,
    slot_count: usize,
    /// Ordered by time.
    returns: Vec<Return>,
    /// Candidates of all returns, one slice after another.
    open: Vec<usize>,
    /// Calls that never return, ordered by `invoked`.
    pending: Vec<usize>,
    /// Of each call, whether it is an observation with a known answer.
    observes: Vec<bool>,
}

/// A moment at which one call must have taken effect.
#[derive(Debug)]
struct Return {
    call: usize,
    /// Part of `Plan::open`: the calls that are open now and will return. `call` comes first, since
    /// trying it alone is most often right.
    open: Range<usize>,
    /// How many of `Plan::pending` have been called by now.
    pending_count: usize,
}

impl<'h, S: Specification> Plan<'h, S> {
    /// Arranges `calls`, which are ordered by `invoked`.
    pub(super) fn new(calls: Vec<Call<'h, S>>) -> Self {
        let mut by_return: Vec<usize> =
            (0..calls.len()).filter(|&call| calls[call].returned != u64::MAX).collect();
        by_return.sort_by_key(|&call| calls[call].returned);

        let mut plan = Self {
            slots: vec![0; calls.len()],
            slot_count: 0,
            returns: Vec::with_capacity(by_return.len()),
            open: Vec::new(),
            pending: Vec::new(),
            observes: calls.iter().map(Call::observes).collect(),
            calls,
        };
        let mut free_slots: BinaryHeap<Reverse<usize>> = BinaryHeap::new();
        let mut open_now: Vec<usize> = Vec::new();
        let mut next_call = 0;
        for call in by_return {
            let now = plan.calls[call].returned;
            // A call at the very stamp of a return overlaps it: only "returned < invoked" orders.
            while plan.calls.get(next_call).is_some_and(|other| other.invoked <= now) {
                let is_pending = plan.calls[next_call].returned == u64::MAX;
                // A pending call never shares its slot, so that one mask tells them all.
                let reused = if is_pending { None } else { free_slots.pop() };
                plan.slots[next_call] = reused.map_or(plan.slot_count, |Reverse(slot)| slot);
                plan.slot_count += usize::from(reused.is_none());
                if is_pending { &mut plan.pending } else { &mut open_now }.push(next_call);
                next_call += 1;
            }
            open_now.retain(|&other| other != call);
            let start = plan.open.len();
            plan.open.push(call);
            plan.open.extend_from_slice(&open_now);
            plan.returns.push(Return {
                call,
                open: start..plan.open.len(),
                pending_count: plan.pending.len(),
            });
            free_slots.push(Reverse(plan.slots[call]));
        }
        plan
    }

    /// Bits that a set of open calls needs.
    pub(super) const fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// How many returns there are: the goal of a walk to the end.
    pub(super) const fn return_count(&self) -> usize {
        self.returns.len()
    }

    /// How many returns come before `stamp`.
    pub(super) fn returns_before(&self, stamp: u64) -> usize {
        self.returns.partition_point(|it| self.calls[it.call].returned < stamp)
    }

    /// The call that the return at position `at` demands.
    pub(super) fn demanded(&self, at: usize) -> usize {
        self.returns[at].call
    }

    /// How many returns come before `stamp` or at it.
    pub(super) fn returns_through(&self, stamp: u64) -> usize {
        self.returns.partition_point(|it| self.calls[it.call].returned <= stamp)
    }

    /// The bit of `call`.
    pub(super) fn slot(&self, call: usize) -> usize {
        self.slots[call]
    }

    /// The `choice`th call that may take effect at the return at position `at`.
    fn candidate(&self, at: usize, choice: usize) -> Option<usize> {
        let this = &self.returns[at];
        let open = &self.open[this.open.clone()];
        open.get(choice)
            .or_else(|| self.pending[..this.pending_count].get(choice - open.len()))
            .copied()
    }

    /// Lets every open observation take effect that fits the state, and walks past the returns whose
    /// demand is met, up to position `goal`.
    ///
    /// Observing early is never wrong: whatever order explains the rest of the history, moving the
    /// observation to its front changes no state that another operation sees.
    fn settle<const W: usize>(&self, node: &mut Node<S, W>, goal: usize, scratch: &mut Vec<S>) {
        while node.at < goal {
            let this = &self.returns[node.at];
            for &call in &self.open[this.open.clone()] {
                let slot = self.slots[call];
                if self.observes[call] && !node.effective.contains(slot) {
                    let Call { op, ret, .. } = self.calls[call];
                    node.state.successors(op, ret, scratch);
                    if !scratch.is_empty() {
                        node.effective.insert(slot);
                        scratch.clear();
                    }
                }
            }
            let slot = self.slots[this.call];
            if !node.effective.contains(slot) {
                break;
            }
            // The slot is free from here on, for a call that comes later.
            node.effective.remove(slot);
            node.at += 1;
        }
    }
}

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

/// A node on the stack and the next of its choices.
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

/// Follows every branch from the nodes `start` to the return at position `goal`, and calls `arrived`
/// with each node that gets there until it breaks. A node may arrive more than once.
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
    // Each layer holds the frames of one position, and a later layer those of a later position.
    let mut layers: Vec<VecDeque<Frame<S, W>>> = Vec::new();
    let mut reached: Vec<Node<S, W>> = start;
    let mut successors: Vec<S> = Vec::new();
    loop {
        for mut node in reached.drain(..) {
            plan.settle(&mut node, goal, &mut successors);
            deepest = deepest.max(node.at);
            if node.at == goal {
                if arrived(node).is_break() {
                    return Outcome::Reached;
                }
            } else if entered.insert(&node) {
                push(&mut layers, Frame { node, choice: 0 });
            }
        }
        let Some(layer) = layers.last_mut() else {
            return Outcome::Exhausted { deepest };
        };
        let Some(frame) = layer.front_mut() else {
            layers.pop();
            continue;
        };
        let Some(call) = plan.candidate(frame.node.at, frame.choice) else {
            layer.pop_front();
            continue;
        };
        frame.choice += 1;
        let slot = plan.slots[call];
        // An observation that fits has taken effect already.
        if frame.node.effective.contains(slot) || plan.observes[call] {
            continue;
        }
        if *steps_left == 0 {
            return Outcome::OutOfSteps;
        }
        *steps_left -= 1;
        let Call { op, ret, .. } = plan.calls[call];
        frame.node.state.successors(op, ret, &mut successors);
        let at = frame.node.at;
        let mut effective = frame.node.effective;
        effective.insert(slot);
        reached.extend(successors.drain(..).map(|state| Node { at, effective, state }));
    }
}

/// Puts `frame` into the layer of its position.
fn push<S, const W: usize>(layers: &mut Vec<VecDeque<Frame<S, W>>>, frame: Frame<S, W>) {
    let position = |layer: &VecDeque<Frame<S, W>>| layer.front().map(|frame| frame.node.at);
    let at = frame.node.at;
    let mut index = layers.len();
    while index > 0 && position(&layers[index - 1]).is_none_or(|other| other > at) {
        index -= 1;
    }
    if index > 0 && position(&layers[index - 1]) == Some(at) {
        layers[index - 1].push_back(frame);
    } else {
        layers.insert(index, VecDeque::from([frame]));
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
        for &call in &plan.pending {
            pending.insert(plan.slots[call]);
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
