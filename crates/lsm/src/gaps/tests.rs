//! Gaps against a model that remembers which keys there were after each write.

use std::collections::BTreeSet;

use harness::rng::SplitMix64;

use super::*;

const KEYS: u64 = 40;

fn at(sequence: Sequence) -> Moment {
    Moment { sequence, now: Duration::ZERO }
}

fn key(number: u64) -> Vec<u8> {
    vec![u8::try_from(number).expect("keys are few")]
}

fn gap(start: u64, end: u64, since: Sequence, worth: usize) -> Gap {
    Gap { start: key(start), end: key(end), since: at(since), worth }
}

fn known(gaps: &Gaps) -> Vec<Gap> {
    let guard = epoch::pin();
    let known = gaps.known.load(&guard);
    known.map_or_else(Vec::new, |it| it.iter().map(|it| (**it).clone()).collect())
}

/// No gap has a key for anyone whom it is for, whatever is put and told in whatever order.
#[test]
fn a_gap_is_empty_for_all_who_jump_it() {
    let mut jumps = 0;
    for seed in 0..300 {
        let mut random = SplitMix64::new(seed);
        let gaps = Gaps::default();
        // What is there after no write, after the first, and so on.
        let mut history: Vec<BTreeSet<Vec<u8>>> = vec![(0..KEYS).map(key).collect()];
        for _ in 0..200 {
            let last = history.len() as u64 - 1;
            let mut now = history[history.len() - 1].clone();
            match random.below(10) {
                0 => {
                    let put = key(random.below(KEYS));
                    gaps.cut(&put, &epoch::pin());
                    now.insert(put);
                    history.push(now);
                }
                1..4 => {
                    let from = random.below(KEYS);
                    let (from, to) = (key(from), key((from + random.below(6)).min(KEYS)));
                    now.retain(|it| *it < from || to <= *it);
                    history.push(now);
                }
                4..8 => {
                    // A walk as of one of the last moments, from some key to the next one there.
                    let since = last.saturating_sub(random.below(3));
                    let there = &history[usize::try_from(since).expect("few writes")];
                    let from = key(random.below(KEYS));
                    let to = there.range(from.clone()..).next().cloned().unwrap_or(key(KEYS));
                    if from < to {
                        let worth = usize::try_from(random.below(9)).expect("small");
                        gaps.post(Gap { start: from, end: to, since: at(since), worth });
                    }
                }
                _ => gaps.settle(last),
            }
            let all = known(&gaps);
            assert!(all.len() <= GAPS_MAX, "they are few");
            assert!(all.is_sorted_by(|a, b| a.end < b.start), "none touches another: {all:?}");
            for (moment, there) in (0..).zip(&history) {
                for number in 0..KEYS {
                    let guard = epoch::pin();
                    let around = gaps.around(&key(number), at(moment), &guard);
                    let below = gaps.below(&key(number), at(moment), &guard);
                    for gap in around.into_iter().chain(below) {
                        jumps += 1;
                        let inside = there.range(gap.start.clone()..gap.end.clone()).next();
                        assert_eq!(inside, None, "{gap:?} at {moment}, seed {seed}");
                    }
                }
            }
        }
    }
    assert!(jumps > 100_000, "there was something to jump");
}

#[test]
fn a_put_divides_a_gap_and_takes_half_of_its_worth() {
    let gaps = Gaps::default();
    gaps.post(gap(10, 20, 5, 8));
    gaps.settle(5);
    gaps.cut(&key(25), &epoch::pin());
    gaps.cut(&key(14), &epoch::pin());
    let above = Gap { start: behind(&key(14)), ..gap(0, 20, 5, 4) };
    assert_eq!(known(&gaps), [gap(10, 14, 5, 4), above]);
    gaps.cut(&key(10), &epoch::pin());
    gaps.cut(&behind(&key(10)), &epoch::pin());
    let above = Gap { start: behind(&key(14)), ..gap(0, 20, 5, 4) };
    assert_eq!(known(&gaps), [above], "the other was not worth it any more");
}

#[test]
fn what_touches_becomes_one() {
    let gaps = Gaps::default();
    for (start, end) in [(1, 3), (7, 9), (5, 6), (3, 5)] {
        gaps.post(gap(start, end, 2, 2));
        gaps.settle(2);
    }
    assert_eq!(known(&gaps), [gap(1, 6, 2, 6), gap(7, 9, 2, 2)]);
}

#[test]
fn a_walk_of_an_older_moment_is_watched_and_known_after_another_one() {
    let gaps = Gaps::default();
    gaps.post(gap(10, 20, 5, 8));
    gaps.settle(6);
    assert!(gaps.is_empty(), "number 6 may have been put there");
    gaps.cut(&key(18), &epoch::pin());
    gaps.post(gap(12, 20, 5, 8));
    gaps.settle(7);
    assert!(gaps.is_empty(), "it is of a moment before the watch");
    gaps.post(gap(10, 18, 7, 8));
    gaps.settle(8);
    assert_eq!(known(&gaps), [gap(12, 18, 7, 8)], "what was watched, and both found empty");
}

#[test]
fn the_gaps_that_nobody_adds_to_are_forgotten_first() {
    let gaps = Gaps::default();
    for number in 0..=GAPS_MAX as u64 {
        gaps.post(gap(2 * number, 2 * number + 1, number + 1, 2));
        gaps.settle(number + 1);
    }
    assert_eq!(known(&gaps).len(), GAPS_MAX);
    assert_eq!(known(&gaps)[0], gap(2, 3, 2, 2));
}
