//! A B+tree with one writer, whose readers never wait.
//!
//! ```text
//!   node   order: | count | rank 0 -> slot 2 | rank 1 -> slot 0 | rank 2 -> slot 1 |  one word
//!          slots:   0  "m" -> record, child      1  "t" -> ...       2  "c" -> ...
//! ```
//!
//! A slot is written once, while no reader knows of it. Then the node's `order` word, which lists
//! the slots in the order of their keys, is replaced: that one store inserts (Masstree's
//! permutation; Mao, Kohler, Morris, 2012). Nothing is ever removed.
//!
//! A full node is not changed but *replaced*: two new nodes take its slots, and the parent is led
//! to them. A reader that is still in the old one finds there all that was inserted before the
//! split, and nothing that came later is of its snapshot anyhow. So old nodes stay until the
//! memtable goes, about one for every eight keys, or none where keys come in ascending order: then
//! the full node stays as it is and a fresh one begins behind it. But not where the next one has
//! hardly begun: keys that descend towards the full node would have a node each.
//!
//! A parent with room is led to the two by a new slot for the upper one, and then by the pointer to
//! the lower one. Whoever reads that pointer looks at the order again: where it changed, the search
//! in this one node is done once more.
//!
//! Searches compare heads (see [`crate::head`]) and look at a key only where the heads are equal.
//! In a node they count the heads that are below: fifteen comparisons of which none waits for
//! another cost less than four whose outcome no processor can guess.

use std::cmp::Ordering as Order;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::arena::{Arena, Handle};
use super::nodes::Nodes;

/// Slots of a node: a word has room for their ranks, four bits each, and the count.
const SLOTS: usize = 15;
/// Set in the index of a leaf, so that a search need not look into a node for what it is.
const LEAF: u32 = 1 << 31;
/// There is at most a node for each key. A split makes two, of a node into which eight keys came; a
/// node begins behind another one where the next has eight; and above them are a seventh as many.
const NODES_PER_KEY: usize = 1;
/// Nodes on the way to a single key, and those of the splits that may be under way.
const NODES_FIRST: usize = 3 * LEVELS_MAX;
/// More levels than a tree of so many nodes as the other bits number can have.
const LEVELS_MAX: usize = 16;

/// A leaf, or a node above.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Node {
    order: AtomicU64,
    heads: [AtomicU64; SLOTS],
    /// Leaf: the newest record of the key. Above: a record with the smallest key of the child, or
    /// zero for what is below all keys.
    records: [AtomicU32; SLOTS],
    children: [AtomicU32; SLOTS],
}

/// The slots of a node in the order of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ranks(u64);

impl Ranks {
    #[inline]
    fn count(self) -> usize {
        (self.0 & 0xf) as usize
    }

    #[inline]
    fn slot(self, rank: usize) -> usize {
        ((self.0 >> (4 + 4 * rank)) & 0xf) as usize
    }

    /// With the next free slot at `rank`.
    fn insert(self, rank: usize) -> Self {
        let at = 4 + 4 * rank;
        let below = self.0 & ((1 << at) - 1);
        let above = if at + 4 < 64 { (self.0 >> at) << (at + 4) } else { 0 };
        Self((above | ((self.count() as u64) << at) | below) + 1)
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    head: u64,
    record: u32,
    child: u32,
}

/// A key that is searched for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'k> {
    pub(crate) head: u64,
    pub(crate) key: &'k [u8],
}

/// Which neighbour of a key is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seek {
    /// The smallest key that is not below it.
    AtLeast,
    /// The smallest key above it.
    Above,
    /// The largest key below it.
    Below,
}

/// A slot of a leaf, and the leaf's order when it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    leaf: u32,
    ranks: Ranks,
    rank: usize,
}

/// The way from the root to a leaf.
#[derive(Debug, Default)]
struct Path {
    steps: [Step; LEVELS_MAX],
    len: usize,
}

/// A node above, its order when it was passed, and the rank that was taken.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    node: u32,
    ranks: Ranks,
    rank: usize,
}

impl Path {
    #[inline]
    fn push(&mut self, step: Step) {
        self.steps[self.len] = step;
        self.len += 1;
    }

    fn pop(&mut self) -> Option<Step> {
        let last = self.last()?;
        self.len -= 1;
        Some(last)
    }

    fn last(&self) -> Option<Step> {
        self.steps[..self.len].last().copied()
    }
}

/// The tree. Its records lie in an arena that the caller brings along.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Nodes,
    root: AtomicU32,
}

impl Tree {
    /// A tree for the records of an arena.
    pub(crate) fn new(arena: &Arena) -> Self {
        let keys = arena.capacity() / Arena::span(0, 0);
        let nodes = Nodes::new((NODES_FIRST + keys * NODES_PER_KEY).min(LEAF as usize));
        let tree = Self { nodes, root: AtomicU32::new(0) };
        let root = tree.make(true, &[]);
        // Relaxed: nobody else has the tree yet.
        tree.root.store(root, Ordering::Relaxed);
        tree
    }

    /// Bytes that the nodes take.
    pub(crate) fn bytes(&self) -> usize {
        self.nodes.bytes()
    }

    /// The newest record of a key.
    #[inline]
    pub(crate) fn get(&self, arena: &Arena, probe: Probe<'_>) -> Option<Handle> {
        let leaf = self.node(self.descend(self.root(), arena, probe, |_| {}));
        let ranks = leaf.ranks();
        let rank = leaf.lower_bound(ranks, arena, probe);
        leaf.record_if_equal(ranks, rank, arena, probe)
    }

    /// Inserts a key, or a newer record of it; `make` gets the one before. One thread at a time.
    pub(crate) fn insert(
        &self,
        arena: &Arena,
        probe: Probe<'_>,
        make: impl FnOnce(Option<Handle>) -> Handle,
    ) {
        let mut path = Path::default();
        let index = self.descend(self.root(), arena, probe, |step| path.push(step));
        let leaf = self.node(index);
        let ranks = leaf.ranks();
        let rank = leaf.lower_bound(ranks, arena, probe);
        if let Some(older) = leaf.record_if_equal(ranks, rank, arena, probe) {
            let record = make(Some(older)).bits();
            // Release: whoever finds the handle finds the record written.
            leaf.records[ranks.slot(rank)].store(record, Ordering::Release);
        } else {
            let slot = Slot { head: probe.head, record: make(None).bits(), child: 0 };
            self.put(&mut path, index, rank, slot, None);
        }
    }

    /// Puts a slot into a node at a rank. With `replace`, the child at the rank before gives way to
    /// another one, whose upper part is the new slot's child.
    fn put(&self, path: &mut Path, index: u32, rank: usize, slot: Slot, replace: Option<u32>) {
        let node = self.node(index);
        let ranks = node.ranks();
        if ranks.count() < SLOTS {
            node.write(ranks.count(), slot);
            // Release: whoever sees the new order sees what the slot holds.
            node.order.store(ranks.insert(rank).0, Ordering::Release);
        } else if rank == SLOTS && replace.is_none() && self.may_begin_behind(path) {
            // Keys ascend. The full node stays, so that nothing is copied. Not where one of its
            // children gives way: a reader could not tell, for its order stays too.
            let right = self.make(is_leaf(index), &[slot]);
            self.lead(path, index, index, Slot { child: right, ..slot });
        } else {
            let mut slots = [Slot::default(); SLOTS + 1];
            for (at, it) in slots.iter_mut().enumerate() {
                *it = match at.cmp(&rank) {
                    Order::Less => node.read(ranks.slot(at)),
                    Order::Equal => slot,
                    Order::Greater => node.read(ranks.slot(at - 1)),
                };
            }
            if let Some(child) = replace {
                slots[rank - 1].child = child;
            }
            let (lower, upper) = slots.split_at(slots.len() / 2);
            let left = self.make(is_leaf(index), lower);
            let right = self.make(is_leaf(index), upper);
            return self.lead(path, index, left, Slot { child: right, ..upper[0] });
        }
        if let Some(child) = replace {
            // Release, and after the new order: a reader that finds the lower part in its place
            // finds the order changed as well, and looks again (see `child_at`).
            node.children[ranks.slot(rank - 1)].store(child, Ordering::Release);
        }
    }

    /// Whether a node may begin between the one to which the path leads and the next: not where the
    /// next one is less than half full. So a node takes about eight keys, whatever their order.
    fn may_begin_behind(&self, path: &Path) -> bool {
        let next = path.last().filter(|it| it.rank + 1 < it.ranks.count());
        next.is_none_or(|Step { node, ranks, rank }| {
            let next = self.node(node).child(ranks.slot(rank + 1));
            self.node(next).ranks().count() > SLOTS / 2
        })
    }

    /// Leads readers to the two nodes that `index` was split into.
    fn lead(&self, path: &mut Path, index: u32, left: u32, right: Slot) {
        if let Some(Step { node, rank, .. }) = path.pop() {
            let replace = (left != index).then_some(left);
            self.put(path, node, rank + 1, right, replace);
        } else {
            let root = self.make(false, &[Slot { head: 0, record: 0, child: left }, right]);
            // Release: whoever gets the root gets its slots.
            self.root.store(root, Ordering::Release);
        }
    }

    /// The smallest key.
    pub(crate) fn first(&self) -> Option<Place> {
        let leaf = self.edge(self.root(), |_| 0);
        let ranks = self.node(leaf).ranks();
        (ranks.count() > 0).then_some(Place { leaf, ranks, rank: 0 })
    }

    /// The largest key.
    pub(crate) fn last(&self) -> Option<Place> {
        let leaf = self.edge(self.root(), |ranks| ranks.count() - 1);
        let ranks = self.node(leaf).ranks();
        let rank = ranks.count().checked_sub(1)?;
        Some(Place { leaf, ranks, rank })
    }

    /// The neighbour of a key.
    pub(crate) fn seek(&self, arena: &Arena, probe: Probe<'_>, seek: Seek) -> Option<Place> {
        let mut path = Path::default();
        let leaf = self.descend(self.root(), arena, probe, |step| path.push(step));
        match seek {
            Seek::AtLeast | Seek::Above => self.first_from(path, leaf, arena, probe, seek),
            Seek::Below => self.last_below(path, leaf, arena, probe),
        }
    }

    fn first_from(
        &self,
        mut path: Path,
        leaf: u32,
        arena: &Arena,
        probe: Probe<'_>,
        seek: Seek,
    ) -> Option<Place> {
        let node = self.node(leaf);
        let ranks = node.ranks();
        let rank = match seek {
            Seek::Above => node.upper_bound(ranks, arena, probe),
            _ => node.lower_bound(ranks, arena, probe),
        };
        if rank < ranks.count() {
            return Some(Place { leaf, ranks, rank });
        }
        while let Some(Step { node, ranks, rank }) = path.pop() {
            if rank + 1 < ranks.count() {
                let child = self.node(node).child(ranks.slot(rank + 1));
                let leaf = self.edge(child, |_| 0);
                return Some(Place { leaf, ranks: self.node(leaf).ranks(), rank: 0 });
            }
        }
        None
    }

    /// A split may be under way, and a node to the left may still hold keys that are not below the
    /// probe. So the way down goes by the probe again, not along the right edge.
    fn last_below(
        &self,
        mut path: Path,
        mut leaf: u32,
        arena: &Arena,
        probe: Probe<'_>,
    ) -> Option<Place> {
        loop {
            let ranks = self.node(leaf).ranks();
            if let Some(rank) = self.node(leaf).lower_bound(ranks, arena, probe).checked_sub(1) {
                return Some(Place { leaf, ranks, rank });
            }
            let (step, before) = loop {
                let step = path.pop()?;
                if let Some(before) = step.rank.checked_sub(1) {
                    break (step, before);
                }
            };
            let from = if let Some(child) = self.node(step.node).child_at(step.ranks, before) {
                path.push(Step { rank: before, ..step });
                child
            } else {
                // That child was split since the way here led past it: once more from above.
                path = Path::default();
                self.root()
            };
            leaf = self.descend(from, arena, probe, |step| path.push(step));
        }
    }

    /// The place behind this one in the same leaf; further on one has to seek.
    pub(crate) fn next_in_leaf(place: Place) -> Option<Place> {
        let rank = place.rank + 1;
        (rank < place.ranks.count()).then_some(Place { rank, ..place })
    }

    /// The newest records of the leaf of a place, from the place on.
    pub(crate) fn records_from(&self, place: Place) -> impl Iterator<Item = Handle> {
        let leaf = self.node(place.leaf);
        let slots = (place.rank..place.ranks.count()).map(move |rank| place.ranks.slot(rank));
        slots.filter_map(|slot| leaf.record(slot))
    }

    /// The newest record at a place.
    pub(crate) fn record_at(&self, place: Place) -> Handle {
        let record = self.node(place.leaf).record(place.ranks.slot(place.rank));
        record.expect("a leaf's slots have records")
    }

    #[inline]
    fn root(&self) -> u32 {
        // Acquire: pairs with the release of `lead`; the root's slots are written.
        self.root.load(Ordering::Acquire)
    }

    #[inline]
    fn node(&self, index: u32) -> &Node {
        self.nodes.get((index & !LEAF) as usize)
    }

    /// A new node with these slots in this order. Nobody knows of it yet.
    fn make(&self, as_leaf: bool, slots: &[Slot]) -> u32 {
        let index = u32::try_from(self.nodes.make()).expect("the other bits number the nodes");
        let node = self.node(index);
        let mut ranks = Ranks::default();
        for (rank, slot) in slots.iter().enumerate() {
            node.write(rank, *slot);
            ranks = ranks.insert(rank);
        }
        // Relaxed: whoever leads readers here releases the whole node.
        node.order.store(ranks.0, Ordering::Relaxed);
        if as_leaf { index | LEAF } else { index }
    }

    /// Goes down to the leaf where a key belongs; `visit` gets each step.
    #[inline]
    fn descend(
        &self,
        from: u32,
        arena: &Arena,
        probe: Probe<'_>,
        mut visit: impl FnMut(Step),
    ) -> u32 {
        let mut index = from;
        loop {
            if is_leaf(index) {
                return index;
            }
            let node = self.node(index);
            let ranks = node.ranks();
            let rank = node.upper_bound(ranks, arena, probe).saturating_sub(1);
            if let Some(child) = node.child_at(ranks, rank) {
                visit(Step { node: index, ranks, rank });
                index = child;
            }
        }
    }

    /// Goes down by the rank that `side` chooses.
    fn edge(&self, from: u32, side: impl Fn(Ranks) -> usize) -> u32 {
        let mut index = from;
        while !is_leaf(index) {
            let ranks = self.node(index).ranks();
            index = self.node(index).child_at(ranks, side(ranks)).unwrap_or(index);
        }
        index
    }
}

impl Node {
    #[inline]
    fn ranks(&self) -> Ranks {
        // Acquire: pairs with the release that put the last slot in.
        Ranks(self.order.load(Ordering::Acquire))
    }

    #[inline]
    fn head(&self, slot: usize) -> u64 {
        // Relaxed: written before the order that led here.
        self.heads[slot].load(Ordering::Relaxed)
    }

    #[inline]
    fn record(&self, slot: usize) -> Option<Handle> {
        // Acquire: pairs with the release of a newer version; the record is written.
        Handle::from_bits(self.records[slot].load(Ordering::Acquire))
    }

    #[inline]
    fn child(&self, slot: usize) -> u32 {
        // Acquire: pairs with the release of a split; the child's slots are written.
        self.children[slot].load(Ordering::Acquire)
    }

    /// The child at a rank, unless the order has changed: then it may be the lower part of what
    /// stood there, and the order that was seen does not know the upper part. A node's order
    /// changes fifteen times at most, so that nobody looks again for ever.
    #[inline]
    fn child_at(&self, ranks: Ranks, rank: usize) -> Option<u32> {
        let child = self.child(ranks.slot(rank));
        (self.ranks() == ranks).then_some(child)
    }

    fn read(&self, slot: usize) -> Slot {
        let record = self.record(slot).map_or(0, Handle::bits);
        Slot { head: self.head(slot), record, child: self.child(slot) }
    }

    /// Relaxed, all three: no reader knows of the slot until the order is released.
    fn write(&self, slot: usize, it: Slot) {
        self.heads[slot].store(it.head, Ordering::Relaxed);
        self.records[slot].store(it.record, Ordering::Relaxed);
        self.children[slot].store(it.child, Ordering::Relaxed);
    }

    /// How the key of a slot compares with the probe.
    #[inline]
    fn compare(&self, slot: usize, arena: &Arena, probe: Probe<'_>) -> Order {
        self.head(slot).cmp(&probe.head).then_with(|| {
            let record = self.record(slot);
            record.map_or(Order::Less, |it| arena.record(it).key.cmp(probe.key))
        })
    }

    /// The ranks whose heads are the probe's: all before them are below it, all behind above.
    #[inline]
    fn equals(&self, ranks: Ranks, probe: Probe<'_>) -> Range<usize> {
        let (mut below, mut not_above) = (0, 0);
        for slot in 0..ranks.count() {
            let head = self.head(slot);
            below += usize::from(head < probe.head);
            not_above += usize::from(head <= probe.head);
        }
        below..not_above
    }

    /// The first rank whose key is not below the probe.
    #[inline]
    fn lower_bound(&self, ranks: Ranks, arena: &Arena, probe: Probe<'_>) -> usize {
        let equals = self.equals(ranks, probe);
        partition(ranks, equals, |slot| self.compare(slot, arena, probe) == Order::Less)
    }

    /// The first rank whose key is above the probe.
    #[inline]
    fn upper_bound(&self, ranks: Ranks, arena: &Arena, probe: Probe<'_>) -> usize {
        let equals = self.equals(ranks, probe);
        partition(ranks, equals, |slot| self.compare(slot, arena, probe) != Order::Greater)
    }

    #[inline]
    fn record_if_equal(
        &self,
        ranks: Ranks,
        rank: usize,
        arena: &Arena,
        probe: Probe<'_>,
    ) -> Option<Handle> {
        let slot = (rank < ranks.count()).then(|| ranks.slot(rank))?;
        (self.compare(slot, arena, probe) == Order::Equal).then(|| self.record(slot)).flatten()
    }
}

#[inline]
fn is_leaf(index: u32) -> bool {
    index & LEAF != 0
}

/// The first of these ranks whose slot is not `before`, by halves.
#[inline]
fn partition(ranks: Ranks, among: Range<usize>, mut before: impl FnMut(usize) -> bool) -> usize {
    let Range { start: mut low, end: mut high } = among;
    while low < high {
        let middle = low.midpoint(high);
        if before(ranks.slot(middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
