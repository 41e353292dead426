//! Part 3A: who leads.

use super::*;

#[test]
pub(super) fn test_initial_election_3a() {
    let mut lab = Lab::new(3);
    let leader = lab.leader();
    lab.pass(50);
    let term = lab.term(leader);
    assert!(term >= Some(1) && (0..3).all(|at| lab.term(at) == term), "all are in one term");
    lab.pass(2 * ELECTION);
    assert_eq!(lab.term(leader), term, "nothing happens while nothing fails");
    assert_eq!(lab.leader(), leader);
}

#[test]
pub(super) fn test_re_election_3a() {
    let mut lab = Lab::new(3);
    let first = lab.leader();
    lab.connect(first, false);
    let second = lab.leader();
    assert_ne!(second, first);
    lab.connect(first, true);
    assert_eq!(lab.leader(), second, "who comes back disturbs nobody");
    let other = lab.others(second)[0];
    lab.connect(second, false);
    lab.connect(other, false);
    lab.pass(2 * ELECTION);
    lab.require_no_leader();
    lab.connect(other, true);
    let third = lab.leader();
    lab.connect(second, true);
    assert_eq!(lab.leader(), third);
}

#[test]
pub(super) fn test_many_elections_3a() {
    let mut lab = Lab::new(7);
    lab.leader();
    for _ in 1..10 {
        let cut: Vec<_> = (0..3).map(|_| lab.below(7)).collect();
        lab.connect_all(&cut, false);
        lab.leader();
        lab.connect_all(&cut, true);
    }
    lab.leader();
}
