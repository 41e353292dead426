//! What is refused, and what a recovered store is.

use super::{Recovery, RecoveryError, Survivor, TERMS};
use crate::storage::{MemoryStorage, Storage};
use crate::{Config, Configuration, Incarnation, Index, NodeId, Raft, Term};

const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

const fn survivor() -> Survivor<'static> {
    let (id, disk, new_disk) = (NodeId(1), Incarnation(0), Incarnation(77));
    Survivor { id, disk, new_disk, given_up: &OTHERS, reachable: &[] }
}

fn founder() -> MemoryStorage {
    MemoryStorage::founding(Configuration::founding([1, 2, 3].map(NodeId)))
}

fn refusal(of: &Survivor<'_>) -> RecoveryError {
    Recovery::plan(&founder(), of).expect_err("it is refused")
}

#[test]
fn what_is_refused_and_why() {
    let reachable = &OTHERS[..1];
    let error = refusal(&Survivor { reachable, ..survivor() });
    assert_eq!(error, RecoveryError::MajorityLeft { reachable: reachable.to_vec() });
    assert!(error.to_string().contains("remove the"), "{error}");
    for given_up in [&OTHERS[..1], &[], &[NodeId(1), NodeId(2), NodeId(3)]] {
        let error = refusal(&Survivor { given_up, ..survivor() });
        let given = given_up.to_vec();
        assert_eq!(error, RecoveryError::Others { expected: OTHERS.to_vec(), given });
    }
    let witness = Survivor { disk: Incarnation::witness(0), ..survivor() };
    assert_eq!(refusal(&witness), RecoveryError::Witness);
    let stranger = Survivor { id: NodeId(9), ..survivor() };
    assert_eq!(refusal(&stranger), RecoveryError::NotMember { id: NodeId(9) });
    for disk in [Incarnation(0), Incarnation::witness(7)] {
        let error = refusal(&Survivor { new_disk: disk, ..survivor() });
        assert_eq!(error, RecoveryError::KnownDisk { disk });
    }
}

/// Cut short between the two things that it writes, it can be done again.
#[test]
fn a_recovery_that_was_cut_short_is_done_again() {
    let renamed = Survivor { disk: Incarnation(77), new_disk: Incarnation(78), ..survivor() };
    assert!(Recovery::plan(&founder(), &renamed).is_ok());
}

#[test]
fn a_survivor_elects_itself_and_goes_on_behind_its_log() {
    let mut storage = founder();
    let recovery = Recovery::plan(&storage, &survivor()).expect("nobody answers");
    let words = recovery.to_string();
    assert!(words.starts_with("UNSAFE RECOVERY") && words.contains("Given up: 2, 3"), "{words}");
    storage.write(recovery.write());
    assert_eq!(storage.last_index(), Index(1));
    let incarnation = recovery.incarnation();
    let config = Config { incarnation, ..Config::new(NodeId(1), 1) };
    let mut raft = Raft::new(config, storage, Index::ZERO).expect("a valid config");
    raft.campaign();
    for _ in 0..8 {
        let ready = raft.ready().expect("memory can be read");
        assert!(ready.messages.is_empty(), "there is nobody to speak to");
        if let Some(write) = ready.write {
            raft.storage_mut().write(&write);
            assert!(raft.persisted(write).is_empty());
        }
        raft.check_invariants();
    }
    assert!(raft.is_leader());
    assert_eq!((raft.status().term, raft.status().commit), (Term(TERMS + 1), Index(2)));
}
