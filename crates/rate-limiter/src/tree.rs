//! Hierarchical quotas: a parent lends what its other children leave idle.
//!
//! Each node of a tree has a bucket. A child's quota is its *guarantee*, a share of the parent's:
//! same period, and all children together no more cells and no more burst than the parent. A
//! request is served by the lowest node on its way up that holds as many cells beyond what its
//! children hold; for a leaf these are its own, for an ancestor they are lent:
//!
//! ```text
//!   stored(a) - sum of stored(child of a) >= cells           -> charge a .. root
//!
//!        root 100/s                    web idle, batch out of its own 20: batch borrows from the
//!        /        \                    root, but never the cells that web has stored, so that web
//!     web 70/s   batch 20/s            finds them whenever it comes back.
//! ```
//!
//! A node may also have a *ceiling*: all that passes through it, own or borrowed, is charged to a
//! second bucket, and must fit there too.
//!
//! # What holds, exactly
//!
//! 1. *Guarantee*: a request within what the leaf has stored, and within the ceilings, is admitted.
//! 2. *Bound*: what passes through the root is within the root's quota over any stretch of time.
//! 3. *Ceiling*: what passes through a node is within its ceiling over any stretch of time.
//!
//! The first follows from an invariant: each node stores at least as much as its children together.
//! It holds at first; refilling keeps it, since rates and bursts add up to no more than the
//! parent's; own cells leave both sides at once; and borrowing takes only the difference.
//!
//! # Arithmetic
//!
//! As all periods are equal, a cell has as many parts as the period has nanoseconds, everywhere in
//! the tree, and a nanosecond fills in as many parts as the node's quota has cells: whole numbers
//! that can be added and compared across nodes. The largest, `2^60 * 2^62`, fits in 128 bits.
//!
//! # What this module does not do
//!
//! It has one lock for the whole tree: trees are for tenants and classes, not for millions of keys.
//! A moment before the newest one that a bucket has seen is taken for that one. A denial's
//! `retry_at` is a moment by which the request is certain to be admitted if nobody else asks; a
//! loan may be had earlier.

use std::time::Duration;

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Denial};
use crate::quota::{Quota, QuotaError};
use crate::single::settled_by_size;
use crate::sync::Mutex;

/// A node of a [`QuotaTree`]; from the tree that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

/// What a child gets of its parent's period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Cells a period that it can always have.
    pub cells: u64,
    /// Cells that it can store.
    pub burst: u64,
    /// Cells a period, and at once, that may pass through it at most, its own and borrowed ones
    /// together; `None` for no other limit than its ancestors'.
    pub ceiling: Option<(u64, u64)>,
}

/// Why a child cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The numbers make no quota.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The children would be promised more than the parent has.
    #[error(
        "the children would be guaranteed {cells} cells a period and a burst of {burst}, more \
         than their parent has; give them less"
    )]
    Oversold {
        /// Cells a period of all children together.
        cells: u64,
        /// Bursts of all children together.
        burst: u64,
    },
}

/// A tree of quotas.
///
/// ```
/// use rate_limiter::{Quota, QuotaTree, Share};
///
/// # fn main() -> Result<(), rate_limiter::TreeError> {
/// let mut tree = QuotaTree::new(Quota::per_second(100)?);
/// let web = tree.add(tree.root(), Share { cells: 70, burst: 70, ceiling: None })?;
/// let batch = tree.add(tree.root(), Share { cells: 20, burst: 20, ceiling: None })?;
/// // 20 of its own and the 10 that nobody is guaranteed.
/// assert_eq!((0..100).filter(|_| tree.check(batch).is_admitted()).count(), 30);
/// assert_eq!((0..100).filter(|_| tree.check(web).is_admitted()).count(), 70);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct QuotaTree<C = FastClock> {
    nodes: Vec<Node>,
    stores: Mutex<Vec<Stores>>,
    period_ns: u64,
    origin: Timestamp,
    clock: C,
}

/// What never changes about a node.
#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    children: Vec<usize>,
    share: Share,
}

/// What changes.
#[derive(Clone, Copy, Debug)]
struct Stores {
    own: Store,
    ceiling: Option<Store>,
}

/// A bucket as what it stores.
#[derive(Clone, Copy, Debug)]
struct Store {
    /// Parts a nanosecond.
    rate: u128,
    /// Parts of a full bucket.
    capacity: u128,
    /// Parts at `at`. Invariant: at most `capacity`.
    stored: u128,
    /// The newest moment that it has seen.
    at: u64,
}

impl QuotaTree<FastClock> {
    /// A tree of one node on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> QuotaTree<C> {
    /// A tree of one node on `clock`.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        let period_ns = u64::try_from(quota.period().as_nanos());
        let period_ns = period_ns.expect("a quota's period is at most 2^62 ns");
        let share = Share { cells: quota.cells(), burst: quota.burst(), ceiling: None };
        let mut tree = Self {
            nodes: Vec::new(),
            stores: Mutex::new(Vec::new()),
            period_ns,
            origin: clock.now(),
            clock,
        };
        tree.push(None, share);
        tree
    }

    /// The root.
    pub const fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// Adds a child, with full buckets. A limiter of tenants is built before it is shared.
    ///
    /// Full buckets are promises: a child that comes late may store more than the parent has left,
    /// and is refused like any other request until the parent has filled up.
    pub fn add(&mut self, parent: NodeId, share: Share) -> Result<NodeId, TreeError> {
        let period = Duration::from_nanos(self.period_ns);
        Quota::new(share.cells, period)?.with_burst(share.burst)?;
        if let Some((cells, burst)) = share.ceiling {
            Quota::new(cells, period)?.with_burst(burst)?;
        }
        let node = &self.nodes[parent.0];
        let shares = node.children.iter().map(|&child| self.nodes[child].share);
        let sum = shares.fold((share.cells, share.burst), |(cells, burst), share| {
            (cells.saturating_add(share.cells), burst.saturating_add(share.burst))
        });
        if sum.0 > node.share.cells || sum.1 > node.share.burst {
            return Err(TreeError::Oversold { cells: sum.0, burst: sum.1 });
        }
        Ok(self.push(Some(parent.0), share))
    }

    fn push(&mut self, parent: Option<usize>, share: Share) -> NodeId {
        let id = self.nodes.len();
        if let Some(parent) = parent {
            self.nodes[parent].children.push(id);
        }
        self.nodes.push(Node { parent, children: Vec::new(), share });
        let store = |cells: u64, burst: u64| {
            let capacity = u128::from(burst) * u128::from(self.period_ns);
            Store { rate: cells.into(), capacity, stored: capacity, at: 0 }
        };
        let ceiling = share.ceiling.map(|(cells, burst)| store(cells, burst));
        let own = store(share.cells, share.burst);
        self.stores.lock().expect("no holder of this lock panics").push(Stores { own, ceiling });
        NodeId(id)
    }

    /// Takes one cell at `node`, now.
    pub fn check(&self, node: NodeId) -> Decision {
        self.check_at(self.clock.now(), node, 1)
    }

    /// Takes `cells` cells at `node`, all or none, at `now`, a reading of this tree's clock.
    ///
    /// As many steps as the tree is deep, and, where the node has too few of its own, as its
    /// ancestors have children. Panics when `node` is of another, larger tree.
    pub fn check_at(&self, now: Timestamp, node: NodeId, cells: u64) -> Decision {
        if let Some(decision) = settled_by_size(self.largest(node.0), cells) {
            return decision;
        }
        let mut stores = self.stores.lock().expect("no holder of this lock panics");
        let lender = match self.lender_at(&stores, now, node, cells) {
            Ok(lender) => lender,
            Err(denial) => return Decision::Denied(denial),
        };
        let (nanos, cost) = (self.nanos_at(now), self.cost(cells));
        for id in self.path(node.0) {
            if let Some(ceiling) = &mut stores[id].ceiling {
                ceiling.take(nanos, cost);
            }
        }
        for id in self.path(lender) {
            stores[id].own.take(nanos, cost);
        }
        Decision::Admitted
    }

    /// What a request for `cells` cells at `node` would be answered at `now`. Takes nothing.
    ///
    /// Steps and panics as [`check_at`](Self::check_at).
    pub fn peek_at(&self, now: Timestamp, node: NodeId, cells: u64) -> Decision {
        if let Some(decision) = settled_by_size(self.largest(node.0), cells) {
            return decision;
        }
        let stores = self.stores.lock().expect("no holder of this lock panics");
        self.lender_at(&stores, now, node, cells)
            .map_or_else(Decision::Denied, |_| Decision::Admitted)
    }

    /// The node from which `cells` are taken at `now`, or when one is certain to have them.
    fn lender_at(
        &self,
        stores: &[Stores],
        now: Timestamp,
        node: NodeId,
        cells: u64,
    ) -> Result<usize, Denial> {
        let (nanos, cost) = (self.nanos_at(now), self.cost(cells));
        let below_ceilings = self
            .path(node.0)
            .all(|id| stores[id].ceiling.is_none_or(|ceiling| ceiling.stored_at(nanos) >= cost));
        let lender = self.lender(stores, node.0, nanos, cost).filter(|_| below_ceilings);
        lender.ok_or_else(|| {
            let wait = self.certain_after(stores, node.0, nanos, cost);
            Denial::new(now, now + Duration::from_nanos(wait))
        })
    }

    fn nanos_at(&self, now: Timestamp) -> u64 {
        now.as_nanos().saturating_sub(self.origin.as_nanos())
    }

    fn cost(&self, cells: u64) -> u128 {
        u128::from(cells) * u128::from(self.period_ns)
    }

    /// The clock that the tree reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// `node` and its ancestors.
    fn path(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |&id| self.nodes[id].parent)
    }

    /// The lowest node on the way up that can serve `cost`.
    fn lender(&self, stores: &[Stores], node: usize, nanos: u64, cost: u128) -> Option<usize> {
        let stored = |id: usize| stores[id].own.stored_at(nanos);
        let spare = |id: usize| {
            let promised: u128 = self.nodes[id].children.iter().map(|&child| stored(child)).sum();
            stored(id).saturating_sub(promised)
        };
        let lender = self.path(node).find(|&id| spare(id) >= cost)?;
        // An ancestor that is short of what its children store is one that got a child late.
        self.path(lender).all(|id| stored(id) >= cost).then_some(lender)
    }

    /// Cells of the largest request that can be certain to be admitted at `node` some day: what it
    /// or an ancestor stores beyond its children when all are full.
    fn largest(&self, node: usize) -> u64 {
        let burst = |id: usize| self.nodes[id].share.burst;
        let spare = self.path(node).map(|id| {
            let promised: u64 = self.nodes[id].children.iter().map(|&child| burst(child)).sum();
            burst(id) - promised
        });
        let most = spare.fold(0, u64::max);
        let ceilings = self.path(node).filter_map(|id| self.nodes[id].share.ceiling);
        ceilings.fold(most, |most, (_, burst)| most.min(burst))
    }

    /// Nanoseconds after which `cost` is certain to be admitted at `node` if nobody asks.
    fn certain_after(&self, stores: &[Stores], node: usize, nanos: u64, cost: u128) -> u64 {
        let own = stores[node].own;
        let is_leaf = self.nodes[node].children.is_empty();
        let wait = if is_leaf && cost <= own.capacity {
            let ancestors = self.path(node).map(|id| stores[id].own.time_until(nanos, cost));
            ancestors.fold(0, u64::max)
        } else {
            // A loan is certain when everyone is full.
            let full = stores.iter().map(|it| it.own.time_until(nanos, it.own.capacity));
            full.fold(0, u64::max)
        };
        let ceilings = self.path(node).filter_map(|id| stores[id].ceiling);
        ceilings.fold(wait, |wait, ceiling| wait.max(ceiling.time_until(nanos, cost)))
    }
}

impl Store {
    fn stored_at(&self, nanos: u64) -> u128 {
        let refilled = u128::from(nanos.saturating_sub(self.at)) * self.rate;
        (self.stored + refilled).min(self.capacity)
    }

    fn take(&mut self, nanos: u64, cost: u128) {
        self.stored = self.stored_at(nanos) - cost;
        self.at = self.at.max(nanos);
    }

    /// Nanoseconds from `nanos` until `cost` parts are stored. The capacity is at least `cost`.
    fn time_until(&self, nanos: u64, cost: u128) -> u64 {
        // At a moment before `at` nothing is refilled until then.
        let wait = cost.saturating_sub(self.stored).div_ceil(self.rate);
        let ready = u128::from(self.at).saturating_add(wait);
        u64::try_from(ready.saturating_sub(nanos.into())).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
