//! What each operation writes to memory that other threads read, counted.

use super::counted::{Writes, writes_of};
use crate::{HashMap, WordMap};

const ENTRIES: u64 = 10_000;

/// Stores, read-modify-writes and lines.
fn figures(writes: &Writes) -> [usize; 3] {
    [writes.stores, writes.exchanges, writes.lines()]
}

/// The figures of the usual case of an operation: most of many.
fn usual<R>(mut operation: impl FnMut(u64) -> R) -> [usize; 3] {
    let mut seen: Vec<_> = (0..201).map(|key| figures(&writes_of(|| operation(key)))).collect();
    seen.sort_unstable();
    let median = seen[seen.len() / 2];
    let usual = seen.iter().filter(|&&it| it == median).count();
    assert!(usual > 150, "{median:?} is what {usual} of 201 calls write: {seen:?}");
    median
}

#[test]
fn reads_write_nothing() {
    let words: WordMap<u64, u64> = (0..ENTRIES).map(|key| (key, key)).collect();
    let boxed: HashMap<u64, u64> = (0..ENTRIES).map(|key| (key, key)).collect();
    let (words, boxed) = (words.pin(), boxed.pin());
    let keys: Vec<u64> = (0..2 * ENTRIES).collect();
    let all = writes_of(|| {
        for key in &keys {
            assert_eq!(words.get(*key).is_some(), *key < ENTRIES);
            assert_eq!(boxed.get(key).is_some(), *key < ENTRIES);
            assert_eq!(words.contains_key(*key), boxed.contains_key(key));
        }
        assert_eq!(words.get_many(&keys).iter().flatten().count() as u64, ENTRIES);
        assert_eq!(boxed.iter().count() as u64, ENTRIES);
        words.for_each(|key, value| assert_eq!(key, value));
        assert_eq!(words.remove(ENTRIES), None);
        assert_eq!(words.update(ENTRIES, |value| value), None);
        assert_eq!(words.try_insert(1, 7), Err(1));
    });
    assert_eq!(figures(&all), [0, 0, 0]);
}

#[test]
fn a_write_to_the_map_of_words_writes_two_lines() {
    let map: WordMap<u64, u64> = (0..ENTRIES).map(|key| (key, key)).collect();
    let map = map.pin();
    // The value, the state; the lock. The head's line and the slot's.
    assert_eq!(usual(|key| map.insert(key, 7)), [2, 1, 2]);
    assert_eq!(usual(|key| map.update(key, |value| value + 1)), [2, 1, 2]);
    // The tag, the state, the thread's count; the lock. The head's line and the count's.
    assert_eq!(usual(|key| map.remove(key)), [3, 1, 2]);
    // The key and the value as well, and so the slot's line.
    assert_eq!(usual(|key| map.insert(key, key)), [5, 1, 3]);
}

/// Not counted is the entry, which is new memory that nobody else has yet.
#[test]
fn a_write_to_the_boxed_map_writes_one_line_and_the_count() {
    let map: HashMap<u64, u64> = (0..ENTRIES).map(|key| (key, key)).collect();
    let map = map.pin();
    // The slot.
    assert_eq!(usual(|key| map.insert(key, 7).copied()), [0, 1, 1]);
    assert_eq!(usual(|key| map.update(&key, |value| value + 1).copied()), [0, 1, 1]);
    // The slot; the thread's count.
    assert_eq!(usual(|key| map.remove(&key).copied()), [1, 1, 2]);
    // The slot twice, and the header of its bin, which is on the same line; the thread's count.
    assert_eq!(usual(|key| map.insert(key, key).copied()), [1, 3, 2]);
}
