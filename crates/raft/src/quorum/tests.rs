//! The arithmetic against its definition: try every subset.

use proptest::prelude::*;

use super::{Tally, majority, reached, reached_jointly, tally, tally_jointly};
use crate::mutants::{Bug, with};
use crate::types::NodeId;

fn ids(mask: u8) -> Vec<NodeId> {
    (0..8_u8).filter(|bit| mask >> bit & 1 == 1).map(|bit| NodeId(u64::from(bit))).collect()
}

/// The sets that contain more than half of `voters`.
fn majorities(voters: u8) -> impl Iterator<Item = u8> {
    let needed = voters.count_ones() / 2;
    (0..=u8::MAX).filter(move |set| voters == 0 || (set & voters).count_ones() > needed)
}

/// By definition: the best that some majority, as its worst member, has reached.
fn slow_reached(voters: u8, numbers: &[u64; 8]) -> u64 {
    let worst = |set: u8| {
        let members = (0..8).filter(|bit| set & voters & (1 << bit) != 0);
        members.map(|bit| numbers[bit]).min().unwrap_or(u64::MAX)
    };
    majorities(voters).map(worst).max().expect("there is a majority")
}

/// By definition: won if some majority said yes, lost if none can any more.
fn slow_tally(voters: u8, yes: u8, no: u8) -> Tally {
    let can = |set: &u8, granted: u8| set & voters & !granted == 0;
    if majorities(voters).any(|set| can(&set, yes)) {
        Tally::Won
    } else if majorities(voters).any(|set| can(&set, !no)) {
        Tally::Pending
    } else {
        Tally::Lost
    }
}

fn at(numbers: [u64; 8]) -> impl Fn(NodeId) -> u64 {
    move |id| numbers[usize::try_from(id.0).expect("eight nodes")]
}

fn votes(yes: u8, no: u8) -> impl Fn(NodeId) -> Option<bool> {
    move |id| {
        let bit = 1 << id.0;
        if yes & bit != 0 { Some(true) } else { (no & bit != 0).then_some(false) }
    }
}

proptest! {
    #[test]
    fn committed_index_is_what_some_majority_of_each_half_has(
        new in any::<u8>(), old in any::<u8>(), numbers in prop::array::uniform8(0_u64..9),
    ) {
        let (fast, slow) = (reached(&ids(new), at(numbers)), slow_reached(new, &numbers));
        prop_assert_eq!(fast, slow);
        let joint = reached_jointly(&ids(new), &ids(old), at(numbers));
        prop_assert_eq!(joint, slow.min(slow_reached(old, &numbers)));
    }

    #[test]
    fn vote_result_is_what_some_majority_of_each_half_says(
        new in any::<u8>(), old in any::<u8>(), yes in any::<u8>(), no in any::<u8>(),
    ) {
        let no = no & !yes;
        let slow = slow_tally(new, yes, no);
        prop_assert_eq!(tally(&ids(new), votes(yes, no)), slow);
        let expected = match (slow, slow_tally(old, yes, no)) {
            (Tally::Won, Tally::Won) => Tally::Won,
            (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
            _ => Tally::Pending,
        };
        prop_assert_eq!(tally_jointly(&ids(new), &ids(old), votes(yes, no)), expected);
    }
}

#[test]
fn more_voters_than_fit_on_the_stack() {
    let many: Vec<_> = (0..101).map(NodeId).collect();
    assert_eq!(reached(&many, |id| id.0), 50);
    assert_eq!(majority(101), 51);
}

#[test]
fn planted_bugs_are_caught() {
    let numbers = [1, 9, 1, 0, 0, 0, 0, 0];
    for bug in [Bug::QuorumNotSorted, Bug::QuorumOneShort] {
        let found = with(bug, || reached(&ids(0b111), at(numbers)));
        assert_ne!(found, slow_reached(0b111, &numbers), "{bug:?}");
    }
}

/// By hand: acknowledged indices, 0 where nothing is known, of voters 1 to n.
#[test]
fn committed_index_of_majorities() {
    let of = |acknowledged: &[u64]| {
        let voters: Vec<_> = (0..acknowledged.len() as u64).map(NodeId).collect();
        reached(&voters, |id| acknowledged[usize::try_from(id.0).expect("it is small")])
    };
    assert_eq!(of(&[12]), 12, "one alone");
    assert_eq!(of(&[0]), 0);
    assert_eq!(of(&[12, 5]), 5, "of two, both");
    assert_eq!(of(&[12, 5, 0]), 5, "two of three");
    assert_eq!(of(&[12, 0, 0]), 0);
    assert_eq!(of(&[100, 101, 103, 104]), 101, "three of four");
    assert_eq!(of(&[103, 104, 100, 101, 102]), 102, "three of five, in any order");
    assert_eq!(of(&[7; 7]), 7);
}

#[test]
fn committed_index_of_joint_quorums() {
    let all = [100, 101, 99, 98, 50, 200, 1, 0];
    let of = |new, old| reached_jointly(&ids(new), &ids(old), at(all));
    assert_eq!(of(0b0000_0111, 0b0000_0111), 100, "the same half twice");
    assert_eq!(of(0b0000_0111, 0b0011_1000), 98, "halves without a common voter");
    assert_eq!(of(0b0000_0011, 0b1100_0000), 0, "the slower half decides");
    assert_eq!(of(0b0000_0111, 0), 100, "an empty half has reached everything");
    assert_eq!(of(0, 0), u64::MAX);
}

#[test]
fn vote_results_of_joint_quorums() {
    let of = |new, old, yes, no| tally_jointly(&ids(new), &ids(old), votes(yes, no)).to_string();
    assert_eq!(of(0b111, 0b111, 0b011, 0), "won");
    assert_eq!(of(0b000_111, 0b111_000, 0b000_011, 0), "pending", "one half says nothing");
    assert_eq!(of(0b000_111, 0b111_000, 0b011_011, 0), "won");
    assert_eq!(of(0b000_111, 0b111_000, 0b000_011, 0b011_000), "lost", "one half is against it");
    assert_eq!(of(0b1, 0, 0, 0b1), "lost");
    assert_eq!(of(0, 0, 0, 0), "won");
}
