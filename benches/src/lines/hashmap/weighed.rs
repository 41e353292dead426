//! What an entry weighs: a map that grew to its size by single inserts, alone in a process.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::marker::PhantomData;

use harness::contract::{ConcurrentMap, MapHandle, Unsupported};
use harness::duel::Subject;
use harness::workload::Size;

use super::{Spec, WordMakers, for_each_map};

pub(super) fn makers<S: Spec>() -> WordMakers {
    for_each_map!(weighed, S)
}

struct Weighed<M, S> {
    map: M,
    entries: u64,
    spec: PhantomData<fn() -> S>,
}

fn weighed<M: ConcurrentMap<u64, u64> + 'static, S: Spec>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let map = M::with_capacity(0);
    let entries = S::ENTRIES.at(size);
    let handle = map.handle();
    for key in 0..entries {
        assert!(handle.insert(key, key).is_none(), "{}: {key} is there already", M::NAME);
    }
    drop(handle);
    Ok(Box::new(Weighed::<M, S> { map, entries, spec: PhantomData }))
}

impl<M: ConcurrentMap<u64, u64>, S: Spec> Subject for Weighed<M, S> {
    fn run(&self, _: usize, round: u64, operations: u64) -> u64 {
        let handle = self.map.handle();
        let keys = (0..operations).map(|index| (round * operations + index) % self.entries);
        keys.fold(0, |sum: u64, key| sum.wrapping_add(handle.get(&key).unwrap_or(0)))
    }

    fn entries(&self) -> Option<u64> {
        Some(self.entries)
    }
}
