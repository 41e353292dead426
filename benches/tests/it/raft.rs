//! Replicated logs under `check::suite::consensus`.

use std::sync::Arc;

use benches::adapters::cluster::{
    Cluster, Conforming, Log, PATIENCE, Shared, client_runtime, openraft, raft as ours,
    raft_rs as theirs,
};
use benches::adapters::replica::{Kept, Machine, Summed};
use benches::adapters::{raft, raft_rs};
use env::clock::{Clock, MonotonicClock};
use harness::check::suite::Report;
use harness::check::suite::consensus::examine;
use harness::contract::Consensus;
use tokio::task::JoinSet;

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

/// A node that was held up until the others' logs had been compacted has all of it in the end.
#[test]
fn who_was_held_up_catches_up() {
    const COMMANDS: u64 = 40_000;
    const IN_FLIGHT: u64 = 512;
    fn held_up<C: Cluster<Summed>>() {
        let cluster = Arc::new(C::start(3, Log::Memory).expect("it starts"));
        let clients = async {
            let mut clients = JoinSet::new();
            for _ in 0..IN_FLIGHT {
                let cluster = Arc::clone(&cluster);
                clients.spawn(async move {
                    for _ in 0..COMMANDS / IN_FLIGHT {
                        cluster.submit(vec![7; 8].into()).await.expect("the leader stays");
                    }
                });
            }
            clients.join_all().await;
        };
        let sent = COMMANDS / IN_FLIGHT * IN_FLIGHT;
        {
            let _held = cluster.machines()[2].lock();
            client_runtime().block_on(clients);
        }
        let clock = MonotonicClock::new();
        let end = clock.now() + PATIENCE;
        let sums = || cluster.machines().iter().map(|it| it.lock().payloads()).collect::<Vec<_>>();
        let has_all = |it: &Shared<Summed>| it.lock().count() == sent;
        while !cluster.machines().iter().all(has_all) {
            assert!(clock.now() < end, "{} stays behind: {:?}", C::NAME, sums());
            std::thread::yield_now();
        }
        let sums = sums();
        assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    }
    // Ours would not come so far: whoever is there for a node, a client too, waits for its machine.
    held_up::<theirs::RaftRs<Summed, false>>();
    held_up::<openraft::OpenRaft<Summed, false>>();
}

#[test]
fn a_machine_is_what_was_saved_of_another() {
    fn saved_and_loaded<M: Machine>() {
        let (mut one, mut other) = (M::default(), M::default());
        other.apply(b"to be forgotten");
        for payload in [&b"a payload"[..], b"", b"another one"] {
            one.apply(payload);
        }
        other.load(&one.save());
        assert_eq!((other.count(), other.payloads()), (one.count(), one.payloads()));
    }
    saved_and_loaded::<Kept>();
    saved_and_loaded::<Summed>();
}
