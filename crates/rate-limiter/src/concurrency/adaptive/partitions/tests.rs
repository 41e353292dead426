use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::AdaptivePartitions;
use crate::{Aimd, LimitRule, ManualClock, PartitionsError, Sample};

/// Sets the limits of a list, one after the other, and notes what it is told.
#[derive(Debug)]
struct Scripted {
    limits: Vec<u64>,
    told: Arc<Mutex<Vec<Sample>>>,
}

impl LimitRule for Scripted {
    fn limit(&self) -> u64 {
        let turn = self.told.lock().unwrap().len();
        self.limits[turn % self.limits.len()]
    }

    fn update(&mut self, sample: &Sample) {
        self.told.lock().unwrap().push(*sample);
    }
}

proptest! {
    /// The definition, against the limit of each moment; and every sample is of all classes.
    #[test]
    fn classes_are_admitted_by_the_limit_of_the_moment(
        limits in vec(0..40_u64, 1..8),
        percents in vec(0..34_u64, 3),
        steps in vec((0..3_usize, prop::option::of(any::<bool>()), 0..5_u64), 1..120),
    ) {
        let told = Arc::default();
        let rule = Scripted { limits: limits.clone(), told: Arc::clone(&told) };
        let clock = Arc::new(ManualClock::default());
        let limit = AdaptivePartitions::with_clock(rule, &percents, Arc::clone(&clock)).unwrap();
        let mut out: [Vec<_>; 3] = Default::default();
        let (mut now, mut expected) = (0, Vec::new());
        for (class, ends, millis) in steps {
            clock.advance(Duration::from_millis(millis));
            now += millis;
            let height = limits[expected.len() % limits.len()];
            prop_assert_eq!(limit.limit(), height);
            if let (Some(dropped), Some((permit, began, in_flight))) = (ends, out[class].pop()) {
                let permit: super::AdaptivePartitionPermit<_, _> = permit;
                if dropped { permit.dropped() } else { permit.succeeded() }
                let round_trip = Duration::from_millis(now - began);
                expected.push(Sample { round_trip, in_flight, dropped });
                continue;
            }
            let used: Vec<u64> = out.iter().map(|permits| permits.len() as u64).collect();
            let guarantees: Vec<u64> = percents.iter().map(|it| height * it / 100).collect();
            let claimed: u64 = (0..3).map(|it| used[it].max(guarantees[it])).sum();
            let fits = used[class] < guarantees[class] || claimed < height;
            let permit = limit.try_acquire(class);
            prop_assert_eq!(permit.is_some(), fits, "class {} of {:?} at {}", class, used, height);
            let in_flight = used.iter().sum::<u64>() + 1;
            out[class].extend(permit.map(|permit| (permit, now, in_flight)));
            prop_assert_eq!(limit.in_flight(class), out[class].len() as u64);
        }
        prop_assert_eq!(&*told.lock().unwrap(), &expected);
    }
}

/// A server for ten at once that drops what is beyond them. One class asks for all that it can get;
/// the other, which asks for little, is never refused its share of the limit that is found.
#[test]
fn a_greedy_class_finds_the_limit_and_leaves_the_other_its_share() {
    const WORKERS: usize = 10;
    const GREEDY: usize = 0;
    const MODEST: usize = 1;
    let clock = ManualClock::default();
    let limit = AdaptivePartitions::with_clock(Aimd::new(4, 100, 50), &[0, 30], clock).unwrap();
    for round in 0..500 {
        let share = limit.limit() * 30 / 100;
        let mut out: Vec<_> = std::iter::from_fn(|| limit.try_acquire(GREEDY)).collect();
        let greedy = out.len() as u64;
        assert_eq!(greedy, limit.limit() - share, "all but the share of the other");
        let modest: Vec<_> = (0..share).map(|_| limit.try_acquire(MODEST)).collect();
        out.extend(modest.into_iter().map(|it| it.expect("it is below its guarantee")));
        let beyond = out.split_off(out.len().min(WORKERS));
        out.into_iter().for_each(super::AdaptivePartitionPermit::succeeded);
        beyond.into_iter().for_each(super::AdaptivePartitionPermit::dropped);
        let height = limit.limit();
        assert!(round < 20 || (4..=12).contains(&height), "{height} in round {round}");
    }
}

#[test]
fn what_is_sold_twice_is_refused() {
    let refused = AdaptivePartitions::new(Aimd::new(1, 10, 5), &[60, 41]).unwrap_err();
    assert_eq!(refused, PartitionsError::Oversold { percent: 101 });
}
