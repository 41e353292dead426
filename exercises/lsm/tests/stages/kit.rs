//! What the stages' tests share.

use std::path::Path;

use exercise_lsm::exercise::Store;
use exercise_lsm::scaffold::{Options, Version};
use harness::rng::SplitMix64;
use harness::sim::SimFs;
use harness::sync::{Arc, thread};

/// So small that some dozens of changes reach level 2.
pub(crate) const TINY: Options = Options { sync: true, memtable_bytes: 1_500 };

/// Where a store lies on the simulated disk.
pub(crate) fn folder() -> &'static Path {
    Path::new("/store")
}

pub(crate) fn open(fs: &Arc<SimFs>, options: Options) -> exercise_lsm::scaffold::Result<Store> {
    Store::open(Arc::<SimFs>::clone(fs), folder(), options)
}

/// What one thread does.
pub(crate) type Job<T> = Box<dyn FnOnce(&T) + Send>;

/// Runs all jobs at once, each in a thread.
pub(crate) fn together<T: Send + Sync + 'static>(shared: &Arc<T>, jobs: Vec<Job<T>>) {
    let spawn = |job: Job<T>| {
        let shared = Arc::clone(shared);
        thread::spawn(move || job(&shared))
    };
    let threads: Vec<_> = jobs.into_iter().map(spawn).collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
}

/// A version with its value, which the order of versions does not look at.
pub(crate) type Whole = (Vec<u8>, u64, Option<Vec<u8>>);

pub(crate) fn whole(version: Version) -> Whole {
    (version.key, version.sequence, version.value)
}

pub(crate) fn all_whole(versions: impl IntoIterator<Item = Version>) -> Vec<Whole> {
    versions.into_iter().map(whole).collect()
}

/// One of `keys` keys.
pub(crate) fn key(rng: &mut SplitMix64, keys: u64) -> Vec<u8> {
    format!("key {:03}", rng.below(keys)).into_bytes()
}

/// A value of less than `length` bytes, or a removal in one case of five.
pub(crate) fn value(rng: &mut SplitMix64, length: u64) -> Option<Vec<u8>> {
    let byte = rng.next_u64().to_le_bytes()[0];
    let length = usize::try_from(rng.below(length)).expect("a small length");
    (!rng.chance(1, 5)).then(|| vec![byte; length])
}

/// Versions of few keys with ascending numbers.
pub(crate) fn versions(rng: &mut SplitMix64, count: u64, keys: u64) -> Vec<Version> {
    let version = |sequence| Version { key: key(rng, keys), sequence, value: value(rng, 40) };
    (1..=count).map(version).collect()
}

/// Of these versions the newest of a key that is not newer than a moment.
pub(crate) fn newest(versions: &[Version], key: &[u8], sequence: u64) -> Option<Version> {
    let seen = versions.iter().filter(|it| it.key == key && it.sequence <= sequence);
    seen.max_by_key(|it| it.sequence).cloned()
}

/// What there is at a moment.
pub(crate) fn entries_at(versions: &[Version], sequence: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut keys: Vec<_> = versions.iter().map(|it| it.key.clone()).collect();
    keys.sort();
    keys.dedup();
    let entry = |key: Vec<u8>| newest(versions, &key, sequence)?.value.map(|value| (key, value));
    keys.into_iter().filter_map(entry).collect()
}
