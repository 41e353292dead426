//! Do the generators generate what they say? Chi-square tests against the exact distributions,
//! known vectors, and the converse: the same test must reject a distribution that is a little off.

use super::zipf::{Latest, ScrambledZipfian, Zipfian, fnv_hash_64};
use super::*;
use crate::rng::SplitMix64;

const SAMPLES: u64 = 400_000;

/// Pearson's statistic of observed counts against probabilities.
fn chi_square(observed: &[u64], probabilities: &[f64]) -> f64 {
    assert_eq!(observed.len(), probabilities.len());
    let total = observed.iter().sum::<u64>() as f64;
    observed
        .iter()
        .zip(probabilities)
        .map(|(&count, &probability)| {
            let expected = total * probability;
            assert!(expected >= 5.0, "a bin expects {expected} samples, too few for the test");
            (count as f64 - expected).powi(2) / expected
        })
        .sum()
}

/// The statistic that one fair generator in a thousand exceeds, by the approximation of Wilson
/// and Hilferty (1931).
fn critical(bins: usize) -> f64 {
    let freedom = (bins - 1) as f64;
    let part = 2.0 / (9.0 * freedom);
    freedom * (1.0 - part + 3.090 * part.sqrt()).powi(3)
}

#[track_caller]
fn assert_fits(observed: &[u64], probabilities: &[f64]) {
    let (statistic, limit) = (chi_square(observed, probabilities), critical(observed.len()));
    assert!(statistic < limit, "chi-square {statistic:.1} exceeds {limit:.1}");
}

#[track_caller]
fn assert_does_not_fit(observed: &[u64], probabilities: &[f64]) {
    let (statistic, limit) = (chi_square(observed, probabilities), critical(observed.len()));
    assert!(statistic > limit, "chi-square {statistic:.1} does not exceed {limit:.1}");
}

/// Counts samples by bin; `bounds[i]` is the first rank that lies above bin `i`.
fn histogram(bounds: &[u64], mut next: impl FnMut() -> u64) -> Vec<u64> {
    let mut counts = vec![0; bounds.len()];
    for _ in 0..SAMPLES {
        let sample = next();
        let bin = bounds.partition_point(|&bound| bound <= sample);
        assert!(bin < bounds.len(), "{sample} lies outside of the range");
        counts[bin] += 1;
    }
    counts
}

fn bin_probabilities(bounds: &[u64], cumulative: impl Fn(u64) -> f64) -> Vec<f64> {
    let mut below = 0.0;
    bounds
        .iter()
        .map(|&bound| {
            let upper = cumulative(bound);
            let share = upper - below;
            below = upper;
            share
        })
        .collect()
}

/// Single ranks at the head, then bins that double.
const BOUNDS: [u64; 15] = [1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512, 1_024, 5_000, 10_000];

#[test]
fn zipfian_fits_its_distribution() {
    for (seed, theta) in [(1, 0.99), (2, 0.5), (3, 0.8)] {
        let zipfian = Zipfian::new(10_000, theta).unwrap();
        let mut rng = SplitMix64::new(seed);
        let counts = histogram(&BOUNDS, || zipfian.next(&mut rng));
        assert_fits(&counts, &bin_probabilities(&BOUNDS, |rank| zipfian.cumulative(rank)));
    }
}

/// The test above must be able to fail: one hundredth in the exponent is enough.
#[test]
fn zipfian_with_another_constant_is_rejected() {
    let drawn = Zipfian::new(10_000, 0.98).unwrap();
    let claimed = Zipfian::new(10_000, 0.99).unwrap();
    let mut rng = SplitMix64::new(1);
    let counts = histogram(&BOUNDS, || drawn.next(&mut rng));
    assert_does_not_fit(&counts, &bin_probabilities(&BOUNDS, |rank| claimed.cumulative(rank)));
}

/// What the closed form generates is no exact Zipfian; this says how far off it is.
#[test]
fn zipfian_is_close_to_zipfs_law() {
    let zipfian = Zipfian::new(10_000, 0.99).unwrap();
    let zeta: f64 = (1..=10_000).map(|item| f64::from(item).powf(-0.99)).sum();
    let mut law = 0.0;
    let mut worst: f64 = 0.0;
    for rank in 0..10_000_u32 {
        law += f64::from(rank + 1).powf(-0.99) / zeta;
        worst = worst.max((zipfian.cumulative(u64::from(rank) + 1) - law).abs());
    }
    assert!((zipfian.cumulative(1) - 1.0 / zeta).abs() < 1e-12, "rank 0 is exact");
    assert!(worst > 1e-4 && worst < 0.025, "the largest distance of the two is {worst}");
}

/// Three heads that follow from the published constant alone: `1 / zeta`, `2^-0.99 / zeta`.
#[test]
fn scrambled_zipfian_has_the_published_head() {
    const COUNT: u64 = 1_000_000;
    let scrambled = ScrambledZipfian::new(COUNT).unwrap();
    let mut rng = SplitMix64::new(4);
    let heads = [0, 1].map(|rank| scrambled.key_of_rank(rank));
    let mut counts = [0_u64; 3];
    for _ in 0..SAMPLES {
        let key = scrambled.next(&mut rng);
        let bin = heads.iter().position(|&head| head == key).unwrap_or(2);
        counts[bin] += 1;
    }
    let first: f64 = 1.0 / 26.469_028_201_783_02;
    let second = 2.0_f64.powf(-0.99) / 26.469_028_201_783_02;
    assert!((first - 0.037_78).abs() < 1e-5);
    // The tail adds less than a millionth to each of them, far below what the test can see.
    assert_fits(&counts, &[first, second, 1.0 - first - second]);
    assert_does_not_fit(&counts, &[first * 1.05, second, 1.0 - first * 1.05 - second]);
}

/// The share of the most popular key does not depend on the number of keys, as in YCSB.
#[test]
fn scrambled_zipfian_keeps_its_head_on_few_keys() {
    let mut rng = SplitMix64::new(5);
    for count in [1_000, 100_000] {
        let scrambled = ScrambledZipfian::new(count).unwrap();
        let head = scrambled.key_of_rank(0);
        let hits = (0..SAMPLES).filter(|_| scrambled.next(&mut rng) == head).count();
        let share = hits as f64 / SAMPLES as f64;
        // Ranks below a thousand that collide with rank 0 and the tail may add up to 1 / count.
        assert!((0.037..0.0395).contains(&share), "{count} keys: {share}");
    }
}

#[test]
fn uniform_fits_and_hotspot_does_not_look_uniform() {
    let bounds: Vec<u64> = (1..=20).map(|bin| bin * 50).collect();
    let flat = vec![0.05; 20];
    let mut uniform = KeyDistribution::Uniform.stream(1_000, 6).unwrap();
    assert_fits(&histogram(&bounds, || uniform.next_key()), &flat);

    let spot = KeyDistribution::Hotspot { hot_keys: 0.2, hot_operations: 0.8 };
    let mut hotspot = spot.stream(1_000, 7).unwrap();
    let counts = histogram(&bounds, || hotspot.next_key());
    let shares: Vec<f64> = (0..20).map(|bin| if bin < 4 { 0.2 } else { 0.2 / 16.0 }).collect();
    assert_fits(&counts, &shares);
    assert_does_not_fit(&counts, &flat);
}

#[test]
fn latest_mirrors_the_zipfian_and_follows_growth() {
    let mut latest = Latest::new(9_000).unwrap();
    latest.grow_to(10_000);
    let fresh = Zipfian::new(10_000, ZIPFIAN_CONSTANT).unwrap();
    let mut rng = SplitMix64::new(8);
    let counts = histogram(&BOUNDS, || 9_999 - latest.next(&mut rng));
    assert_fits(&counts, &bin_probabilities(&BOUNDS, |rank| fresh.cumulative(rank)));
    // Growing sums the same terms in two parts.
    let mut grown = Zipfian::new(9_000, ZIPFIAN_CONSTANT).unwrap();
    grown.grow_to(10_000);
    assert!((grown.cumulative(1) - fresh.cumulative(1)).abs() < 1e-12);
}

/// The first two keys that any YCSB run loads are `user6284781860667377211` and
/// `user8517097267634966620`; the rest follows the definition of FNV-1a.
#[test]
fn fnv_hash_matches_known_vectors() {
    assert_eq!(fnv_hash_64(0), 6_284_781_860_667_377_211);
    assert_eq!(fnv_hash_64(1), 8_517_097_267_634_966_620);
    for value in [0, 1, 2, 1 << 33, u64::MAX] {
        let by_bytes = value.to_le_bytes().iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
        });
        assert_eq!(fnv_hash_64(value), by_bytes.cast_signed().unsigned_abs());
        assert!(fnv_hash_64(value) <= 1 << 63);
    }
}

#[test]
fn sequential_goes_round_and_scatter_is_one_to_one() {
    let keys = KeyDistribution::Sequential.stream(3, 0).unwrap();
    assert_eq!(keys.take(7).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
    let mut scattered: Vec<u64> = (0..10_000).map(scatter).collect();
    scattered.sort_unstable();
    scattered.dedup();
    assert_eq!(scattered.len(), 10_000);
}

#[test]
fn streams_repeat_and_threads_differ() {
    let workload = Workload::named("ycsb-a").unwrap();
    let take = |thread| -> Vec<Operation> {
        workload.stream(Size::Smoke, thread, 4).unwrap().take(500).collect()
    };
    assert_eq!(take(0), take(0));
    assert_ne!(take(0), take(1));
    assert_ne!(take(1), take(2));
    // Not one of them shifted by a few places either: hardly any operation agrees.
    let same = take(0).iter().zip(take(1)).filter(|(a, b)| *a == b).count();
    assert!(same < 50, "{same} of 500 operations agree");
}

#[test]
fn mixes_have_their_shares() {
    for workload in Workload::YCSB.into_iter().chain(Workload::MAPS) {
        workload.mix.check().unwrap();
        let mut counts = [0_u64; 7];
        for operation in workload.stream(Size::Smoke, 0, 1).unwrap().take(20_000) {
            let kind = OperationKind::ALL.iter().position(|&kind| kind == operation.kind);
            counts[kind.unwrap()] += 1;
        }
        let wanted = workload.mix.shares().map(|share| f64::from(share) / 100.0);
        for (&count, share) in counts.iter().zip(wanted) {
            assert_eq!(count == 0, share == 0.0, "{}: {counts:?}", workload.name);
        }
        let present: Vec<(u64, f64)> =
            counts.into_iter().zip(wanted).filter(|&(_, share)| share > 0.0).collect();
        if present.len() > 1 {
            let (counts, shares): (Vec<u64>, Vec<f64>) = present.into_iter().unzip();
            assert_fits(&counts, &shares);
        }
    }
}

#[test]
fn inserted_keys_are_new_and_no_two_threads_share_one() {
    let workload = Workload::named("ycsb-d").unwrap();
    let records = workload.records.at(Size::Smoke);
    let mut inserted = Vec::new();
    for thread in 0..3 {
        let stream = workload.stream(Size::Smoke, thread, 3).unwrap();
        let mut own = records + thread;
        for operation in stream.take(5_000) {
            if operation.kind == OperationKind::Insert {
                assert_eq!(operation.key, own);
                inserted.push(operation.key);
                own += 3;
            } else {
                assert!(operation.key < own + 3, "a read beyond what can have been inserted");
            }
        }
    }
    let count = inserted.len();
    inserted.sort_unstable();
    inserted.dedup();
    assert_eq!(inserted.len(), count);
}

/// With one thread, a read of the latest workload never asks for what is not there yet.
#[test]
fn a_single_stream_reads_only_what_exists() {
    let workload = Workload::named("ycsb-d").unwrap();
    let mut count = workload.records.at(Size::Smoke);
    let mut newest = 0;
    for operation in workload.stream(Size::Smoke, 0, 1).unwrap().take(20_000) {
        if operation.kind == OperationKind::Insert {
            assert_eq!(operation.key, count);
            count += 1;
        } else {
            assert!(operation.key < count);
            newest += u64::from(operation.key == count - 1);
        }
    }
    assert!(newest > 1_000, "the newest record was read {newest} times only");
}

#[test]
fn scans_are_as_long_as_ycsb_says() {
    let workload = Workload::named("ycsb-e").unwrap();
    let mut counts = vec![0_u64; 100];
    for operation in workload.stream(Size::Smoke, 0, 1).unwrap().take(100_000) {
        match operation.kind {
            OperationKind::Scan => counts[operation.length as usize - 1] += 1,
            kind => assert_eq!((kind, operation.length), (OperationKind::Insert, 1_000)),
        }
    }
    assert_fits(&counts, &[0.01; 100]);
}

#[test]
fn value_sizes_keep_their_ranges() {
    let mut rng = SplitMix64::new(9);
    let bounds: Vec<u64> = (101..=110).collect();
    let uniform = ValueSize::Uniform { min: 100, max: 109 };
    let mut offset = || u64::from(uniform.draw(&mut rng));
    assert_fits(&histogram(&bounds, &mut offset)[..], &[0.1; 10]);

    let small = ValueSize::Small { max: 1_000 };
    let mut rng = SplitMix64::new(10);
    let bounds = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1_001];
    let counts = histogram(&bounds, || u64::from(small.draw(&mut rng)));
    let shares = bin_probabilities(&bounds, |bound| (bound as f64).ln() / 1_001_f64.ln());
    assert_fits(&counts, &shares);
    assert_eq!(ValueSize::Fixed(7).draw(&mut rng), 7);
}

/// Counts the repeated letter, which is what a compressor can drop.
#[test]
fn content_has_the_stated_share_of_noise() {
    for ratio in [0.0, 0.25, 0.5, 1.0] {
        let mut content = ValueContent::new(ratio, 11).unwrap();
        let value = content.value(100_000);
        let letters = value.windows(2).filter(|pair| pair == b"aa").count();
        let noise = 1.0 - letters as f64 / 100_000.0;
        assert!((noise - ratio).abs() < 0.03, "asked for {ratio}, got {noise}");
        let again = ValueContent::new(ratio, 11).unwrap().value(100_000);
        assert_eq!(value, again);
    }
    let mut content = ValueContent::new(1.0, 12).unwrap();
    assert_ne!(content.value(64), content.value(64));
    // Longer than the pool: repeats it, does not panic.
    assert_eq!(content.value(3 << 20).len(), 3 << 20);
}

#[test]
fn nonsense_is_refused_with_a_sentence() {
    let hotspot = |hot_keys, hot_operations| KeyDistribution::Hotspot { hot_keys, hot_operations };
    let refused = [
        KeyDistribution::Uniform.stream(0, 0).unwrap_err(),
        KeyDistribution::ScrambledZipfian.stream(0, 0).unwrap_err(),
        KeyDistribution::Zipfian { theta: 1.0 }.stream(5, 0).unwrap_err(),
        KeyDistribution::Zipfian { theta: f64::NAN }.stream(5, 0).unwrap_err(),
        hotspot(1.1, 0.5).stream(5, 0).unwrap_err(),
        hotspot(0.5, f64::NAN).stream(5, 0).unwrap_err(),
        hotspot(0.1, 0.5).stream(5, 0).unwrap_err(),
        hotspot(1.0, 0.5).stream(5, 0).unwrap_err(),
        Mix { read: 99, ..Mix::default() }.check().unwrap_err(),
        ValueSize::Uniform { min: 2, max: 1 }.check().unwrap_err(),
        ValueSize::Small { max: 0 }.check().unwrap_err(),
        ValueContent::new(-0.1, 0).unwrap_err(),
        Workload::MAPS[0].stream(Size::Smoke, 2, 2).unwrap_err(),
    ];
    for error in refused {
        let sentence = error.to_string();
        assert!(sentence.len() > 20, "{sentence}");
    }
    // The edges themselves are accepted.
    hotspot(0.0, 0.0).stream(5, 0).unwrap();
    hotspot(1.0, 1.0).stream(5, 0).unwrap();
    for count in 1..=4 {
        let mut keys = KeyDistribution::Zipfian { theta: 0.99 }.stream(count, 1).unwrap();
        assert!((0..1_000).all(|_| keys.next_key() < count));
    }
}
