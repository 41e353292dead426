//! Replicated logs under `check::suite::consensus`.

use benches::adapters::cluster::{
    Cluster, Conforming, Log, Shared, client_runtime, openraft, raft as ours, raft_rs as theirs,
};
use benches::adapters::replica::{Kept, Machine};
use benches::adapters::{raft, raft_rs};
use harness::check::suite::Report;
use harness::check::suite::consensus::examine;
use harness::contract::Consensus;

use crate::known::{Examined, require};

fn examined<C: Consensus>(version: &'static str) -> Examined {
    let report: Report = examine::<C>();
    Examined { contender: C::NAME, version, report }
}

#[test]
fn peers_fail_what_is_written_down_and_ours_nothing() {
    assert_eq!(examine::<raft::Cluster<Kept>>().findings, []);
    let peers = [
        examined::<raft_rs::Cluster<Kept, false>>("0.7.0"),
        examined::<raft_rs::Cluster<Kept, true>>("0.7.0"),
    ];
    require("raft", &peers);
}

/// All of them agree, and lose and repeat nothing, whatever drives them.
#[test]
fn clusters_pass() {
    assert_eq!(examine::<Conforming<ours::Ours<Kept>, Kept>>().findings, []);
    assert_eq!(examine::<Conforming<theirs::RaftRs<Kept, false>, Kept>>().findings, []);
    assert_eq!(examine::<Conforming<theirs::RaftRs<Kept, true>, Kept>>().findings, []);
    assert_eq!(examine::<Conforming<openraft::OpenRaft<Kept, false>, Kept>>().findings, []);
    assert_eq!(examine::<Conforming<openraft::OpenRaft<Kept, true>, Kept>>().findings, []);
}

/// Each command goes to both followers, and their answers come back.
#[test]
fn bytes_on_the_wire_are_counted() {
    const COMMANDS: u64 = 50;
    fn told<C: Cluster<Kept>>() -> u64 {
        let cluster = C::start(3, Log::Memory).expect("it starts");
        let send_all = async {
            for _ in 0..COMMANDS {
                cluster.submit(vec![7; 100].into()).await.expect("the leader stays");
            }
            // One of them may be behind.
            let has_all = |it: &Shared<Kept>| it.lock().count() >= COMMANDS;
            while !cluster.machines().iter().all(has_all) {
                std::thread::yield_now();
            }
        };
        let wire = cluster.wire().expect("it has an encoding");
        wire.during(|| client_runtime().block_on(send_all)) / COMMANDS
    }
    for bytes in [told::<ours::Ours<Kept>>(), told::<theirs::RaftRs<Kept, false>>()] {
        assert!((200..2_000).contains(&bytes), "{bytes} bytes for a command of 100");
    }
}
