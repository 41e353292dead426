//! Compaction: when, and what is kept.

use exercise_lsm::exercise::{due, merge, retain};
use exercise_lsm::scaffold::{LEVEL_RATIO, LEVEL0_TABLES, Result, Version, source};
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;

use crate::kit::{entries_at, newest, versions};

#[test]
fn the_first_level_with_too_much_is_due() {
    let full = vec![100; LEVEL0_TABLES];
    let fresh = vec![100; LEVEL0_TABLES - 1];
    let second = 1_000 * LEVEL_RATIO;
    let cases = [
        (vec![], None),
        (vec![fresh.clone()], None),
        (vec![full.clone()], Some(0)),
        (vec![full, vec![5_000]], Some(0)),
        (vec![fresh.clone(), vec![1_000]], None),
        (vec![fresh.clone(), vec![1_001]], Some(1)),
        (vec![fresh.clone(), vec![600, 500]], Some(1)),
        (vec![fresh.clone(), vec![1_000], vec![second]], None),
        (vec![fresh.clone(), vec![], vec![second + 1]], Some(2)),
        (vec![fresh, vec![1_001], vec![second + 1]], Some(1)),
    ];
    for (levels, expected) in cases {
        assert_eq!(due(&levels, 1_000), expected, "{levels:?}");
    }
}

/// Tables as they come and are merged: levels keep their sizes, and no byte is written too often.
#[test]
fn levels_keep_their_sizes() {
    let (mut levels, mut written) = (vec![vec![]], 0);
    let tables = 2_000;
    for _ in 0..tables {
        levels[0].push(100_u64);
        written += 100;
        while let Some(level) = due(&levels, 400) {
            levels.resize(levels.len().max(level + 2), vec![]);
            let merged =
                levels[level].drain(..).sum::<u64>() + levels[level + 1].iter().sum::<u64>();
            levels[level + 1] = vec![merged];
            written += merged;
        }
    }
    assert!(levels[0].len() < LEVEL0_TABLES, "level 0 has {} tables", levels[0].len());
    assert_eq!(levels.concat().iter().sum::<u64>(), tables * 100, "nothing is lost");
    let amplification = written / (tables * 100);
    assert!(amplification < 40, "each byte was written {amplification} times");
}

/// Sorted versions of which some are in an upper level, and the others, older ones, beneath.
fn two_levels(rng: &mut SplitMix64) -> (Vec<Version>, Vec<Version>, Vec<Version>) {
    let all = versions(rng, 60, 8);
    let boundary = usize::try_from(rng.below(60)).expect("small");
    let (mut lower, mut upper) = (all[..boundary].to_vec(), all[boundary..].to_vec());
    lower.sort();
    upper.sort();
    (all, upper, lower)
}

fn kept(versions: Vec<Version>, oldest: u64, is_bottom: bool) -> Vec<Version> {
    retain(source(versions), oldest, is_bottom).collect::<Result<_>>().expect("all is well")
}

/// Who looks at `oldest` or later sees what was there before the merge, also where the older
/// versions of a key lie beneath what is merged.
#[test]
fn what_somebody_sees_is_kept() {
    with_seeds("stage_6::what_somebody_sees_is_kept", 300, |seed| {
        let mut rng = SplitMix64::new(seed);
        let (all, upper, lower) = two_levels(&mut rng);
        let oldest = rng.below(62);
        let merged = kept(upper, oldest, false);
        let rest = [merged, lower].concat();
        for moment in oldest..62 {
            let (before, after) = (entries_at(&all, moment), entries_at(&rest, moment));
            assert_eq!(after, before, "oldest {oldest}, seen at {moment}: after, then before");
        }
        let mut sorted = rest;
        sorted.sort();
        let bottom = kept(sorted, oldest, true);
        for moment in oldest..62 {
            let (before, after) = (entries_at(&all, moment), entries_at(&bottom, moment));
            assert_eq!(after, before, "at the bottom, oldest {oldest}, seen at {moment}");
        }
    });
}

/// What nobody can see any more is gone, and at the bottom its tombstones are too.
#[test]
fn what_nobody_sees_is_dropped() {
    with_seeds("stage_6::what_nobody_sees_is_dropped", 300, |seed| {
        let mut rng = SplitMix64::new(seed);
        let (_, upper, lower) = two_levels(&mut rng);
        let oldest = rng.below(62);
        let sources = vec![source(upper), source(lower)];
        let merged: Vec<_> = merge(sources).collect::<Result<_>>().expect("all is well");
        let bottom = kept(merged, oldest, true);
        for version in bottom.iter().filter(|it| it.sequence <= oldest) {
            let seen = newest(&bottom, &version.key, oldest);
            assert_eq!(seen.map(|it| it.sequence), Some(version.sequence), "an older version");
            assert!(version.value.is_some(), "a tombstone at the bottom, of {}", version.sequence);
        }
    });
}
