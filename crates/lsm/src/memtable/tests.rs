//! Tests of the memtable: a model, and readers beside the writer.

use std::collections::BTreeMap;
use std::thread;

use harness::rng::SplitMix64;
use proptest::prelude::*;

use super::*;
use crate::stamp::Kind;

const LOG: Position = Position { segment: 1, offset: 0 };

fn empty(prefix: Prefix) -> Arc<Memtable> {
    Arc::new(Memtable::new(1, 8 << 20, prefix, LOG))
}

/// All that a cursor shows, forward.
fn forward(table: &Arc<Memtable>, sequence: Sequence) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = Cursor::new(Arc::clone(table), Versions::VisibleAt(sequence));
    let mut found = Vec::new();
    cursor.seek(&[]);
    while let Some(record) = cursor.record() {
        found.push((record.key.to_vec(), record.value.to_vec()));
        cursor.next();
    }
    found
}

fn backward(table: &Arc<Memtable>, sequence: Sequence) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = Cursor::new(Arc::clone(table), Versions::VisibleAt(sequence));
    let mut found = Vec::new();
    cursor.seek_last();
    while let Some(record) = cursor.record() {
        found.push((record.key.to_vec(), record.value.to_vec()));
        cursor.prev();
    }
    found.reverse();
    found
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_snapshot_is_what_a_map_was(
        prefix in "[ab]{0,2}",
        keys in prop::collection::vec("[ab]{0,6}", 1..300),
        probes in prop::collection::vec("[ab]{0,7}", 1..20),
    ) {
        let table = empty(Prefix::shared(prefix.as_bytes(), prefix.as_bytes()));
        let (mut model, mut history) = (Model::new(), vec![Model::new()]);
        for (sequence, key) in (1..).zip(&keys) {
            let value = u64::to_le_bytes(sequence).to_vec();
            table.insert(Stamp::new(sequence, Kind::Value), key.as_bytes(), &value);
            model.insert(key.clone().into_bytes(), value);
            history.push(model.clone());
        }
        for (sequence, model) in (0..).zip(&history) {
            let expected: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(&forward(&table, sequence), &expected);
            prop_assert_eq!(&backward(&table, sequence), &expected);
            let mut cursor = Cursor::new(Arc::clone(&table), Versions::VisibleAt(sequence));
            for probe in &probes {
                let probe = probe.as_bytes();
                let got = table.get(probe, sequence).map(|it| it.1);
                prop_assert_eq!(got, model.get(probe).map(Vec::as_slice));
                cursor.seek(probe);
                let next = model.range(probe.to_vec()..).next();
                prop_assert_eq!(cursor.record().map(|it| it.key), next.map(|it| &**it.0));
                cursor.seek_below(probe);
                let before = model.range(..probe.to_vec()).next_back();
                prop_assert_eq!(cursor.record().map(|it| it.key), before.map(|it| &**it.0));
            }
        }
    }
}

/// Orders of insertion that split nodes at their ends and in their middles, over several levels.
#[test]
fn any_order_of_insertion_gives_a_sorted_tree() {
    const KEYS: u64 = 20_000;
    let orders: [fn(u64) -> u64; 4] =
        [|at| at, |at| KEYS - at, |at| at * 7_919 % KEYS, |at| at.wrapping_mul(0x9e37_79b9) >> 3];
    for order in orders {
        let table = empty(Prefix::default());
        let mut model = Model::new();
        for at in 0..KEYS {
            let key = order(at).to_be_bytes();
            table.insert(Stamp::new(at + 1, Kind::Value), &key, b"");
            model.insert(key.to_vec(), Vec::new());
        }
        let expected: Vec<_> = model.into_iter().collect();
        assert_eq!(forward(&table, KEYS), expected);
        assert_eq!(backward(&table, KEYS), expected);
    }
}

#[test]
fn all_versions_come_newest_first() {
    let table = empty(Prefix::default());
    for (sequence, key) in [(1, b"a"), (2, b"b"), (3, b"a"), (4, b"a")] {
        table.insert(Stamp::new(sequence, Kind::Value), key, b"");
    }
    let mut cursor = Cursor::new(Arc::clone(&table), Versions::All);
    let mut found = Vec::new();
    cursor.seek(&[]);
    while let Some(record) = cursor.record() {
        found.push((record.key.to_vec(), record.stamp().sequence()));
        cursor.next();
    }
    let expected = [(b"a", 4), (b"a", 3), (b"a", 1), (b"b", 2)];
    assert_eq!(found, expected.map(|(key, sequence)| (key.to_vec(), sequence)));
}

/// While one thread inserts, others read at the number that it last published: they see every key
/// up to it, in order, and none twice.
#[test]
fn readers_beside_the_writer_see_whole_snapshots() {
    const KEYS: u64 = 60_000;
    let key = |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    let table = empty(Prefix::default());
    let published = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=KEYS {
                table.insert(Stamp::new(number, Kind::Value), &key(number), b"v");
                published.store(usize::try_from(number).expect("small"), Ordering::Release);
            }
        });
        for reader in 0..2 {
            let (table, published) = (&table, &published);
            scope.spawn(move || {
                let mut random = SplitMix64::new(reader);
                loop {
                    let seen = published.load(Ordering::Acquire) as u64;
                    let number = random.below(seen + 1);
                    let found = table.get(&key(number), seen);
                    assert_eq!(found.is_some(), number > 0, "{number} of {seen}");
                    if random.chance(1, 500) {
                        let count = |found: Vec<(Vec<u8>, Vec<u8>)>| {
                            assert!(found.is_sorted_by(|a, b| a.0 < b.0), "sorted, none twice");
                            found.len() as u64
                        };
                        assert_eq!(count(forward(table, seen)), seen);
                        assert_eq!(count(backward(table, seen)), seen);
                    }
                    if seen == KEYS {
                        break;
                    }
                }
            });
        }
    });
}

/// Newest first: what is written is smaller each time, and yet above all that another family of
/// keys has. Each such key would begin a node of its own.
#[test]
fn keys_that_descend_into_a_gap_take_no_more_than_others() {
    let table = empty(Prefix::default());
    let below = (0..60_u32).map(|it| format!("a{it:04}"));
    let descending = (0..20_000_u32).map(|it| format!("b{:06}", 999_999 - it));
    let keys: Vec<_> = below.chain(descending).collect();
    for (sequence, key) in (1..).zip(&keys) {
        table.insert(Stamp::new(sequence, Kind::Value), key.as_bytes(), b"value");
    }
    let each = table.tree.bytes() / keys.len();
    assert!(each <= 80, "{each} bytes of the tree for each key");
    assert_eq!(forward(&table, Sequence::MAX).len(), keys.len());
}

/// Some run up, some run down, some towards each other: the tree takes no more than for keys in
/// no order.
#[test]
fn no_order_of_keys_makes_the_tree_large() {
    for seed in 0..40 {
        let table = empty(Prefix::default());
        let mut rng = SplitMix64::new(seed);
        let mut runs: Vec<_> =
            (0..=rng.below(24)).map(|_| (rng.below(1 << 12) << 20, rng.chance(1, 2))).collect();
        let mut model = BTreeMap::new();
        for sequence in 1..5_000 {
            rng.shuffle(&mut runs);
            let (at, is_up) = &mut runs[0];
            *at = if *is_up { *at + 1 } else { at.saturating_sub(1) };
            let key = at.to_be_bytes();
            table.insert(Stamp::new(sequence, Kind::Value), &key, b"");
            model.insert(key.to_vec(), Vec::new());
        }
        let each = table.tree.bytes() / model.len();
        assert!(each <= 100, "seed {seed}: {each} bytes of the tree for each key");
        assert!(forward(&table, Sequence::MAX).into_iter().eq(model), "seed {seed}");
    }
}
