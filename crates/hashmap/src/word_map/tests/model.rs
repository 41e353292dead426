//! One thread: every operation against a plain map, with good hashers and terrible ones, and bins
//! moved one at a time, some or all at once.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use proptest::prelude::*;

use crate::WordMap;
use crate::raw::hook::{STRIDES, with_stride};

/// What a terrible hasher does to a word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terrible(pub(crate) Kind);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Kind {
    /// Every key has the same hash.
    Constant,
    /// Only the lowest bits differ.
    #[default]
    LowBits,
    /// Only the highest bits differ.
    HighBits,
}

pub(crate) struct TerribleHasher(Kind, u64);

impl BuildHasher for Terrible {
    type Hasher = TerribleHasher;

    fn build_hasher(&self) -> TerribleHasher {
        TerribleHasher(self.0, 0)
    }
}

impl Hasher for TerribleHasher {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a map of words hashes words")
    }

    fn write_u64(&mut self, word: u64) {
        self.1 = match self.0 {
            Kind::Constant => 42,
            Kind::LowBits => word & 0xff,
            Kind::HighBits => word << 56,
        };
    }

    fn finish(&self) -> u64 {
        self.1
    }
}

#[derive(Clone, Debug)]
enum Request {
    Get(u64),
    Insert(u64, u64),
    TryInsert(u64, u64),
    Remove(u64),
    RemoveIfOdd(u64),
    Update(u64, u64),
    Toggle(u64, u64),
    GetOrInsert(u64, u64),
    Exchange(u64, Option<u64>, Option<u64>),
    GetMany(Vec<u64>),
    InsertMany(Vec<(u64, u64)>),
    Retain(u64),
    Drain(usize),
    Clear,
    Reserve(usize),
    Shrink,
}

/// Few keys, so that each is met in every state, and enough to make the smallest table grow.
fn key() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0_u64..40,
        1 => 0_u64..200,
        1 => Just(u64::MAX),
        1 => (0_u64..9).prop_map(|it| it << 60),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    0_u64..4
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let maybe = || prop::option::of(value());
    let request = prop_oneof![
        6 => key().prop_map(Request::Get),
        12 => (key(), value()).prop_map(|(key, value)| Request::Insert(key, value)),
        4 => (key(), value()).prop_map(|(key, value)| Request::TryInsert(key, value)),
        6 => key().prop_map(Request::Remove),
        2 => key().prop_map(Request::RemoveIfOdd),
        3 => (key(), value()).prop_map(|(key, value)| Request::Update(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Request::Toggle(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Request::GetOrInsert(key, value)),
        4 => (key(), maybe(), maybe()).prop_map(|(key, old, new)| Request::Exchange(key, old, new)),
        2 => prop::collection::vec(key(), 0..40).prop_map(Request::GetMany),
        3 => prop::collection::vec((key(), value()), 0..60).prop_map(Request::InsertMany),
        1 => value().prop_map(Request::Retain),
        1 => (0_usize..30).prop_map(Request::Drain),
        1 => Just(Request::Clear),
        1 => (0_usize..300).prop_map(Request::Reserve),
        1 => Just(Request::Shrink),
    ];
    prop::collection::vec(request, 1..150)
}

type Model = HashMap<u64, u64>;

/// Applies a request to both maps and compares what they say.
fn step<S: BuildHasher>(map: &WordMap<u64, u64, S>, model: &mut Model, request: &Request) {
    match *request {
        Request::Get(key) => {
            assert_eq!(map.get(key), model.get(&key).copied());
            assert_eq!(map.contains_key(key), model.contains_key(&key));
        }
        Request::Insert(key, value) => {
            assert_eq!(map.insert(key, value), model.insert(key, value));
        }
        Request::TryInsert(key, value) => {
            let expected = model.get(&key).copied().map_or(Ok(()), Err);
            model.entry(key).or_insert(value);
            assert_eq!(map.try_insert(key, value), expected);
        }
        Request::Remove(key) => assert_eq!(map.remove(key), model.remove(&key)),
        Request::RemoveIfOdd(key) => {
            let expected = model.get(&key).copied().filter(|value| value % 2 == 1);
            expected.map(|_| model.remove(&key));
            assert_eq!(map.remove_if(key, |value| value % 2 == 1), expected);
        }
        Request::Update(key, term) => {
            let expected = model.get_mut(&key).map(|value| {
                *value = *value * 3 + term;
                *value
            });
            assert_eq!(map.update(key, |value| value * 3 + term), expected);
        }
        Request::GetOrInsert(key, value) => {
            let expected = *model.entry(key).or_insert(value);
            assert_eq!(map.get_or_insert_with(key, || value), expected);
        }
        Request::Toggle(key, value) => {
            let former = model.remove(&key);
            let new = former.is_none().then_some(value);
            new.map(|value| model.insert(key, value));
            let change = |former: Option<u64>| former.is_none().then_some(value);
            assert_eq!(map.compute(key, change), (former, new));
        }
        Request::Exchange(key, expected, new) => {
            let present = model.get(&key).copied();
            let result = if present == expected { Ok(()) } else { Err(present) };
            if result.is_ok() {
                match new {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            assert_eq!(map.compare_exchange(key, expected, new), result);
        }
        _ => step_many(map, model, request),
    }
}

/// The same for requests of many keys.
fn step_many<S: BuildHasher>(map: &WordMap<u64, u64, S>, model: &mut Model, request: &Request) {
    match request {
        Request::GetMany(keys) => {
            let expected: Vec<_> = keys.iter().map(|key| model.get(key).copied()).collect();
            assert_eq!(map.get_many(keys), expected);
            let present: Vec<_> = expected.iter().map(Option::is_some).collect();
            assert_eq!(map.contains_many(keys), present);
        }
        Request::InsertMany(entries) => {
            let new = entries.iter().filter(|entry| model.insert(entry.0, entry.1).is_none());
            let new = new.count();
            assert_eq!(map.insert_many(entries), new);
        }
        Request::Retain(term) => {
            let keep = |key: u64, value: u64| (key + value) % 4 != *term;
            model.retain(|&key, value| keep(key % 7, *value));
            map.retain(|key, value| keep(key % 7, value));
        }
        Request::Drain(count) => {
            let count = (*count).min(model.len());
            for (key, value) in map.drain().take(count) {
                assert_eq!(model.remove(&key), Some(value));
            }
        }
        Request::Clear => {
            map.clear();
            model.clear();
        }
        Request::Reserve(additional) => {
            map.reserve(*additional);
            assert!(map.capacity() >= model.len() + additional);
        }
        Request::Shrink => map.shrink_to_fit(),
        _ => unreachable!("every other request has one key"),
    }
}

fn compare<S: BuildHasher>(map: &WordMap<u64, u64, S>, model: &Model) {
    assert_eq!(map.len(), model.len());
    let entries: Vec<(u64, u64)> = map.iter().collect();
    assert_eq!(entries.len(), model.len(), "each entry once: {entries:?}");
    assert!(entries.iter().all(|(key, value)| model.get(key) == Some(value)), "{entries:?}");
    assert!(map.keys().all(|key| model.contains_key(&key)));
    assert_eq!(map.values().sum::<u64>(), model.values().sum::<u64>());
}

fn check<S: BuildHasher>(map: &WordMap<u64, u64, S>, requests: &[Request]) {
    let mut model = Model::new();
    for request in requests {
        step(map, &mut model, request);
        assert_eq!(map.len(), model.len(), "after {request:?}");
    }
    compare(map, &model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn good_hasher(requests in requests(), capacity in 0_usize..300) {
        for stride in STRIDES {
            with_stride(stride, || check(&WordMap::with_capacity(capacity), &requests));
        }
    }

    #[test]
    fn terrible_hashers(requests in requests()) {
        for kind in [Kind::Constant, Kind::LowBits, Kind::HighBits] {
            for stride in STRIDES {
                with_stride(stride, || check(&WordMap::with_hasher(Terrible(kind)), &requests));
            }
        }
    }
}

/// Two handles and an iterator of one thread, and closures that use the map that calls them.
#[test]
fn closures_may_use_the_map() {
    let map: WordMap<u64, u64> = WordMap::new();
    let handle = map.pin();
    for key in 0..2_000 {
        handle.insert(key, key);
        handle.update(key, |value| {
            handle.insert(key + 10_000, value);
            value + 1
        });
    }
    let mut visited = 0;
    handle.for_each(|key, value| {
        visited += 1;
        handle.insert(key + 50_000, value);
        if key < 2_000 {
            assert_eq!(handle.get(key), Some(value));
        }
    });
    assert!(visited >= 4_000, "{visited}");
    assert!(map.len() >= 8_000);
    assert_eq!(map.compute(1, |_| map.remove(2)).1, Some(3));
}

#[test]
fn colliding_keys_do_not_grow_the_table() {
    for count in [4_096_usize, 20_000] {
        let map = WordMap::with_hasher(Terrible(Kind::Constant));
        let handle = map.pin();
        for key in 0..count as u64 {
            assert_eq!(handle.insert(key, key), None);
        }
        for key in (0..count as u64).step_by(7) {
            assert_eq!(handle.get(key), Some(key));
            assert_eq!(handle.remove(key), Some(key));
        }
        assert_eq!(map.len(), count - count.div_ceil(7));
        let bytes = map.stats().table_bytes;
        assert!(bytes < 40 * 2 * count, "{bytes} bytes for {count} keys with one hash");
    }
}

#[test]
fn capacities() {
    assert_eq!(
        WordMap::<u64, u64, _>::try_with_capacity_and_hasher(usize::MAX, Terrible::default()).err(),
        Some(crate::CapacityError::TooLarge { capacity: usize::MAX })
    );
    let map: WordMap<u64, u64> = WordMap::with_capacity(1_000);
    let before = map.capacity();
    assert!((1_000..3_000).contains(&before));
    (0..1_000).for_each(|key| assert_eq!(map.insert(key, key), None));
    assert_eq!(map.capacity(), before);
    map.clear();
    assert_eq!(map.capacity(), before, "what was reserved stays");
    map.shrink_to_fit();
    assert!(map.capacity() < 50);
}

/// A map without a reservation shrinks when most of it has been removed.
#[test]
fn shrinks_by_itself() {
    let map: WordMap<u32, i64> = WordMap::new();
    for key in 0..50_000 {
        map.insert(key, -i64::from(key));
    }
    let large = map.stats();
    for key in 0..50_000 {
        assert_eq!(map.remove(key), Some(-i64::from(key)));
    }
    let small = map.stats();
    assert!(small.table_bytes < large.table_bytes / 16, "{large:?}, then {small:?}");
    assert!(map.is_empty());
}
