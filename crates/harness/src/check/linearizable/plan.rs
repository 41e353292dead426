//! One key's calls, arranged for the walk: the returns in order, and for each the calls that are
//! open at that moment.
//!
//! ```text
//!   call    A  B     C        D
//!           |--+--a--|        |        return of a: open a, b, c
//!              |-----+--b--|  |        return of b: open b, c, d
//!                    |--c-----+----|   return of c: open c, d
//!                          |--d--- ... never returns
//! ```
//!
//! Each call has a *slot*, its bit in the sets of the search. A slot is free again after the return
//! of its call, so that there are as many as calls are ever open at once, however long the history.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

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

    /// The call itself.
    pub(super) fn call(&self, call: usize) -> &Call<'h, S> {
        &self.calls[call]
    }

    /// Whether `call` is an observation with a known answer.
    pub(super) fn observes(&self, call: usize) -> bool {
        self.observes[call]
    }

    /// Calls that never return.
    pub(super) fn pending(&self) -> &[usize] {
        &self.pending
    }

    /// The calls that are open at the return at position `at` and will return, the demanded one
    /// first.
    pub(super) fn open(&self, at: usize) -> &[usize] {
        &self.open[self.returns[at].open.clone()]
    }

    /// The `choice`th call that may take effect at the return at position `at`: first those that
    /// will return, then those that never do.
    pub(super) fn candidate(&self, at: usize, choice: usize) -> Option<usize> {
        let open = self.open(at);
        let pending = &self.pending[..self.returns[at].pending_count];
        open.get(choice).or_else(|| pending.get(choice - open.len())).copied()
    }
}
