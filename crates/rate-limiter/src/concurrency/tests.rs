use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    AdaptiveLimit, Aimd, ConcurrencyLimit, Gradient, LimitRule, Partitions, PartitionsError,
    Sample, Vegas,
};
use crate::ManualClock;

proptest! {
    #[test]
    fn in_flight_is_what_is_out_and_never_above_the_limit(
        steps in vec((0..4_u64, 0..10_usize, 0..8_u64), 1..80)
    ) {
        let limit = ConcurrencyLimit::new(5);
        let mut out = Vec::new();
        for (weight, drops, new_limit) in steps {
            let before: u64 = out.iter().map(super::Permit::weight).sum();
            let permit = limit.try_acquire(weight);
            prop_assert_eq!(permit.is_some(), before + weight <= limit.limit());
            out.extend(permit);
            if drops < out.len() {
                drop(out.swap_remove(drops));
            }
            if new_limit > 0 {
                limit.set_limit(new_limit);
            }
            prop_assert_eq!(limit.in_flight(), out.iter().map(super::Permit::weight).sum::<u64>());
        }
    }

    #[test]
    fn partitions_keep_both_promises(
        limit in 1..40_u64,
        percents in vec(0..34_u64, 3),
        steps in vec((0..3_usize, any::<bool>()), 1..120),
    ) {
        let partitions = Partitions::new(limit, &percents).unwrap();
        let mut out: [Vec<_>; 3] = Default::default();
        for (class, takes) in steps {
            if !takes {
                out[class].pop();
                continue;
            }
            let used: Vec<u64> = out.iter().map(|permits| permits.len() as u64).collect();
            let guarantees: Vec<u64> = percents.iter().map(|it| limit * it / 100).collect();
            let permit = partitions.try_acquire(class);
            if used[class] < guarantees[class] {
                prop_assert!(permit.is_some(), "class {} below its guarantee", class);
            }
            let others = (0..3).filter(|&it| it != class);
            let reserved: u64 = others.map(|it| used[it].max(guarantees[it])).sum();
            let fits = used[class] + 1 + reserved <= limit;
            prop_assert_eq!(permit.is_some(), fits || used[class] < guarantees[class]);
            out[class].extend(permit);
            let total: usize = out.iter().map(Vec::len).sum();
            prop_assert!(total as u64 <= limit, "{} in flight", total);
        }
    }
}

#[test]
fn permits_beyond_all_numbers_are_refused() {
    let limit = ConcurrencyLimit::new(u64::MAX);
    let _most = limit.try_acquire(u64::MAX).unwrap();
    assert!(limit.try_acquire(1).is_none(), "the sum must not wrap");
    assert_eq!(
        Partitions::new(1, &[60, 41]).unwrap_err(),
        PartitionsError::Oversold { percent: 101 }
    );
}

/// The panic for a class that there is not leaves the limit to those who hold permits.
#[test]
fn classes_that_there_are_not_do_no_harm() {
    let limit = Partitions::new(2, &[50]).unwrap();
    let permit = limit.try_acquire(0).unwrap();
    let asks: [&dyn Fn(); 2] =
        [&|| drop(limit.try_acquire(1)), &|| assert_eq!(limit.in_flight(7), 0)];
    for ask in asks {
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
        assert!(asked.is_err(), "there is one class");
    }
    drop(permit);
    assert_eq!(limit.in_flight(0), 0);
}

#[test]
fn threads_never_see_more_in_flight_than_the_limit() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let limit = ConcurrencyLimit::new(3);
    let inside = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let Some(permit) = limit.try_acquire(1) else { continue };
                    let others = inside.fetch_add(1, Ordering::SeqCst);
                    assert!(others < 3, "{others} others inside");
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(limit.in_flight(), 0);
}

/// A server with `workers` that each need `service`: beyond that many in flight, requests queue;
/// beyond a queue of `QUEUE_MAX` they are refused, at once.
struct Plant {
    workers: f64,
    service: Duration,
}

const QUEUE_MAX: f64 = 200.0;

impl Plant {
    fn sample(&self, in_flight: u64) -> Sample {
        let queued = (in_flight as f64 - self.workers).max(0.0);
        if queued > QUEUE_MAX {
            let round_trip = Duration::from_micros(50);
            return Sample { round_trip, in_flight, dropped: true };
        }
        let round_trip = self.service.mul_f64(1.0 + queued / self.workers);
        Sample { round_trip, in_flight, dropped: false }
    }

    /// Runs a rule at full use for `rounds` of as many requests as the limit allows.
    fn run(&self, rule: &mut dyn LimitRule, rounds: usize) {
        for _ in 0..rounds {
            for _ in 0..rule.limit() {
                rule.update(&self.sample(rule.limit()));
            }
        }
    }
}

fn rules() -> [Box<dyn LimitRule>; 3] {
    let (min, max, start) = (4, 1_000, 10);
    [
        Box::new(Aimd::new(min, max, start)),
        Box::new(Vegas::new(min, max, start)),
        Box::new(Gradient::new(min, max, start, 1.5)),
    ]
}

/// How far above the workers a rule may settle: AIMD knows only drops, the others the queue.
fn settles(rule: usize, workers: f64) -> std::ops::RangeInclusive<f64> {
    match rule {
        0 => workers..=workers + QUEUE_MAX + 1.0,
        // Half of it, during a probe.
        1 => workers / 2.0..=workers + 25.0,
        _ => workers..=workers * 1.5 + 20.0,
    }
}

#[test]
fn rules_find_the_capacity_and_follow_it() {
    for (index, mut rule) in rules().into_iter().enumerate() {
        for workers in [50.0, 20.0, 100.0] {
            let plant = Plant { workers, service: Duration::from_millis(10) };
            plant.run(&mut *rule, 600);
            let limit = rule.limit() as f64;
            assert!(settles(index, workers).contains(&limit), "{limit} for {workers}: {rule:?}");
        }
    }
}

/// Netflix's gradient took any queue for the usual and grew without end (pull request 134).
#[test]
fn like_a_gradient_that_grows_without_end() {
    let mut rule = Gradient::new(4, 100_000, 10, 1.5);
    let plant = Plant { workers: 50.0, service: Duration::from_millis(10) };
    plant.run(&mut rule, 500);
    let early = rule.limit();
    plant.run(&mut rule, 5_000);
    assert!(rule.limit() <= early + 2, "from {early} to {}", rule.limit());
}

/// A refusal is fast; a limit that took its round trip for a good one would rise (issue 176).
#[test]
fn like_drops_that_look_fast() {
    for mut rule in rules() {
        let slow = Sample { round_trip: Duration::from_secs(1), in_flight: 10, dropped: false };
        (0..100).for_each(|_| rule.update(&slow));
        for _ in 0..200 {
            let before = rule.limit();
            let in_flight = before;
            let round_trip = Duration::from_nanos(1);
            rule.update(&Sample { round_trip, in_flight, dropped: true });
            assert!(rule.limit() < before || before == 4, "{rule:?} rose at a drop");
        }
        assert_eq!(rule.limit(), 4, "{rule:?} left its bounds");
    }
}

/// Netflix's AIMD halved when it reached its maximum (issue 155); Envoy went below its minimum
/// (pull request 9947).
#[test]
fn like_limits_that_leave_their_bounds() {
    for mut rule in rules() {
        let good =
            |in_flight| Sample { round_trip: Duration::from_millis(1), in_flight, dropped: false };
        for _ in 0..2_000_000 {
            if rule.limit() == 1_000 {
                break;
            }
            rule.update(&good(rule.limit()));
        }
        (0..10_000).for_each(|_| rule.update(&good(1_000)));
        assert_eq!(rule.limit(), 1_000, "{rule:?}");
    }
}

#[test]
fn a_limit_that_nobody_reaches_does_not_rise() {
    for mut rule in rules() {
        let sample = Sample { round_trip: Duration::from_millis(1), in_flight: 2, dropped: false };
        (0..10_000).for_each(|_| rule.update(&sample));
        assert_eq!(rule.limit(), 10, "{rule:?}");
    }
}

#[test]
fn a_server_that_recovers_gets_its_limit_back() {
    for (index, mut rule) in rules().into_iter().enumerate() {
        let plant = Plant { workers: 50.0, service: Duration::from_millis(10) };
        plant.run(&mut *rule, 600);
        for _ in 0..100 {
            let (round_trip, in_flight) = (Duration::from_millis(1), rule.limit());
            rule.update(&Sample { round_trip, in_flight, dropped: true });
        }
        assert_eq!(rule.limit(), 4);
        plant.run(&mut *rule, 600);
        assert!(settles(index, 50.0).contains(&(rule.limit() as f64)), "{rule:?}");
    }
}

/// A rule of two that notes what it is told. Not `Clone`, nor need it be.
#[derive(Debug)]
struct Notes(Arc<Mutex<Vec<Sample>>>);

impl LimitRule for Notes {
    fn limit(&self) -> u64 {
        2
    }

    fn update(&mut self, sample: &Sample) {
        self.0.lock().unwrap().push(*sample);
    }
}

#[test]
fn an_adaptive_limit_measures_round_trips_on_its_clock() {
    let (told, clock) = (Arc::default(), Arc::new(ManualClock::default()));
    let limit = AdaptiveLimit::with_clock(Notes(Arc::clone(&told)), Arc::clone(&clock));
    clock.advance(Duration::from_secs(100));
    let first = limit.clone().try_acquire().unwrap();
    clock.advance(Duration::from_millis(7));
    let second = limit.try_acquire().unwrap();
    assert!(limit.clone().try_acquire().is_none(), "clones share the limit");
    clock.advance(Duration::from_millis(5));
    second.succeeded();
    clock.advance(Duration::from_millis(3));
    first.dropped();
    limit.try_acquire().unwrap().succeeded();
    let sample = |millis, in_flight, dropped| {
        let round_trip = Duration::from_millis(millis);
        Sample { round_trip, in_flight, dropped }
    };
    let expected = [sample(5, 2, false), sample(15, 1, true), sample(0, 1, false)];
    assert_eq!(*told.lock().unwrap(), expected);
}

/// A rule of one that panics at the first sample and counts the others.
#[derive(Debug, Default)]
struct Panics(Option<u64>);

impl LimitRule for Panics {
    fn limit(&self) -> u64 {
        self.0.unwrap_or(0) + 1
    }

    fn update(&mut self, _: &Sample) {
        let Some(others) = &mut self.0 else {
            self.0 = Some(0);
            panic!("a rule of the user's");
        };
        *others += 1;
    }
}

#[test]
fn a_rule_that_panics_does_so_once_and_keeps_no_permit() {
    let limit = AdaptiveLimit::new(Panics::default());
    let permit = limit.try_acquire().unwrap();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| permit.succeeded()));
    assert!(ended.is_err());
    assert_eq!((limit.in_flight(), limit.limit()), (0, 1));
    limit.try_acquire().unwrap().succeeded();
    assert_eq!((limit.in_flight(), limit.limit()), (0, 2));
}

#[test]
fn an_adaptive_limit_keeps_what_its_rule_says() {
    let limit = AdaptiveLimit::with_clock(Vegas::new(1, 100, 2), ManualClock::default());
    let first = limit.try_acquire().unwrap();
    let second = limit.try_acquire().unwrap();
    assert!(limit.try_acquire().is_none());
    assert_eq!(limit.in_flight(), 2);
    drop(first);
    assert_eq!((limit.in_flight(), limit.limit()), (1, 2), "no sample, no change");
    second.dropped();
    assert_eq!((limit.in_flight(), limit.limit()), (0, 1));
    limit.try_acquire().unwrap().succeeded();
    assert_eq!(limit.in_flight(), 0);
}
