//! The proof of lock freedom: a thread stops at a point, and the others do not notice.
//!
//! For each point, and for the first few times that it is passed, one thread runs into it and stays
//! there. Another then does thousands of operations on keys of its own in the same bins, and every
//! answer must be right. If it waited for the stopped thread, it would not come back; the test
//! gives it a minute. Then the stopped thread goes on, and its answers must be right as well.

use std::collections::HashMap as Model;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harness::rng::SplitMix64;

use super::{Keeps, TestMap};
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
    let (stopped, is_stopped) = mpsc::channel::<bool>();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let victim = {
        let (map, stopped) = (Arc::clone(&map), stopped.clone());
        thread::spawn(move || {
            let at_point = stopped.clone();
            suspend_at(point, passes, move || {
                at_point.send(true).unwrap();
                may_go_on.recv().unwrap();
            });
            work(&map, 0, 3_000, 1);
            // Not every point is passed so often.
            let _ = stopped.send(false);
        })
    };
    let is_stopped =
        is_stopped.recv_timeout(PATIENCE).expect("the first thread comes to the point");
    assert!(is_stopped || passes > 1, "{point:?} was never passed");
    let (done, is_done) = mpsc::channel();
    let other = {
        let map = Arc::clone(&map);
        thread::spawn(move || {
            work(&map, 1, 3_000, 2);
            done.send(()).unwrap();
        })
    };
    let finished = is_done.recv_timeout(PATIENCE);
    assert!(finished.is_ok(), "a thread stopped at {point:?} ({passes} passes) stops another");
    other.join().unwrap();
    // Failure: the thread was not stopped and has ended.
    let _ = go_on.send(());
    victim.join().unwrap();
}

/// Operations on keys of one parity, so that others change no answer, with growth and shrinkage.
fn work(map: &TestMap, parity: u64, calls: u64, seed: u64) {
    let mut rng = SplitMix64::new(seed);
    let mut model = Model::new();
    for turn in 0..calls {
        let mut pinned = map.pin();
        let key = rng.below(200) * 2 + parity;
        // Mostly insertions at first, mostly removals later.
        match rng.below(10) {
            0 => assert_eq!(pinned.get(&key), model.get(&key)),
            1..3 => {
                let expected = model.get_mut(&key).map(|value| {
                    *value += 1;
                    *value
                });
                assert_eq!(pinned.update(&key, |value| value + 1).copied(), expected);
            }
            dice if (dice < 8) == (turn % 1_000 < 500) => {
                assert_eq!(pinned.insert(key, turn).copied(), model.insert(key, turn));
            }
            _ => assert_eq!(pinned.remove(&key).copied(), model.remove(&key)),
        }
        if turn % 250 == 249 {
            pinned.shrink_to_fit().unwrap();
            let mine = pinned.keys().filter(|&&it| it % 2 == parity).count();
            assert_eq!(mine, model.len());
        }
    }
}
