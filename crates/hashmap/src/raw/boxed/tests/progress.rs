//! The proof of lock freedom: a thread stops at a point, and the others do not notice.
//!
//! For each point, and for the first few times that it is passed, one thread runs into it and stays
//! there. Another then does thousands of operations, of every kind, on keys of its own in the same
//! bins, and every answer must be right. If it waited for the stopped thread, it would not come
//! back; the test gives it a minute. Then the stopped thread goes on, and its answers must be right
//! as well.

use std::cell::Cell;
use std::collections::HashMap as Model;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harness::rng::SplitMix64;

use super::{Keeps, TestMap};
use crate::guard::{Computed, Operation};
use crate::raw::hook::{Point, suspend_at};

const POINTS: [Point; 11] = [
    Point::Offered,
    Point::Committed,
    Point::Unlinked,
    Point::Extended,
    Point::Resized,
    Point::HeaderFrozen,
    Point::SlotFrozen,
    Point::Filled,
    Point::Finished,
    Point::Counted,
    Point::TableUnlinked,
];

/// Calls of a round, and rounds within which every point is passed often enough.
const CALLS: u64 = 3_000;
const ROUNDS: u64 = 100;

const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn nobody_waits_for_a_thread_that_stops() {
    for point in POINTS {
        for passes in [0, 1, 5, 40] {
            for hasher in [Keeps::All, Keeps::LowBits] {
                stop_at(point, passes, hasher);
            }
        }
    }
}

fn stop_at(point: Point, passes: u32, hasher: Keeps) {
    let map = Arc::new(TestMap::with_hasher(hasher));
    let (stopped, is_stopped) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let victim = {
        let map = Arc::clone(&map);
        thread::spawn(move || {
            let was_there = Rc::new(Cell::new(false));
            let comes_there = Rc::clone(&was_there);
            suspend_at(point, passes, move || {
                comes_there.set(true);
                stopped.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            // Some points are passed a few times in each round.
            (0..ROUNDS).take_while(|_| !was_there.get()).for_each(|seed| work(&map, 0, seed));
        })
    };
    let comes_there = is_stopped.recv_timeout(PATIENCE);
    assert!(comes_there.is_ok(), "{point:?} was not passed more than {passes} times by {hasher:?}");
    let (done, is_done) = mpsc::channel();
    let other = {
        let map = Arc::clone(&map);
        thread::spawn(move || {
            work(&map, 1, ROUNDS);
            done.send(()).unwrap();
        })
    };
    let finished = is_done.recv_timeout(PATIENCE);
    assert!(finished.is_ok(), "a thread stopped at {point:?} ({passes} passes) stops another");
    other.join().unwrap();
    go_on.send(()).unwrap();
    victim.join().unwrap();
    assert!(map.is_empty());
}

/// Operations on keys of one parity, so that others change no answer, with growth and shrinkage. In
/// the end none of them is left.
fn work(map: &TestMap, parity: u64, seed: u64) {
    let mut rng = SplitMix64::new(seed);
    let mut model = Model::new();
    for turn in 0..CALLS {
        let mut pinned = map.pin();
        let key = rng.below(200) * 2 + parity;
        // Mostly insertions at first, mostly removals later.
        match rng.below(10) {
            0 => look(&pinned, &model, key),
            1..3 => change(&pinned, &mut model, key, rng.below(4), turn),
            dice if (dice < 8) == (turn % 1_000 < 500) => {
                put(&pinned, &mut model, key, rng.below(5), turn);
            }
            _ => take(&pinned, &mut model, key, rng.below(3)),
        }
        if turn % 250 == 249 {
            if turn % 500 == 249 {
                pinned.reserve(500).unwrap();
            }
            pinned.shrink_to_fit().unwrap();
            let mine = pinned.iter().filter(|&(&it, _)| it % 2 == parity);
            let mine: Model<_, _> = mine.map(|(&key, &value)| (key, value)).collect();
            assert_eq!(mine, model);
        }
    }
    map.pin().retain(|key, _| key % 2 != parity);
}

type Pinned<'m> = crate::Pinned<'m, u64, u64, Keeps>;

fn look(pinned: &Pinned<'_>, model: &Model<u64, u64>, key: u64) {
    assert_eq!(pinned.get(&key), model.get(&key));
    assert_eq!(pinned.contains_key(&key), model.contains_key(&key));
    let keys = neighbours(key);
    pinned.get_many(&keys, |index, value| assert_eq!(value, model.get(&keys[index])));
    let present = keys.map(|key| model.contains_key(&key));
    assert_eq!(pinned.contains_many(&keys), present);
}

/// More keys of the same parity than are looked up together.
fn neighbours(key: u64) -> [u64; 20] {
    std::array::from_fn(|index| key + 2 * index as u64)
}

/// Changes the value of `key`, if it has one.
fn change(pinned: &Pinned<'_>, model: &mut Model<u64, u64>, key: u64, dice: u64, turn: u64) {
    let former = model.get(&key).copied();
    let new = former.map(|value| value + 1);
    if let Some(new) = new {
        model.insert(key, new);
    }
    match dice {
        0 => assert_eq!(pinned.update(&key, |value| value + 1).copied(), new),
        1 => {
            let expected = former.unwrap_or(turn);
            let exchanged = pinned.compare_exchange(&key, &expected, expected + 1);
            assert_eq!(exchanged.ok().copied(), former);
            let refused = pinned.compare_exchange(&key, &u64::MAX, turn).unwrap_err();
            assert_eq!((refused.current.copied(), refused.new), (new, turn));
        }
        2 => {
            let computed = pinned.compute(&key, |value| match value {
                Some(value) => Operation::Put(value + 1),
                None => Operation::Keep,
            });
            let expected = match (&former, &new) {
                (Some(former), Some(new)) => Computed::Replaced { former, new },
                _ => Computed::Kept(None),
            };
            assert_eq!(computed, expected);
        }
        _ => {
            let value = *pinned.update_or_insert_with(&key, |value| value + 1, || turn);
            assert_eq!(value, new.unwrap_or(turn));
            model.insert(key, value);
        }
    }
}

/// Gives `key` a value, if it has none or in any case.
fn put(pinned: &Pinned<'_>, model: &mut Model<u64, u64>, key: u64, dice: u64, turn: u64) {
    let former = model.get(&key).copied();
    match dice {
        0 => {
            let tried = pinned.try_insert(key, turn).copied().map_err(|error| *error.current);
            assert_eq!(tried, former.map_or(Ok(turn), Err));
            model.entry(key).or_insert(turn);
        }
        1 => {
            let value = *pinned.get_or_insert_with(key, || turn);
            assert_eq!(value, *model.entry(key).or_insert(turn));
        }
        2 => {
            let computed = pinned.compute(&key, |_| Operation::Put(turn));
            let expected = match &former {
                Some(former) => Computed::Replaced { former, new: &turn },
                None => Computed::Inserted(&turn),
            };
            assert_eq!(computed, expected);
            model.insert(key, turn);
        }
        3 => {
            let entries = neighbours(key).map(|key| (key, turn));
            let new = pinned.insert_many(entries);
            let before = model.len();
            model.extend(entries);
            assert_eq!(new, model.len() - before);
        }
        _ => assert_eq!(pinned.insert(key, turn).copied(), model.insert(key, turn)),
    }
}

/// Removes `key`, in any case or if its value is even.
fn take(pinned: &Pinned<'_>, model: &mut Model<u64, u64>, key: u64, dice: u64) {
    match dice {
        0 => {
            let removed = pinned.remove_if(&key, |_, value| value % 2 == 0).copied();
            let expected = match model.get(&key).copied() {
                Some(value) if value % 2 == 0 => Ok(value),
                stays => Err(stays),
            };
            assert_eq!(removed.map_err(Option::<&u64>::copied), expected);
            if expected.is_ok() {
                model.remove(&key);
            }
        }
        1 => {
            let computed = pinned.compute(&key, |value| match value {
                Some(_) => Operation::Remove,
                None => Operation::Keep,
            });
            let former = model.remove(&key);
            let expected = former.as_ref().map_or(Computed::Kept(None), Computed::Removed);
            assert_eq!(computed, expected);
        }
        _ => assert_eq!(pinned.remove(&key).copied(), model.remove(&key)),
    }
}
