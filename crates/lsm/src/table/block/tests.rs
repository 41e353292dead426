//! Tests of the block: against a list, and against arbitrary bytes.

use proptest::prelude::*;

use super::*;
use crate::table::hash;

/// Entries as a merge gives them: keys ascending, of one key the newest first.
fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Stamp, Vec<u8>)>> {
    let keys = prop::collection::btree_map("[ab]{0,8}", 1..4_u64, 1..60);
    (keys, any::<bool>(), 0..600_usize).prop_map(|(keys, is_bottom, len)| {
        let versions = |(key, versions): (String, u64)| {
            let versions = if is_bottom { 1 } else { versions };
            (0..versions).rev().map(move |version| {
                let sequence = if is_bottom { 0 } else { version + 1 };
                let value = vec![key.len().to_le_bytes()[0]; len];
                (key.clone().into_bytes(), Stamp::new(sequence, Kind::Value), value)
            })
        };
        keys.into_iter().flat_map(versions).collect()
    })
}

fn built(entries: &[(Vec<u8>, Stamp, Vec<u8>)]) -> Vec<u8> {
    let mut builder = BlockBuilder::default();
    for (key, stamp, value) in entries {
        builder.push(key, hash(key), *stamp, value);
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_block_holds_what_was_put_in(
        entries in entries(),
        probes in prop::collection::vec("[abc]{0,9}", 30),
    ) {
        let block = Block::parse(built(&entries)).expect("it was just built");
        prop_assert_eq!(block.count(), entries.len());
        for (at, (key, stamp, value)) in entries.iter().enumerate() {
            prop_assert_eq!([block.prefix(), block.suffix(at)].concat(), key.as_slice());
            prop_assert_eq!((block.stamp(at), block.value(at)), (*stamp, &**value));
        }
        let there = entries.iter().map(|it| it.0.clone());
        for probe in probes.into_iter().map(String::into_bytes).chain(there) {
            let first = entries.iter().position(|it| it.0 == probe);
            prop_assert_eq!(block.find(&probe, hash(&probe)), first);
            let bound = entries.partition_point(|it| it.0 < probe);
            prop_assert_eq!(block.lower_bound(&probe), bound);
        }
    }

    #[test]
    fn any_bytes_are_a_block_or_refused(
        bytes: Vec<u8>,
        entries in entries(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        drop(Block::parse(bytes));
        let mut changed = built(&entries);
        let at = at.index(changed.len());
        changed[at] = byte;
        if let Ok(block) = Block::parse(changed) {
            // Whatever it holds now, no question leads out of it.
            for entry in 0..block.count() {
                let key = [block.prefix(), block.suffix(entry)].concat();
                block.find(&key, hash(&key));
                block.lower_bound(&key);
                block.value(entry);
                block.stamp(entry);
            }
        }
    }
}

/// More entries than a byte can number, and more bytes than two can address.
#[test]
fn large_blocks_do_without_buckets_and_with_wide_ends() {
    let entries: Vec<_> = (0..1_000_u32)
        .map(|it| (it.to_be_bytes().to_vec(), Stamp::new(1, Kind::Value), vec![7; 100]))
        .collect();
    let block = Block::parse(built(&entries)).expect("it was just built");
    assert!(block.is_wide && block.buckets.is_empty());
    for (at, (key, _, value)) in entries.iter().enumerate() {
        assert_eq!(block.find(key, hash(key)), Some(at));
        assert_eq!(block.value(at), value);
    }
    assert_eq!(block.find(b"absent", hash(b"absent")), None);
}
