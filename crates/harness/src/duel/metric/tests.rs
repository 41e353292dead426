//! What a duel concludes from samples of a simulated machine, whose true ratio is known.

use super::{FLOOR, METRICS, conclude};
use crate::contract::Unsupported;
use crate::duel::pass::{Latency, Sample};
use crate::duel::rounds::Entrant;
use crate::duel::{Contender, Line, OwnFigures};
use crate::record::Ratio;
use crate::rng::SplitMix64;

/// Duels of each kind.
const REPEATS: u64 = 100;

/// How many of them must have the truth in their interval: of 95 % intervals, 95 or so do.
const COVERED_MIN: usize = 90;

/// How a machine disturbs what is measured on it; all parts of one.
#[derive(Clone, Copy, Debug)]
struct Noise {
    /// Of one pass against the next.
    pass: f64,
    /// Of where the memory of a fresh subject happens to lie.
    episode: f64,
    /// Of the speed of the whole machine over a line, for both contenders alike.
    drift: f64,
    /// How often one pass in a hundred meets something that doubles its time.
    interruptions: u64,
}

const QUIET: Noise = Noise { pass: 0.005, episode: 0.002, drift: 0.0, interruptions: 0 };
const LAYOUT: Noise = Noise { pass: 0.005, episode: 0.02, drift: 0.05, interruptions: 1 };
const ROUGH: Noise = Noise { pass: 0.03, episode: 0.01, drift: 0.5, interruptions: 10 };

/// A sum of uniform numbers: near enough to a bell of standard deviation one.
fn bell(rng: &mut SplitMix64) -> f64 {
    (0..12).map(|_| rng.next_f64()).sum::<f64>() - 6.0
}

fn contender(name: &'static str, ours: bool) -> Contender {
    let make = |_| Err(Unsupported("only its name is needed".to_owned()));
    Contender { name, version: "0", ours, make }
}

/// A duel of ours against a peer that takes `factor` times as long, on a machine with `noise`.
fn duel(seed: u64, factor: f64, noise: Noise, (episodes, rounds): (usize, usize)) -> Ratio {
    let mut rng = SplitMix64::new(seed);
    let line = Line::new("test", "simulated", 1, Vec::new());
    let mut pair = [Entrant::new(contender("ours", true)), Entrant::new(contender("peer", false))];
    for episode in 0..episodes {
        let layout: Vec<f64> = pair.iter().map(|_| noise.episode * bell(&mut rng)).collect();
        for entrant in &mut pair {
            entrant.samples.push(Vec::new());
        }
        for round in 0..rounds {
            let progress = (episode * rounds + round) as f64 / (episodes * rounds) as f64;
            let machine = 1.0 + noise.drift * progress;
            for (entrant, (slowness, layout)) in
                pair.iter_mut().zip([1.0, factor].into_iter().zip(&layout))
            {
                let interrupted = f64::from(u8::from(rng.chance(noise.interruptions, 100)));
                let disturbed = 1.0 + layout + noise.pass * bell(&mut rng) + interrupted;
                let wall_ns = 1e6 * slowness * machine * disturbed;
                let sample = Sample { operations: 1e3, wall_ns, cpu_ns: wall_ns, fingerprint: 0 };
                entrant.samples.last_mut().expect("it was just pushed").push(sample);
            }
        }
    }
    let metric = METRICS.iter().find(|metric| metric.name == "cpu_per_op").expect("it exists");
    metric.ratio(&line, &pair[0], &pair[1]).expect("both were measured")
}

fn covered(factor: f64, noise: Noise, size: (usize, usize)) -> usize {
    let holds = |seed: &u64| {
        let ratio = duel(*seed, factor, noise, size);
        (ratio.lo..=ratio.hi).contains(&factor)
    };
    (0..REPEATS).filter(holds).count()
}

#[test]
fn the_interval_of_two_identical_contenders_holds_one() {
    for noise in [QUIET, LAYOUT, ROUGH] {
        for size in [(5, 5), (10, 6), (25, 8)] {
            let covered = covered(1.0, noise, size);
            assert!(covered >= COVERED_MIN, "{covered} of {REPEATS} with {noise:?} at {size:?}");
        }
    }
}

#[test]
fn the_interval_of_a_contender_slowed_by_a_known_factor_holds_the_factor() {
    for noise in [QUIET, LAYOUT, ROUGH] {
        for factor in [1.02, 1.25, 4.0] {
            let covered = covered(factor, noise, (10, 6));
            assert!(covered >= COVERED_MIN, "{covered} of {REPEATS} with {noise:?} at {factor}");
        }
    }
}

/// An interval that is always wide would pass the tests above and be of no use.
#[test]
fn a_small_difference_on_a_quiet_machine_is_seen() {
    let seen = (0..REPEATS).filter(|&seed| duel(seed, 1.02, QUIET, (10, 6)).lo > 1.0).count();
    assert!(seen >= 95, "2 % were seen in only {seen} of {REPEATS}");
}

#[test]
fn a_wrong_factor_is_not_held() {
    let held = |seed: &u64| {
        let ratio = duel(*seed, 1.25, ROUGH, (10, 6));
        (ratio.lo..=ratio.hi).contains(&1.0)
    };
    assert_eq!((0..REPEATS).filter(held).count(), 0);
}

/// What a layer adds is a difference of neighbours in time, which a drift of both leaves alone.
#[test]
fn what_is_added_to_the_floor_is_told_apart_from_a_drift() {
    let line = Line::new("test", "layer", 1, Vec::new());
    let mut pair = [Entrant::new(contender("ours", true)), Entrant::new(contender(FLOOR, false))];
    for (entrant, added) in pair.iter_mut().zip([300.0, 0.0]) {
        entrant.samples.push(vec![Sample { operations: 1.0, wall_ns: 1.0, ..Sample::default() }]);
        let latencies = [1_000.0, 5_000.0, 20_000.0].map(|drift| Latency {
            p50: drift + added,
            p99: 2.0 * drift + added,
            ..Latency::default()
        });
        entrant.latencies.extend(latencies);
    }
    let rows = conclude(&line, &pair).rows;
    let added: Vec<_> = rows.iter().filter(|row| row.metric.ends_with("_over_floor")).collect();
    assert_eq!(added.len(), 2, "nothing is added to the floor by itself: {added:?}");
    for row in added {
        assert_eq!((row.contender.as_str(), row.rounds), ("ours", 3));
        let figures = [row.median, row.lo, row.hi].map(f64::to_bits);
        assert_eq!(figures, [300.0_f64; 3].map(f64::to_bits), "{row:?}");
    }
}

/// A subject that serves the floor itself is compared with that, and so is the floor.
#[test]
fn a_floor_within_a_subject_is_what_is_added_to() {
    let line = Line::new("test", "layer", 1, Vec::new());
    let mut pair = [Entrant::new(contender("ours", true)), Entrant::new(contender(FLOOR, false))];
    for (entrant, (base, added)) in pair.iter_mut().zip([(9_000.0, 300.0), (1_000.0, 2.0)]) {
        entrant.samples.push(vec![Sample { operations: 1.0, wall_ns: 1.0, ..Sample::default() }]);
        let latency = |p99| Some(Latency { p50: p99, p99, ..Latency::default() });
        let (latency, floor) = (latency(base + added), latency(base));
        entrant.latencies.extend(latency);
        entrant.own_figures.push(OwnFigures { latency, floor, ..OwnFigures::default() });
    }
    let rows = conclude(&line, &pair).rows;
    let added = |name| {
        let own = rows.iter().find(|row| row.contender == name && row.metric == "p99_over_floor");
        own.map(|row| row.median)
    };
    assert_eq!((added("ours"), added(FLOOR)), (Some(300.0), Some(2.0)));
}

#[test]
fn what_a_subject_measures_of_itself_is_a_metric() {
    let line = Line::new("test", "herd", 1, Vec::new());
    let mut entrant = Entrant::new(contender("ours", true));
    entrant.samples.push(vec![Sample { operations: 1.0, wall_ns: 1.0, ..Sample::default() }]);
    let own =
        OwnFigures { displacement: Some(7.0), worst_cpu: Some(90.0), ..OwnFigures::default() };
    entrant.own_figures.push(own);
    let rows = conclude(&line, &[entrant]).rows;
    let figure = |metric| rows.iter().find(|row| row.metric == metric).map(|row| row.median);
    assert_eq!(figure("displacement"), Some(7.0));
    assert_eq!(figure("worst_cpu"), Some(90.0));
    assert_eq!(figure("syncs_per_op"), None);
}
