use tokio::sync::oneshot;

use super::*;

const SYNC: Duration = Duration::from_micros(200);
const WAIT: Duration = Duration::from_micros(50);

fn at(micros: u64) -> Timestamp {
    Timestamp::from_nanos(micros * 1_000)
}

fn hold(gather: &mut Gather, count: usize) {
    for _ in 0..count {
        gather.hold((Bytes::new(), oneshot::channel().0));
    }
}

/// Proposes what is held; returns how many that were.
fn propose(gather: &mut Gather) -> usize {
    let count = gather.take().len();
    gather.on_their_way += count;
    count
}

/// A batch is written by a sync, and its clients are answered at once when it is over.
fn commit(gather: &mut Gather, count: usize, now: Timestamp) {
    gather.synced(now, SYNC);
    gather.answered(count, now, SYNC);
}

#[test]
fn a_client_alone_never_waits() {
    let mut gather = Gather::default();
    for round in 1..100 {
        hold(&mut gather, 1);
        assert!(gather.is_over(|| at(round * 200), false), "round {round}");
        propose(&mut gather);
        commit(&mut gather, 1, at(round * 200));
    }
}

#[test]
fn who_was_answered_is_waited_for_and_comes_with_those_who_came_meanwhile() {
    let mut gather = Gather::default();
    hold(&mut gather, 1);
    assert!(gather.is_over(|| at(0), false), "nobody is known who could come");
    propose(&mut gather);
    hold(&mut gather, 31);
    assert!(!gather.is_over(|| at(100), true), "the disk is at work");
    commit(&mut gather, 1, at(200));
    assert!(!gather.is_over(|| at(210), false), "one is on the way back");
    hold(&mut gather, 1);
    assert!(gather.is_over(|| at(220), false), "all are here");
    assert_eq!(propose(&mut gather), 32);
    commit(&mut gather, 32, at(420));
    for here in 1..32 {
        hold(&mut gather, 1);
        assert!(!gather.is_over(|| at(430), false), "{here} of 32");
    }
    hold(&mut gather, 1);
    assert!(gather.is_over(|| at(440), false));
}

#[test]
fn an_answer_that_is_near_is_waited_for_but_not_for_long() {
    let mut gather = Gather::default();
    hold(&mut gather, 8);
    propose(&mut gather);
    hold(&mut gather, 8);
    gather.synced(at(200), SYNC);
    assert!(!gather.is_over(|| at(249), false), "the others' disks may be a little slower");
    assert!(gather.is_over(|| at(200) + WAIT, false), "they are far away");
    assert!(!gather.is_on(), "and will be the next time");
}

#[test]
fn vain_waits_become_rare() {
    let mut gather = Gather::default();
    let (mut waits, mut now) = (0, 0);
    for _ in 0..1_000 {
        // Eight clients, each of which takes its time.
        hold(&mut gather, 8);
        waits += u32::from(gather.is_on());
        assert!(gather.is_over(|| at(now + 60), false), "no wait is longer than a part of a sync");
        propose(&mut gather);
        now += 1_000;
        commit(&mut gather, 8, at(now));
        gather.expected = 16;
    }
    assert!((8..=14).contains(&waits), "{waits} waits in 1,000 batches");
    assert_eq!(gather.vain, waits - 1, "nobody was known in the first");
    gather.skips = 0;
    gather.expected = 1;
    hold(&mut gather, 1);
    assert!(gather.is_over(|| at(now), false));
    assert_eq!(gather.vain, 0, "one that is not vain makes good for all");
}

#[test]
fn a_disk_that_hangs_does_not_have_commands_pile_up() {
    let mut gather = Gather::default();
    hold(&mut gather, HELD_MAX - 1);
    assert!(!gather.is_over(|| at(0), true));
    hold(&mut gather, 1);
    assert!(gather.is_over(|| at(0), true), "the core has a limit of its own");
    assert!(!gather.is_on(), "and so they go there from now on");
}
