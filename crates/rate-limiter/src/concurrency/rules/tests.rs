use std::time::Duration;

use super::{Gradient, LimitRule, Sample, Vegas};

/// Samples of full use that leave the limit where no probe begins.
const SAMPLES: usize = 50;

fn feed(rule: &mut dyn LimitRule, round_trip: Duration, dropped: bool) {
    for _ in 0..SAMPLES {
        rule.update(&Sample { round_trip, in_flight: rule.limit(), dropped });
    }
}

/// What the rules remember of round trips is what good answers took: a refusal is fast, and a limit
/// that took it for a good one would rise.
#[test]
fn a_drop_is_not_remembered_as_a_round_trip() {
    let (second, nano) = (Duration::from_secs(1), Duration::from_nanos(1));
    let mut vegas = Vegas::new(4, 1_000, 10);
    let mut gradient = Gradient::new(4, 1_000, 10, 1.5);
    let remembered =
        |vegas: &Vegas, gradient: &Gradient| [vegas.best, gradient.long].map(f64::to_bits);
    for (round_trip, dropped) in [(second, false), (nano, true)] {
        feed(&mut vegas, round_trip, dropped);
        feed(&mut gradient, round_trip, dropped);
        assert_eq!(remembered(&vegas, &gradient), [1.0_f64.to_bits(); 2], "dropped: {dropped}");
    }
    feed(&mut vegas, nano, false);
    feed(&mut gradient, nano, false);
    let [best, long] = remembered(&vegas, &gradient).map(f64::from_bits);
    assert!(best < 1.0 && long < 1.0, "a good answer is remembered: {best}, {long}");
}
