//! What a driver does while a disk is slow, a link stalls, a clock jumps or a machine panics.

use std::time::Duration;

use harness::sim::DiskFault;
use raft::{Config, GroupId, NodeId, Term};

use super::client::Habits;
use super::host::{List, Trap};
use super::{Pace, Stage};
use crate::{Error, Options, Packet, Pulse, Word};

const TICK: Duration = Duration::from_millis(15);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn options(id: NodeId) -> Options {
    let config = Config { chunk_bytes: 1 << 10, ..Config::new(id, id.0 * 7 + 1) };
    Options { config, tick: TICK, keep_entries: 4, ..Options::new(id, 0) }
}

/// Groups that make a snapshot for each few hundred commands.
fn small(id: NodeId) -> Options {
    Options { compact_bytes: 4_000, ..options(id) }
}

/// Three nodes, one of which leads.
fn led(seed: u64) -> Stage {
    let mut stage = Stage::new(seed, 3, options);
    stage.run_until("somebody leads", MINUTE, |it| it.leader().is_some());
    stage.run(SECOND);
    stage
}

impl Stage {
    /// Lets what has happened pass, and looks at what comes from now on.
    fn calm_down(&mut self) {
        self.run(SECOND);
        self.history.forget();
    }

    /// Waits until somebody else leads.
    fn elect_without(&mut self, leader: usize) {
        let others = |it: &Self| it.leader().is_some_and(|at| at != leader);
        self.run_until("the others elect", 2 * SECOND, others);
    }
}

/// Lets clients come to an end, and checks what they were told.
fn end(mut stage: Stage) -> usize {
    stage.accustom(Habits::IDLE);
    stage.run_until("everybody has an answer", MINUTE, |it| it.waiting() == 0);
    stage.run(SECOND);
    stage.check()
}

/// Syncs of a host, and entries that it has applied.
fn counts(stage: &Stage, at: usize) -> (u64, u64) {
    let stats = stage.hosts[at].node.stats();
    (stats.syncs, stats.applied)
}

/// So many eager clients of one leader, on a disk whose syncs take 200 to 300 us.
fn loaded(seed: u64, clients: usize) -> (Stage, usize) {
    let mut stage = led(seed);
    let leader = stage.leader().expect("somebody leads");
    stage.invite(clients, Habits::EAGER);
    // They find the leader, and the group its rhythm.
    stage.calm_down();
    (stage, leader)
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let (mut stage, _) = loaded(seed, 8);
        stage.run(SECOND / 10);
        (stage.trace, end(stage))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_client_alone_waits_for_its_sync_and_nothing_else() {
    let (mut stage, _) = loaded(1, 1);
    stage.run(SECOND);
    assert!(stage.history.latencies.len() > 1_000, "{}", stage.history.latencies.len());
    // A way there, the sync of the faster follower, a way back, and what threads take to wake up.
    let calls = u32::try_from(stage.history.latencies.len()).expect("few");
    let mean = stage.history.latencies.iter().sum::<Duration>() / calls;
    assert!(mean < Duration::from_micros(25 + 240 + 25 + 60), "{mean:?}");
    end(stage);
}

#[test]
fn all_who_come_back_share_a_sync() {
    for clients in [2, 8, 32, 200] {
        let (mut stage, leader) = loaded(2, clients);
        let before = counts(&stage, leader);
        stage.run(SECOND);
        let after = counts(&stage, leader);
        let shared = (after.1 - before.1) as f64 / (after.0 - before.0) as f64;
        assert!(shared > 0.9 * clients as f64, "{shared} of {clients} to a sync");
        end(stage);
    }
}

/// Some clients go away in the midst of a call. Nobody waits for them for long, or often.
#[test]
fn who_does_not_come_back_is_not_waited_for() {
    let (mut stage, leader) = loaded(3, 32);
    let vain = Habits { drops: 300, thought: Duration::from_millis(3), ..Habits::EAGER };
    stage.accustom(vain);
    stage.run(SECOND);
    assert!(stage.history.dropped > 1_000, "{} calls were dropped", stage.history.dropped);
    stage.accustom(Habits::EAGER);
    stage.run(SECOND / 10);
    stage.history.forget();
    let before = counts(&stage, leader);
    stage.run(SECOND);
    let after = counts(&stage, leader);
    let shared = (after.1 - before.1) as f64 / (after.0 - before.0) as f64;
    assert!(shared > 20.0, "{shared} of 32 to a sync after the others have gone");
    end(stage);
}

/// A disk stands still for seconds. What that took is no measure for the time after: a
/// client who comes back alone is not held up for a part of it.
#[test]
fn a_disk_that_stood_still_is_not_waited_for_afterwards() {
    let (mut stage, leader) = loaded(4, 8);
    stage.paces[leader].sync = 4 * SECOND;
    stage.run(SECOND);
    stage.paces[leader] = Pace::GOOD;
    stage.run_until("the disk goes on", MINUTE, |it| !it.is_syncing_slowly(leader));
    stage.thin_out();
    let took = stage.run_until("the others are answered", MINUTE, |it| it.waiting() <= 1);
    assert!(took < Duration::from_millis(20), "commands were held for {took:?}");
    // The last one that waited for the disk is answered too.
    stage.run(Duration::from_millis(3));
    stage.history.forget();
    stage.run(SECOND);
    assert!(stage.history.latencies.len() > 1_000, "{}", stage.history.latencies.len());
    let longest = stage.history.longest();
    assert!(longest < Duration::from_millis(20), "a command waited {longest:?}");
    end(stage);
}

/// Clocks may be set, and a machine that was halted finds that hours have passed.
#[test]
fn a_clock_that_jumps_holds_up_nobody_for_long() {
    let hour = 3_600_000_000_000;
    for (seed, jump) in [(5, hour), (6, -hour / 2_000), (7, -hour), (8, hour)] {
        for is_leader in [true, false] {
            let (mut stage, leader) = loaded(seed, 8);
            stage.accustom(Habits { thought: SECOND / 500, ..Habits::EAGER });
            let micros = stage.below(300);
            stage.run(Duration::from_micros(micros));
            let at = if is_leader { leader } else { (leader + 1) % 3 };
            stage.hosts[at].clock.jump(jump);
            stage.calm_down();
            stage.run(SECOND);
            let longest = stage.history.longest();
            assert!(longest < 4 * TICK, "after {jump} ns a command waited {longest:?}");
            // Whoever leads now is lost: the others notice as soon as they would have.
            let leader = stage.leader().expect("somebody leads");
            stage.isolate(leader);
            stage.elect_without(leader);
            stage.heal();
            stage.run(SECOND);
            end(stage);
        }
    }
}

/// Both followers stand still for long, and what they hear first is their leader: what passed
/// before ends no promise to it, and it leads on.
#[test]
fn followers_that_stood_still_keep_what_they_promise_from_then_on() {
    for seed in 20..30 {
        let mut stage = led(seed);
        let leader = stage.leader().expect("somebody leads");
        let id = stage.hosts[leader].id;
        let term = stage.hosts[leader].leads();
        let followers = [(leader + 1) % 3, (leader + 2) % 3];
        while !stage.is_next(id, stage.hosts[followers[0]].id) {
            stage.step();
        }
        for at in followers {
            stage.hosts[at].clock.jump(1_000_000_000);
        }
        stage.run(SECOND);
        assert_eq!(stage.hosts[leader].leads(), term, "seed {seed}");
        end(stage);
    }
}

/// What a node says is lost, while it hears the others.
#[test]
fn a_transport_that_carries_nothing_holds_up_its_own_node_only() {
    let (mut stage, leader) = loaded(9, 8);
    let mute = (leader + 1) % 3;
    stage.mute(mute);
    stage.calm_down();
    stage.run(SECOND);
    assert!(stage.history.longest() < Duration::from_millis(2), "{:?}", stage.history.longest());
    assert!(stage.history.errors.is_empty(), "{:?}", stage.history.errors);
    stage.heal();
    stage.mute(leader);
    stage.elect_without(leader);
    stage.heal();
    stage.run(SECOND);
    end(stage);
}

#[test]
fn a_full_disk_ends_its_node_and_the_others_go_on() {
    for is_leader in [true, false] {
        let (mut stage, leader) = loaded(10, 8);
        let at = if is_leader { leader } else { (leader + 1) % 3 };
        stage.hosts[at].disk.inject(&DiskFault::Full { room: 10_000 });
        let has_ended = |it: &Stage| !it.hosts[at].is_up();
        stage.run_until("its group has ended", MINUTE, has_ended);
        stage.run_until("another one leads", MINUTE, |it| it.leader().is_some());
        stage.calm_down();
        stage.run(SECOND);
        assert!(stage.history.latencies.len() > 1_000, "{}", stage.history.latencies.len());
        end(stage);
    }
}

/// Each call of a machine panics once, on one node: of one that is applied there and then, and of
/// one that has a thread.
#[test]
fn a_machine_that_panics_ends_its_group_on_its_node_alone() {
    for trap in [Trap::Apply, Trap::Commit, Trap::Query, Trap::Snapshot] {
        for is_instant in [true, false] {
            let mut stage = Stage::new(11, 5, small);
            stage.run_until("somebody leads", MINUTE, |it| it.leader().is_some());
            stage.invite(8, Habits { reads: 100, ..Habits::EAGER });
            stage.run(SECOND);
            let leader = stage.leader().expect("somebody leads");
            // Reads come to who leads.
            let is_kind = |at: &usize| (at % 2 == 1) == is_instant;
            let at = if trap == Trap::Query {
                if !is_kind(&leader) {
                    continue;
                }
                leader
            } else {
                (0..5).find(is_kind).expect("there are both")
            };
            stage.hosts[at].machine.spring(trap);
            stage.run_until("its group has ended", MINUTE, |it| !it.hosts[at].is_up());
            let reason = stage.reason(at);
            assert!(reason.contains("it panicked: ") && reason.contains("a trap"), "{reason}");
            stage.calm_down();
            stage.run(SECOND);
            assert!(stage.history.latencies.len() > 1_000, "{trap:?}");
            assert_eq!((0..5).filter(|at| stage.hosts[*at].is_up()).count(), 4);
            end(stage);
        }
    }
}

/// A snapshot whose bytes cannot be made is none, and the group goes on; the next one is made.
#[test]
fn a_snapshot_that_panics_is_not_made_and_the_next_one_is() {
    let mut stage = Stage::new(12, 3, small);
    stage.hosts.iter().for_each(|host| host.machine.spring(Trap::Make));
    stage.run_until("somebody leads", MINUTE, |it| it.leader().is_some());
    stage.invite(8, Habits::EAGER);
    stage.run(SECOND);
    let made = |it: &Stage, at: usize| it.hosts[at].node.stats().snapshots;
    assert!((0..3).all(|at| stage.hosts[at].is_up() && made(&stage, at) == 0));
    stage.hosts.iter().for_each(|host| host.machine.disarm());
    stage.run(SECOND);
    assert!((0..3).all(|at| stage.hosts[at].is_up() && made(&stage, at) > 0));
    end(stage);
}

#[test]
fn a_machine_that_panics_when_it_is_opened_is_not_opened() {
    let mut stage = led(13);
    let machine = List::default();
    machine.spring(Trap::Rows);
    let refused = stage.hosts[0].open(GroupId(2), &[NodeId(1)], machine);
    assert!(matches!(&refused, Err(Error::Failed { reason, .. }) if reason.contains("a trap")));
    stage.invite(1, Habits::EAGER);
    stage.calm_down();
    let turns = stage.hosts[0].turns;
    stage.run(SECOND);
    assert!(stage.history.latencies.len() > 1_000);
    let turns = stage.hosts[0].turns - turns;
    assert!(turns < 30_000, "the own thread looked {turns} times in a second");
    end(stage);
}

/// Entries that a compaction lets go of are freed by and by, and before the next one.
#[test]
fn what_was_compacted_is_freed_before_the_next_compaction() {
    let mut stage = Stage::new(14, 3, |id| Options { compact_bytes: 40_000, ..options(id) });
    stage.run_until("somebody leads", MINUTE, |it| it.leader().is_some());
    stage.invite(64, Habits::EAGER);
    stage.run(SECOND / 10);
    let mut most = 0;
    for _ in 0..20_000 {
        stage.run(Duration::from_micros(50));
        let waiting = (0..3).map(|at| stage.hosts[at].freeing()).max().unwrap_or(0);
        most = most.max(waiting);
    }
    let snapshots = stage.hosts[0].node.stats().snapshots;
    assert!(snapshots > 10, "{snapshots} snapshots");
    // As many as have forty thousand bytes.
    assert!((500..2_000).contains(&most), "{most} entries waited");
    stage.accustom(Habits::IDLE);
    stage.run(SECOND);
    let waiting: Vec<_> = (0..3).map(|at| stage.hosts[at].freeing()).collect();
    assert_eq!(waiting, [0, 0, 0], "an idle group frees the rest");
    end(stage);
}

/// Everything at once, by chance; then all is well again, and everybody is answered.
#[test]
fn whatever_comes_everybody_is_answered_and_nothing_is_lost() {
    let (from, to) = match std::env::var("SEED").ok().and_then(|it| it.parse().ok()) {
        Some(seed) => (seed, seed + 1),
        None => (0, 12),
    };
    let mut applied = 0;
    for seed in from..to {
        let run = std::panic::catch_unwind(|| trouble(seed));
        applied += run.unwrap_or_else(|_| {
            panic!("SEED={seed} cargo test -p raft-net --lib -- whatever_comes");
        });
    }
    assert!(applied > 1_000 * usize::try_from(to - from).expect("few"), "{applied} commands");
}

fn trouble(seed: u64) -> usize {
    let mut stage = Stage::new(seed, 3 + 2 * usize::from(seed.is_multiple_of(3)), small);
    let nodes = stage.hosts.len() as u64;
    let habits = Habits {
        thought: Duration::from_micros(stage.below(3) * stage.below(2_000)),
        reads: stage.below(2) * 200,
        drops: stage.below(3) * 20,
        is_idle: false,
    };
    let clients = 1 + stage.below(40);
    stage.invite(usize::try_from(clients).expect("few"), habits);
    let mut may_end = (nodes - 1) / 2;
    for _ in 0..20 {
        let (at, micros) = (stage.anybody(), stage.below(200_000));
        match stage.below(10) {
            0 => stage.isolate(at),
            1 => stage.mute(at),
            2 => stage.heal(),
            3 => stage.paces[at].sync = Duration::from_micros(1 + micros),
            4 => stage.paces[at].link = Duration::from_micros(1 + micros / 10),
            5 => stage.paces[at].loss = micros / 500,
            6 => stage.paces[at] = Pace::GOOD,
            7 => {
                let by = i64::try_from(micros).expect("few") * 10_000 - 300_000_000;
                stage.hosts[at].clock.jump(by);
            }
            8 if may_end > 0 && stage.below(3) == 0 => {
                may_end -= 1;
                let traps = [Trap::Apply, Trap::Commit, Trap::Query, Trap::Snapshot, Trap::Restore];
                match usize::try_from(stage.below(7)).expect("few") {
                    5 => stage.hosts[at].disk.inject(&DiskFault::Full { room: micros }),
                    6 => stage.hosts[at].machine.spring(Trap::Make),
                    which => stage.hosts[at].machine.spring(traps[which]),
                }
            }
            _ => {}
        }
        let time = stage.below(300_000);
        stage.run(Duration::from_micros(time));
    }
    stage.heal();
    stage.paces.fill(Pace::GOOD);
    stage.run_until("somebody leads", MINUTE, |it| it.leader().is_some());
    stage.run(2 * SECOND);
    let before = stage.history.acked.len();
    stage.run(SECOND);
    assert!(stage.history.acked.len() > before, "nothing was committed in a second of peace");
    end(stage)
}

/// Whoever finds the port can give himself any number of names.
#[test]
fn strangers_wake_nobody_and_are_forgotten() {
    let mut stage = led(17);
    let leader = stage.leader().expect("somebody leads");
    stage.run(SECOND);
    let touched = |it: &Stage| it.hosts[leader].node.stats().touched;
    let before = touched(&stage);
    for name in 100..1_100 {
        // They do not wait for an answer.
        stage.cut.insert((stage.hosts[leader].id, NodeId(name)));
        let changes = (0..4).map(|group| (GroupId(group), Term(1))).collect();
        let word = Some(Word { tick: 1, base: 0, version: 4, changes });
        let pulse = Some(Pulse { boot: 1, word, echo: None });
        stage.hosts[leader].hear(NodeId(name), Packet { pulse, envelopes: Vec::new() });
        stage.hosts[leader].hear(NodeId(name), Packet::default());
    }
    let woken = touched(&stage) - before;
    // Of a word that names it the group takes note.
    assert!(woken <= 1_000, "it was looked at {woken} times");
    assert_eq!(stage.hosts[leader].known(), 2 + 1_000);
    stage.run(SECOND);
    assert_eq!(stage.hosts[leader].known(), 2);
    stage.invite(1, Habits::EAGER);
    stage.run(SECOND / 10);
    assert!(end(stage) > 0);
}
