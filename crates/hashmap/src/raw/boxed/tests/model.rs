//! One thread against `std::collections::HashMap`, with every hasher, the table resized at random,
//! a bin at a time, several or all of them.

use std::collections::HashMap as Model;

use proptest::prelude::*;

use super::{HASHERS, Keeps, TestMap};
use crate::guard::{Computed, Operation};
use crate::raw::hook::{Bug, STRIDES, plant, with_stride};

#[derive(Clone, Copy, Debug)]
enum Request {
    Get(u64),
    Insert(u64, u64),
    TryInsert(u64, u64),
    GetOrInsert(u64, u64),
    Remove(u64),
    RemoveIfEven(u64),
    Update(u64, u64),
    /// By the value that is there: odd ones go, even ones stay, absent ones come.
    Compute(u64, u64),
    Exchange(u64, u64, u64),
    ReplaceEntry(u64, u64),
    RemoveEntry(u64),
    RetainEven,
    Clear,
    Reserve(usize),
    ShrinkToFit,
    Walk,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let key = || 0_u64..64;
    let value = || 0_u64..8;
    let request = prop_oneof![
        6 => key().prop_map(Request::Get),
        12 => (key(), value()).prop_map(|(key, value)| Request::Insert(key, value)),
        4 => (key(), value()).prop_map(|(key, value)| Request::TryInsert(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Request::GetOrInsert(key, value)),
        6 => key().prop_map(Request::Remove),
        3 => key().prop_map(Request::RemoveIfEven),
        4 => (key(), value()).prop_map(|(key, value)| Request::Update(key, value)),
        4 => (key(), value()).prop_map(|(key, value)| Request::Compute(key, value)),
        4 => (key(), value(), value()).prop_map(|(key, a, b)| Request::Exchange(key, a, b)),
        3 => (key(), value()).prop_map(|(key, value)| Request::ReplaceEntry(key, value)),
        2 => key().prop_map(Request::RemoveEntry),
        1 => Just(Request::RetainEven),
        1 => Just(Request::Clear),
        2 => (0_usize..400).prop_map(Request::Reserve),
        2 => Just(Request::ShrinkToFit),
        1 => Just(Request::Walk),
    ];
    prop::collection::vec(request, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn answers_are_those_of_a_plain_map(requests in requests()) {
        for hasher in HASHERS {
            for stride in STRIDES {
                with_stride(stride, || check(hasher, &requests));
            }
        }
    }
}

fn check(hasher: Keeps, requests: &[Request]) {
    let map = TestMap::with_hasher(hasher);
    let mut model = Model::new();
    for &request in requests {
        step(&map, &mut model, request);
        assert_eq!(map.len(), model.len());
    }
    compare(&map, &model);
    let mut left: Vec<_> = map.into_iter().collect();
    left.sort_unstable();
    let mut expected: Vec<_> = model.into_iter().collect();
    expected.sort_unstable();
    assert_eq!(left, expected);
}

fn step(map: &TestMap, model: &mut Model<u64, u64>, request: Request) {
    let mut pinned = map.pin();
    match request {
        Request::Get(key) => {
            assert_eq!(pinned.get(&key), model.get(&key));
            assert_eq!(pinned.contains_key(&key), model.contains_key(&key));
        }
        Request::Insert(key, value) => {
            assert_eq!(pinned.insert(key, value).copied(), model.insert(key, value));
        }
        Request::TryInsert(key, value) => match pinned.try_insert(key, value) {
            Ok(inserted) => assert_eq!((*inserted, model.insert(key, value)), (value, None)),
            Err(error) => {
                assert_eq!((Some(error.current), error.key), (model.get(&key), key));
                assert_eq!(error.value, value);
            }
        },
        Request::GetOrInsert(key, value) => {
            assert_eq!(pinned.get_or_insert_with(key, || value), model.entry(key).or_insert(value));
            assert_eq!(pinned.entry(key).or_insert(9), &model[&key]);
        }
        Request::Remove(key) => {
            assert_eq!(pinned.remove_entry(&key).map(|(&k, &v)| (k, v)), model.remove_entry(&key));
        }
        Request::RemoveIfEven(key) => remove_if_even(map, model, key),
        Request::Update(key, term) => {
            let change = |value: &u64| value.wrapping_mul(3).wrapping_add(term);
            let expected = model.get_mut(&key).map(|value| {
                *value = change(value);
                *value
            });
            assert_eq!(pinned.update(&key, change).copied(), expected);
        }
        Request::Compute(key, value) => compute(map, model, key, value),
        Request::Exchange(key, expected, new) => exchange(map, model, key, expected, new),
        Request::ReplaceEntry(key, value) => {
            if let crate::entry::Entry::Occupied(entry) = pinned.entry(key) {
                assert_eq!(entry.try_replace(value).ok().copied(), model.insert(key, value));
            } else {
                assert_eq!(model.get(&key), None);
            }
        }
        Request::RemoveEntry(key) => {
            if let crate::entry::Entry::Occupied(entry) = pinned.entry(key) {
                assert_eq!(Some(*entry.get()), model.remove(&key));
                assert!(entry.try_remove());
            }
        }
        Request::RetainEven => {
            pinned.retain(|_, value| value % 2 == 0);
            model.retain(|_, value| *value % 2 == 0);
        }
        Request::Clear => {
            let mut drained = Vec::new();
            pinned.drain_with(|&key, &value| drained.push((key, value)));
            assert_eq!(drained.into_iter().collect::<Model<_, _>>(), std::mem::take(model));
        }
        Request::Reserve(more) => pinned.reserve(more).unwrap(),
        Request::ShrinkToFit => pinned.shrink_to_fit().unwrap(),
        Request::Walk => compare(map, model),
    }
}

fn remove_if_even(map: &TestMap, model: &mut Model<u64, u64>, key: u64) {
    let pinned = map.pin();
    let removed = pinned.remove_if(&key, |_, value| value % 2 == 0);
    match model.get(&key).copied() {
        Some(value) if value % 2 == 0 => {
            assert_eq!(removed.ok().copied(), model.remove(&key));
        }
        stays => assert_eq!(removed.unwrap_err().copied(), stays),
    }
}

fn compute(map: &TestMap, model: &mut Model<u64, u64>, key: u64, new: u64) {
    let pinned = map.pin();
    let computed = pinned.compute(&key, |value| match value {
        None => Operation::Put(new),
        Some(value) if value % 2 == 1 => Operation::Remove,
        Some(_) => Operation::Keep,
    });
    match (computed, model.get(&key).copied()) {
        (Computed::Inserted(value), None) => {
            assert_eq!((*value, model.insert(key, new)), (new, None));
        }
        (Computed::Removed(value), Some(odd)) if odd % 2 == 1 => {
            assert_eq!(Some(*value), model.remove(&key));
        }
        (Computed::Kept(Some(value)), Some(even)) => assert_eq!((*value, *value % 2), (even, 0)),
        (computed, modelled) => panic!("{computed:?} where the model has {modelled:?}"),
    }
}

fn exchange(map: &TestMap, model: &mut Model<u64, u64>, key: u64, expected: u64, new: u64) {
    let pinned = map.pin();
    match pinned.compare_exchange(&key, &expected, new) {
        Ok(former) => assert_eq!((Some(*former), *former), (model.insert(key, new), expected)),
        Err(error) => {
            assert_ne!(error.current, Some(&expected));
            assert_eq!((error.current, error.new), (model.get(&key), new));
        }
    }
}

fn compare(map: &TestMap, model: &Model<u64, u64>) {
    let pinned = map.pin();
    let mut expected: Vec<_> = model.iter().map(|(&key, &value)| (key, value)).collect();
    expected.sort_unstable();
    let mut walked: Vec<_> = pinned.iter().map(|(&key, &value)| (key, value)).collect();
    walked.sort_unstable();
    assert_eq!(walked, expected);
    let mut batched: Vec<_> = map.batches(3).flatten().collect();
    batched.sort_unstable();
    assert_eq!(batched, expected);
    let keys: Vec<u64> = (0..64).collect();
    let mut looked_up = Vec::new();
    pinned.get_many(&keys, |index, value| looked_up.push((keys[index], value.copied())));
    assert!(looked_up.iter().all(|(key, value)| model.get(key) == value.as_ref()));
    assert_eq!((looked_up.len(), pinned.count_many(&keys)), (keys.len(), model.len()));
    let present: Vec<_> = keys.iter().map(|key| model.contains_key(key)).collect();
    assert_eq!(pinned.contains_many(&keys), present);
}

/// Operations that find a table on its way to another, of the many that make a map grow.
#[test]
fn strides_are_what_an_operation_moves() {
    let resizing = STRIDES.map(|stride| {
        with_stride(stride, || {
            let map = TestMap::with_hasher(Keeps::All);
            let is_resizing = |key: &u64| {
                map.insert(*key, 0);
                map.stats().tables > 1
            };
            (0..20_000).filter(is_resizing).count()
        })
    });
    let [one, several, all] = resizing;
    assert!(one > 10 * several && several > 0 && all == 0, "{resizing:?} of 20,000");
}

/// Whether one thread notices this mistake.
fn goes_wrong(bug: Option<Bug>) -> bool {
    let outcome = std::panic::catch_unwind(|| {
        plant(bug);
        let map = TestMap::with_hasher(Keeps::All);
        let mut model = Model::new();
        for key in 0..200 {
            step(&map, &mut model, Request::Insert(key, key));
            step(&map, &mut model, Request::Remove(key / 2));
            step(&map, &mut model, Request::Get(key / 2));
            step(&map, &mut model, Request::Get(key));
        }
    });
    plant(None);
    outcome.is_err()
}

/// Apart from the other mistakes, since what is not copied is lost, and its memory with it.
#[test]
fn skipped_copy_is_found_by_the_model() {
    for stride in STRIDES {
        with_stride(stride, || {
            assert!(goes_wrong(Some(Bug::SkipsCopy)), "with a stride of {stride}");
        });
    }
}

#[test]
fn planted_mistakes_are_found() {
    for stride in STRIDES {
        with_stride(stride, || assert!(!goes_wrong(None), "with a stride of {stride}"));
    }
    // With all bins moved at once, the old table is not met again.
    assert!(goes_wrong(Some(Bug::IgnoresMoved)));
    assert!(goes_wrong(Some(Bug::HidesSpills)));
}

/// The table follows the entries: up, down, and down to the floor.
#[test]
fn table_grows_and_shrinks_with_the_entries() {
    let map = TestMap::with_hasher(Keeps::All);
    let session = map.session();
    (0..100_000).for_each(|key| {
        session.insert(key, key);
    });
    let full = map.stats();
    assert!(full.bins >= 100_000 / 5 && full.bins <= 100_000, "{full:?}");
    (0..100_000).for_each(|key| {
        session.remove(&key);
    });
    let empty = map.stats();
    assert!(empty.bins <= full.bins / 16, "{empty:?} after {full:?}");
    map.pin().shrink_to_fit().unwrap();
    assert_eq!((map.stats().bins, map.stats().tables), (1, 1));
}

/// One hash for all: the chain grows, the table does not.
#[test]
fn colliding_keys_do_not_grow_the_table() {
    let map = TestMap::with_hasher(Keeps::None);
    let session = map.session();
    (0..4_096).for_each(|key| {
        session.insert(key, key);
    });
    assert!((0..4_096).all(|key| session.get(&key) == Some(key)));
    let stats = map.stats();
    assert!(stats.bytes < 4_096 * 64 + 4_096 * 64, "{stats:?}");
    (0..4_096).for_each(|key| assert_eq!(session.remove(&key), Some(key)));
    assert!(map.is_empty());
}

#[test]
fn absurd_capacities_are_refused() {
    use crate::CapacityError;

    let too_large = TestMap::<u64>::try_with_capacity_and_hasher(usize::MAX, Keeps::All);
    assert_eq!(too_large.unwrap_err(), CapacityError::TooLarge { capacity: usize::MAX });
    let map = TestMap::<u64>::with_hasher(Keeps::All);
    assert!(map.pin().reserve(usize::MAX).is_err());
    assert!(map.pin().insert(1, 1).is_none());
}

#[test]
fn zero_sized_keys_and_values_are_entries() {
    let map: crate::HashMap<(), ()> = crate::HashMap::new();
    let pinned = map.pin();
    assert_eq!((pinned.insert((), ()), pinned.insert((), ())), (None, Some(&())));
    assert_eq!((map.len(), pinned.remove(&()), pinned.remove(&())), (1, Some(&()), None));
}
