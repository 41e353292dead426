//! One thread: the map against a plain one.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::check::suite::{Examination, Mismatch};
use crate::contract::{ConcurrentMap, MapHandle};
use crate::workload::scatter;

/// One request of a random sequence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    Get(u64),
    Insert(u64, u64),
    Remove(u64),
    /// Multiplies by three and adds this, so that the order of updates shows in the value.
    Update(u64, u64),
    ForEach,
}

/// Few keys, so that each is met in every state; some far apart, some at the ends.
fn key() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0_u64..12,
        2 => (0_u64..40).prop_map(scatter),
        1 => Just(u64::MAX),
        // Multiples of a large power of two meet in any table that uses low bits.
        1 => (1_u64..20).prop_map(|key| key << 48),
    ]
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = prop_oneof![
        4 => key().prop_map(Request::Get),
        5 => (key(), 0_u64..1_000).prop_map(|(key, value)| Request::Insert(key, value)),
        3 => key().prop_map(Request::Remove),
        3 => (key(), 0_u64..1_000).prop_map(|(key, value)| Request::Update(key, value)),
        1 => Just(Request::ForEach),
    ];
    prop::collection::vec(request, 1..120)
}

/// Applies a request to the map and to a plain one, and compares what they say.
pub(super) fn step(
    handle: &impl MapHandle<u64, u64>,
    model: &mut HashMap<u64, u64>,
    request: Request,
) -> Result<(), Mismatch> {
    let (expected, got) = match request {
        Request::Get(key) => (model.get(&key).copied(), handle.get(&key)),
        Request::Insert(key, value) => (model.insert(key, value), handle.insert(key, value)),
        Request::Remove(key) => (model.remove(&key), handle.remove(&key)),
        Request::Update(key, term) => {
            let change = |value: &u64| value.wrapping_mul(3).wrapping_add(term);
            let expected = model.get_mut(&key).map(|value| {
                *value = change(value);
                *value
            });
            (expected, handle.update(&key, change))
        }
        Request::ForEach => return compare_entries(handle, model),
    };
    if expected == got {
        return Ok(());
    }
    Err(Mismatch::new(format!("{expected:?} from {request:?}"), format!("{got:?}")))
}

/// Compares all entries, each to be visited exactly once.
pub(super) fn compare_entries(
    handle: &impl MapHandle<u64, u64>,
    model: &HashMap<u64, u64>,
) -> Result<(), Mismatch> {
    let mut got = Vec::new();
    handle.for_each(|&key, &value| got.push((key, value)));
    got.sort_unstable();
    let mut expected: Vec<(u64, u64)> = model.iter().map(|(&key, &value)| (key, value)).collect();
    expected.sort_unstable();
    if expected == got {
        return Ok(());
    }
    let differs = expected.iter().zip(&got).position(|(wanted, seen)| wanted != seen);
    let place = differs.unwrap_or(expected.len().min(got.len()));
    let describe = |entries: &[(u64, u64)]| {
        format!(
            "{} entries, in order of keys from number {place} on {:?}",
            entries.len(),
            entries.iter().skip(place).take(2).collect::<Vec<_>>()
        )
    };
    Err(Mismatch::new(format!("{} to be visited once each", describe(&expected)), describe(&got)))
}

/// Every answer of a sequence of requests is that of a `HashMap`.
pub fn matches_model<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    examination.begin("matches_model");
    for capacity in [0, 1, 64] {
        examination.search(format!("capacity {capacity}"), 400, &requests(), |requests| {
            let map = M::with_capacity(capacity);
            let handle = map.handle();
            let mut model = HashMap::new();
            requests.iter().try_for_each(|&request| step(&handle, &mut model, request))?;
            compare_entries(&handle, &model)
        });
    }
}

/// Enough to double the smallest table a dozen times.
const MANY: u64 = 30_000;

/// A map grows from its smallest size to many entries, loses every other one, takes new ones in
/// their place, and becomes empty, with every entry there at every stage.
pub fn grows_and_shrinks<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    examination.begin("grows_and_shrinks");
    for capacity in [0, 1_000] {
        examination.once(format!("{MANY} entries from capacity {capacity}"), || {
            let map = M::with_capacity(capacity);
            let handle = map.handle();
            let mut model = HashMap::new();
            for number in 0..MANY {
                step(&handle, &mut model, Request::Insert(scatter(number), number))?;
                // An entry from long ago: did it survive the moves since?
                step(&handle, &mut model, Request::Get(scatter(number / 2)))?;
            }
            compare_entries(&handle, &model)?;
            for number in (0..MANY).step_by(2) {
                step(&handle, &mut model, Request::Remove(scatter(number)))?;
            }
            compare_entries(&handle, &model)?;
            for number in 0..MANY {
                step(&handle, &mut model, Request::Insert(scatter(number), number + 1))?;
            }
            for number in 0..MANY {
                step(&handle, &mut model, Request::Remove(scatter(number)))?;
                step(&handle, &mut model, Request::Get(scatter(number)))?;
            }
            compare_entries(&handle, &model)
        });
    }
}
