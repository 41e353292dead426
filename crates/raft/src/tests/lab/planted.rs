//! The lab judged by planted bugs: a suite that finds none proves nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{agreement, elections, persistence, snapshots};
use crate::mutants::{Bug, with};

/// All of them, to be tried against planted bugs.
const TESTS: [fn(); 28] = [
    elections::test_initial_election_3a,
    elections::test_re_election_3a,
    elections::test_many_elections_3a,
    agreement::test_basic_agree_3b,
    agreement::test_rpc_bytes_3b,
    agreement::test_follower_failure_3b,
    agreement::test_leader_failure_3b,
    agreement::test_fail_agree_3b,
    agreement::test_fail_no_agree_3b,
    agreement::test_concurrent_starts_3b,
    agreement::test_rejoin_3b,
    agreement::test_backup_3b,
    agreement::test_count_3b,
    persistence::test_persist_1_3c,
    persistence::test_persist_2_3c,
    persistence::test_persist_3_3c,
    persistence::test_figure_8_3c,
    persistence::test_unreliable_agree_3c,
    persistence::test_figure_8_unreliable_3c,
    persistence::test_reliable_churn_3c,
    persistence::test_unreliable_churn_3c,
    snapshots::test_snapshot_basic_3d,
    snapshots::test_snapshot_install_3d,
    snapshots::test_snapshot_install_unreliable_3d,
    snapshots::test_snapshot_install_crash_3d,
    snapshots::test_snapshot_install_un_crash_3d,
    snapshots::test_snapshot_all_crash_3d,
    snapshots::test_snapshot_init_3d,
];

/// Bugs of `mutants` that the lab must find. The others need what it does not have: disks that are
/// slow or lost, changes of members, reads, transfers.
const FOUND: usize = 6;

#[test]
fn planted_bugs_fail_the_lab() {
    let is_found = |bug: &&Bug| {
        TESTS.iter().any(|test| catch_unwind(AssertUnwindSafe(|| with(**bug, test))).is_err())
    };
    let found: Vec<_> = Bug::ALL.iter().filter(is_found).collect();
    println!("{found:?}");
    assert!(found.len() >= FOUND, "only {found:?}");
}
