use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{NodeId, QuotaTree, Share, TreeError};
use crate::{Clock, Decision, ManualClock, Quota, QuotaError, Timestamp};

/// A bucket in parts of `1 / period` cell that counts down.
#[derive(Clone, Debug)]
struct Bucket {
    stored: i128,
    rate: i128,
    full: i128,
}

impl Bucket {
    fn new(cells: u64, burst: u64, period: u64) -> Self {
        let full = i128::from(burst) * i128::from(period);
        Self { stored: full, rate: cells.into(), full }
    }

    fn advance(&mut self, nanos: u64) {
        self.stored = (self.stored + self.rate * i128::from(nanos)).min(self.full);
    }
}

/// A root with two children, of which the second has two children and a ceiling.
struct Oracle {
    own: [Bucket; 5],
    ceiling: Bucket,
    period: i128,
}

const PARENT: [Option<usize>; 5] = [None, Some(0), Some(0), Some(2), Some(2)];
const PERIOD: u64 = 10;
/// Cells and bursts.
const SHARES: [(u64, u64); 5] = [(20, 20), (6, 4), (12, 12), (3, 3), (5, 6)];
const CEILING: (u64, u64) = (16, 14);

impl Oracle {
    fn new() -> Self {
        let own = SHARES.map(|(cells, burst)| Bucket::new(cells, burst, PERIOD));
        let ceiling = Bucket::new(CEILING.0, CEILING.1, PERIOD);
        Self { own, ceiling, period: PERIOD.into() }
    }

    fn advance(&mut self, nanos: u64) {
        self.own.iter_mut().for_each(|bucket| bucket.advance(nanos));
        self.ceiling.advance(nanos);
    }

    fn up(node: usize) -> Vec<usize> {
        std::iter::successors(Some(node), |&id| PARENT[id]).collect()
    }

    /// Who is to pay, if anyone.
    fn payers(&self, node: usize, cost: i128) -> Option<Vec<usize>> {
        if Self::up(node).contains(&2) && self.ceiling.stored < cost {
            return None;
        }
        Self::up(node).into_iter().find_map(|payer| {
            let children = (0..5).filter(|&id| PARENT[id] == Some(payer));
            let promised: i128 = children.map(|id| self.own[id].stored).sum();
            (self.own[payer].stored - promised >= cost).then(|| Self::up(payer))
        })
    }

    fn check(&mut self, node: usize, cells: u64) -> bool {
        let cost = i128::from(cells) * self.period;
        let Some(payers) = self.payers(node, cost) else { return false };
        for payer in payers {
            self.own[payer].stored -= cost;
        }
        if Self::up(node).contains(&2) {
            self.ceiling.stored -= cost;
        }
        true
    }

    /// The invariant of the header.
    fn is_covered(&self) -> bool {
        (0..5).all(|node| {
            let children = (0..5).filter(|&id| PARENT[id] == Some(node));
            self.own[node].stored >= children.map(|id| self.own[id].stored).sum()
        })
    }
}

fn tree() -> (QuotaTree<ManualClock>, [NodeId; 5]) {
    let period = Duration::from_nanos(PERIOD);
    let quota = Quota::new(SHARES[0].0, period).unwrap().with_burst(SHARES[0].1).unwrap();
    let mut tree = QuotaTree::with_clock(quota, ManualClock::default());
    let share = |node: usize| {
        let (cells, burst) = SHARES[node];
        Share { cells, burst, ceiling: (node == 2).then_some(CEILING) }
    };
    let root = tree.root();
    let one = tree.add(root, share(1)).unwrap();
    let two = tree.add(root, share(2)).unwrap();
    let three = tree.add(two, share(3)).unwrap();
    let four = tree.add(two, share(4)).unwrap();
    (tree, [root, one, two, three, four])
}

proptest! {
    #[test]
    fn a_tree_lends_what_the_definition_says(
        requests in vec((0..12_u64, 0..5_usize, 1..7_u64), 1..80)
    ) {
        let (tree, nodes) = tree();
        let mut oracle = Oracle::new();
        for (step, node, cells) in requests {
            tree.clock().advance(Duration::from_nanos(step));
            oracle.advance(step);
            let guaranteed = [1, 3, 4].contains(&node)
                && oracle.own[node].stored >= i128::from(cells * PERIOD)
                && (!Oracle::up(node).contains(&2)
                    || oracle.ceiling.stored >= i128::from(cells * PERIOD));
            let peeked = tree.peek_at(tree.clock().now(), nodes[node], cells);
            let decision = tree.check_at(tree.clock().now(), nodes[node], cells);
            prop_assert_eq!(peeked, decision);
            match decision {
                Decision::Admitted => prop_assert!(oracle.check(node, cells)),
                Decision::Denied(denial) => {
                    prop_assert!(!guaranteed, "node {} has {} cells of its own", node, cells);
                    prop_assert!(oracle.payers(node, i128::from(cells * PERIOD)).is_none());
                    let (mut later, wait) = (Oracle::new(), denial.retry_after());
                    later.own.clone_from_slice(&oracle.own);
                    later.ceiling = oracle.ceiling.clone();
                    later.advance(u64::try_from(wait.as_nanos()).unwrap());
                    prop_assert!(later.check(node, cells), "not certain after {:?}", wait);
                }
                Decision::Impossible { burst } => prop_assert!(cells > burst),
            }
            prop_assert!(oracle.is_covered(), "a node stores less than its children");
        }
    }
}

#[test]
fn children_may_not_be_promised_more_than_there_is() {
    let mut tree = QuotaTree::with_clock(Quota::per_second(10).unwrap(), ManualClock::default());
    let share = |cells, burst| Share { cells, burst, ceiling: None };
    tree.add(tree.root(), share(6, 6)).unwrap();
    let oversold = |result: Result<NodeId, TreeError>| result.unwrap_err();
    assert_eq!(
        oversold(tree.add(tree.root(), share(5, 1))),
        TreeError::Oversold { cells: 11, burst: 7 }
    );
    assert_eq!(
        oversold(tree.add(tree.root(), share(1, 5))),
        TreeError::Oversold { cells: 7, burst: 11 }
    );
    assert_eq!(oversold(tree.add(tree.root(), share(0, 1))), QuotaError::NoCells.into());
    tree.add(tree.root(), share(4, 4)).unwrap();
}

/// HTB and its like let a child that wakes up push the total above the parent's rate, or make it
/// wait for what was lent. Here neither happens.
#[test]
fn like_lending_away_what_is_guaranteed() {
    let mut tree = QuotaTree::with_clock(Quota::per_second(100).unwrap(), ManualClock::default());
    let share = |cells| Share { cells, burst: cells, ceiling: None };
    let greedy = tree.add(tree.root(), share(10)).unwrap();
    let sleepy = tree.add(tree.root(), share(60)).unwrap();
    let mut total = 0;
    for _ in 0..1_000 {
        tree.clock().advance(Duration::from_millis(10));
        while tree.check(greedy).is_admitted() {
            total += 1;
        }
    }
    // Ten seconds of the root, and its burst but for what the sleepy one stores; one cell
    // overflowed at first, and one is on its way into the greedy one's own bucket.
    assert_eq!(total, 1_000 + 100 - 60 - 2);
    for _ in 0..60 {
        assert!(tree.check(sleepy).is_admitted(), "a guarantee was lent away");
    }
    assert!(!tree.check(sleepy).is_admitted());
    assert!(!tree.check(greedy).is_admitted());
}

#[test]
fn a_clock_that_jumps_anywhere_neither_wraps_nor_panics() {
    let largest = Quota::new(1 << 60, Duration::from_nanos(1 << 62)).unwrap();
    let mut tree = QuotaTree::with_clock(largest, ManualClock::default());
    let share = Share { cells: 1 << 59, burst: 1 << 59, ceiling: Some((1 << 58, 1 << 58)) };
    let node = tree.add(tree.root(), share).unwrap();
    let mut total = 0;
    for now in [Timestamp::ZERO, Timestamp::MAX, Timestamp::ZERO, Timestamp::MAX] {
        let decision = tree.check_at(now, node, 1 << 58);
        total += u64::from(decision.is_admitted());
        assert!(matches!(tree.check_at(now, node, u64::MAX), Decision::Impossible { .. }));
    }
    assert_eq!(total, 2, "the ceiling at first, and at the end; nothing for going back");
}
