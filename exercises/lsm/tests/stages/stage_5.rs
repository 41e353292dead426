//! Merging: one order, one version of each key, no tombstones, and not a step further than asked.

use std::cell::Cell;

use exercise_lsm::exercise::{merge, visible};
use exercise_lsm::scaffold::{Error, Result, Source, Version, source};
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;

use crate::kit::{all_whole, entries_at, versions};

/// The versions dealt out to some sorted sources.
fn deal(rng: &mut SplitMix64, all: &[Version]) -> Vec<Vec<Version>> {
    let mut hands = vec![Vec::new(); 4];
    for version in all {
        hands[usize::try_from(rng.below(4)).expect("small")].push(version.clone());
    }
    for hand in &mut hands {
        hand.sort();
    }
    hands
}

fn sources<'a>(hands: Vec<Vec<Version>>) -> Vec<Source<'a>> {
    hands.into_iter().map(source).collect()
}

#[test]
fn merged_versions_are_in_order() {
    with_seeds("stage_5::merged_versions_are_in_order", 200, |seed| {
        let mut rng = SplitMix64::new(seed);
        let mut all = versions(&mut rng, 60, 10);
        let hands = deal(&mut rng, &all);
        all.sort();
        let merged: Vec<_> = merge(sources(hands)).collect::<Result<_>>().expect("all is well");
        assert_eq!(all_whole(merged), all_whole(all));
    });
}

#[test]
fn one_moment_is_seen() {
    with_seeds("stage_5::one_moment_is_seen", 300, |seed| {
        let mut rng = SplitMix64::new(seed);
        let all = versions(&mut rng, 60, 10);
        let hands = deal(&mut rng, &all);
        let moment = rng.below(62);
        let seen: Vec<_> =
            visible(merge(sources(hands)), moment).collect::<Result<_>>().expect("all is well");
        assert_eq!(seen, entries_at(&all, moment), "moment {moment}: yours, then the model's");
    });
}

/// A source that cannot be read ends neither silently nor by a made-up answer.
#[test]
fn errors_are_handed_on() {
    let good = || Ok(Version::new(b"b", 1, Some(b"value")));
    let bad: Source<'_> = Box::new([good(), Err(Error::Failed), good()].into_iter());
    let other = source(vec![Version::new(b"c", 1, Some(b"value"))]);
    let seen: Vec<_> = visible(merge(vec![other, bad]), 9).collect();
    assert!(seen.iter().any(Result::is_err), "the error of a source is lost");
}

/// Who asks for three entries of a million must not wait for the million.
#[test]
fn sources_are_read_as_far_as_needed() {
    let taken = Cell::new(0);
    let long = |shift: u64| -> Source<'_> {
        let taken = &taken;
        Box::new((0..1_000_000).map(move |number| {
            taken.set(taken.get() + 1);
            Ok(Version::new(&(number * 2 + shift).to_be_bytes(), 1, Some(b"value")))
        }))
    };
    let three: Vec<_> = visible(merge(vec![long(0), long(1)]), 9).take(3).collect();
    assert_eq!(three.len(), 3);
    assert!(taken.get() < 20, "{} versions were read for three", taken.get());
}
