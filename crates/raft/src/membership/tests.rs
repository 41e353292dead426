use proptest::prelude::*;

use super::{Change, ConfigurationError};
use crate::types::{Configuration, Incarnation, NodeId};

const DISK: Incarnation = Incarnation(0);

/// A disk that is not the first of its server.
const NEW_DISK: Incarnation = Incarnation(7);

/// Servers from 4 on have the disks of witnesses.
fn change() -> impl Strategy<Value = Change> {
    (0..3_u8, 1..6_u64, any::<bool>()).prop_map(move |(kind, id, is_new)| {
        let disk = match (id, is_new) {
            (4.., _) => Incarnation::witness(0),
            (_, true) => NEW_DISK,
            (_, false) => DISK,
        };
        match kind {
            0 => Change::AddVoter(NodeId(id), disk),
            1 => Change::AddLearner(NodeId(id), disk),
            _ => Change::Remove(NodeId(id)),
        }
    })
}

/// Whether each majority of the one meets each of the other: by trying all sets of five servers'
/// disks, two of each. Who has another disk is somebody else.
fn always_meet(one: &Configuration, other: &Configuration) -> bool {
    use crate::quorum::Tally::Won;
    let decides = |configuration: &Configuration, set: u16| {
        configuration.tally(|id| {
            let is_new = configuration.incarnation(id) == Some(NEW_DISK);
            (set >> (2 * (id.0 - 1) + u64::from(is_new)) & 1 == 1).then_some(true)
        }) == Won
    };
    (0..1 << 10).filter(|&set| decides(one, set)).all(|set| !decides(other, !set))
}

/// Whether each majority has a voter that keeps commands: by trying all sets of witnesses.
fn always_has_a_copy(configuration: &Configuration) -> bool {
    use crate::quorum::Tally::Won;
    configuration.tally(|id| configuration.is_witness(id).then_some(true)) != Won
}

proptest! {
    #[test]
    fn each_majority_has_a_copy(changes in prop::collection::vec(change(), 1..8)) {
        let mut now = Configuration::founding([1, 2, 3].map(NodeId));
        for change in changes {
            let next = now.joint(&[change], true);
            let Ok(joint) = next else { continue };
            prop_assert!(always_has_a_copy(&joint));
            now = joint.left().expect("it is joint");
            prop_assert!(now.is_sound() && always_has_a_copy(&now), "{:?}", now);
        }
    }

    #[test]
    fn neighbours_always_meet(changes in prop::collection::vec(change(), 1..5)) {
        let old = Configuration::founding([1, 2, 3].map(NodeId));
        if let Ok(next) = old.simple(&changes) {
            next.check_invariants();
            prop_assert!(always_meet(&old, &next));
        }
        if let Ok(joint) = old.joint(&changes, true) {
            joint.check_invariants();
            let new = joint.left().expect("it is joint");
            new.check_invariants();
            prop_assert!(always_meet(&old, &joint) && always_meet(&joint, &new));
        }
    }
}

#[test]
fn what_is_refused_and_why() {
    let old = Configuration::founding([1, 2, 3].map(NodeId));
    let add = |id| Change::AddVoter(NodeId(id), DISK);
    let error = old.simple(&[add(4), add(5)]);
    assert_eq!(error, Err(ConfigurationError::TooManyVoters { count: 2 }));
    let joint = old.joint(&[add(4), Change::Remove(NodeId(1))], true).expect("joint changes any");
    assert_eq!(joint.simple(&[add(5)]), Err(ConfigurationError::IsJoint));
    assert!(joint.is_voter(NodeId(1)), "C_old decides too");
    assert_eq!(old.left(), Err(ConfigurationError::NotJoint));
    let nobody = [1, 2, 3].map(|id| Change::Remove(NodeId(id)));
    assert_eq!(old.joint(&nobody, true), Err(ConfigurationError::NoVoters));
    let wiped = Change::AddLearner(NodeId(2), Incarnation(7));
    let other = ConfigurationError::OtherIncarnation { id: NodeId(2), known: DISK };
    assert_eq!(old.simple(&[wiped]), Err(other));
    let replaced = [Change::Remove(NodeId(2)), Change::AddVoter(NodeId(2), Incarnation(7))];
    assert_eq!(old.simple(&replaced), Err(other), "two voters would change");
    assert_eq!(old.joint(&replaced, true), Err(other), "both would vote under one name");
    assert_eq!(old.simple(&[add(1)]).as_ref(), Ok(&old), "it is so already");
    let nobody_yet = Configuration::default();
    assert_eq!(nobody_yet.joint(&[add(1)], true), Err(ConfigurationError::NoVoters));
    assert!(old.simple(&[Change::Remove(NodeId(2))]).is_ok());
    let witness = Change::AddVoter(NodeId(4), Incarnation::witness(1));
    let two = old.joint(&[witness, Change::Remove(NodeId(1))], true).expect("one of three");
    let two = two.left().expect("it is joint");
    let error = ConfigurationError::TooManyWitnesses { witnesses: 1, voters: 1 };
    let others = [Change::Remove(NodeId(2)), Change::Remove(NodeId(3))];
    assert_eq!(two.joint(&others, true), Err(error), "nobody would keep commands");
}
