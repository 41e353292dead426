//! Part 3D: logs that are cut, and servers that need what was cut off.

use super::*;

/// Most bytes of entries that a log may have with snapshots every ten commands.
const LOG_MAX: u64 = 2_000;

/// Bytes of the longest log.
fn longest_log(lab: &Lab) -> u64 {
    let of = |raft: &Raft<MemoryStorage>| {
        let (first, last) = (raft.storage().first_index(), raft.storage().last_index());
        raft.storage().entries(first..last + 1, u64::MAX).expect("memory can be read").bytes()
    };
    lab.servers.iter().filter_map(|server| server.raft.as_ref().map(of)).max().unwrap_or(0)
}

/// Rounds in which one server misses what is agreed on, by being cut off or crashed.
fn install(mut lab: Lab, disconnects: bool, crashes: bool) {
    lab.one(3);
    let mut leader = lab.leader();
    for round in 0..30 {
        let (mut victim, mut sender) = (lab.others(leader)[0], leader);
        if round % 3 == 1 {
            (victim, sender) = (sender, victim);
        }
        if disconnects {
            lab.connect(victim, false);
            lab.one(2);
        }
        if crashes {
            lab.crash(victim);
            lab.one(2);
        }
        let count = SNAPSHOT_EVERY / 2 + lab.below(SNAPSHOT_EVERY);
        for _ in 0..count {
            let command = lab.command();
            lab.start(sender, &command);
        }
        if disconnects || crashes {
            lab.one(2);
        } else {
            // Without one of them nobody would notice that a snapshot is late.
            lab.one(3);
        }
        let longest = longest_log(&lab);
        assert!(longest < LOG_MAX, "a log has {longest} bytes in round {round}");
        if disconnects {
            lab.connect(victim, true);
            lab.one(3);
            leader = lab.leader();
        }
        if crashes {
            lab.restart(victim);
            lab.connect(victim, true);
            lab.one(3);
            leader = lab.leader();
        }
    }
    let snapshots = lab.servers.iter().filter_map(|server| server.raft.as_ref());
    let last = |raft: &Raft<MemoryStorage>| raft.storage().snapshot_meta().last.index.0;
    assert!(snapshots.map(last).all(|last| last > 100), "every server has snapshots");
}

#[test]
pub(super) fn test_snapshot_basic_3d() {
    install(Lab::with_snapshots(3), false, false);
}

#[test]
pub(super) fn test_snapshot_install_3d() {
    install(Lab::with_snapshots(3), true, false);
}

#[test]
pub(super) fn test_snapshot_install_unreliable_3d() {
    install(Lab { makes_snapshots: true, ..Lab::unreliable(3) }, true, false);
}

#[test]
pub(super) fn test_snapshot_install_crash_3d() {
    install(Lab::with_snapshots(3), false, true);
}

#[test]
pub(super) fn test_snapshot_install_un_crash_3d() {
    install(Lab { makes_snapshots: true, ..Lab::unreliable(3) }, false, true);
}

#[test]
pub(super) fn test_snapshot_all_crash_3d() {
    let mut lab = Lab::with_snapshots(3);
    lab.one(3);
    for _ in 0..5 {
        let count = SNAPSHOT_EVERY / 2 + lab.below(SNAPSHOT_EVERY);
        for _ in 0..count {
            lab.one(3);
        }
        let before = lab.one(3);
        (0..3).for_each(|at| lab.crash(at));
        (0..3).for_each(|at| lab.restart(at));
        let after = lab.one(3);
        assert!(after > before, "the log went back from {before} to {after}");
    }
}

#[test]
pub(super) fn test_snapshot_init_3d() {
    let mut lab = Lab::with_snapshots(3);
    for _ in 0..=SNAPSHOT_EVERY {
        lab.one(3);
    }
    (0..3).for_each(|at| lab.crash(at));
    (0..3).for_each(|at| lab.restart(at));
    // One command makes them write again, and not make another snapshot.
    lab.one(3);
    let known = lab.agreements();
    (0..3).for_each(|at| lab.crash(at));
    (0..3).for_each(|at| lab.restart(at));
    lab.one(3);
    for server in &lab.servers {
        assert_eq!(server.applied.len(), known + 1, "the snapshot is kept over two restarts");
    }
}
