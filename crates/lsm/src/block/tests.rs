use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn seal(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut builder = BlockBuilder::new();
    for (key, value) in entries {
        builder.push(key, value).unwrap();
    }
    builder.finish()
}

/// Few letters and a shared head, so that prefixes and near misses are common.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(0_u8..3, 0..6)
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_map(
        head in vec(any::<u8>(), 0..12),
        tails in btree_map(key(), vec(any::<u8>(), 0..9), 0..40),
        probes in vec(key(), 20),
    ) {
        let join = |tail: &[u8]| [head.as_slice(), tail].concat();
        let model: BTreeMap<_, _> = tails.iter().map(|(k, v)| (join(k), v.clone())).collect();
        let block = Block::parse(seal(&model)).unwrap();
        prop_assert_eq!(block.len(), model.len());
        for probe in probes.iter().flat_map(|tail| [join(tail), tail.clone()]) {
            prop_assert_eq!(block.get(&probe), model.get(&probe).map(Vec::as_slice));
            let found: Vec<_> = block.scan(&probe).map(|(k, v)| (k, v.to_vec())).collect();
            let expected: Vec<_> =
                model.range(probe..).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(found, expected);
        }
    }

    /// The checksum is made right again, so that only the checks of the slots stand in the way.
    #[test]
    fn bytes_with_a_right_checksum_never_panic(mut bytes in vec(any::<u8>(), 8..80), small: bool) {
        let count_at = bytes.len() - 8;
        if small {
            bytes[count_at..].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        if let Ok(block) = Block::parse(bytes) {
            let _found = block.get(b"key");
            prop_assert_eq!(block.scan(b"").count() <= block.len(), true);
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let entries = (0_u8..9).map(|i| (vec![7, i], vec![i; 3])).collect();
    let bytes = seal(&entries);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let found = Block::parse(damaged).unwrap_err();
        assert_eq!(found, BlockError::Damaged { what: "checksum" }, "bit {bit}");
    }
}

#[test]
fn every_cut_is_found() {
    let bytes = seal(&(0_u8..9).map(|i| (vec![7, i], vec![i; 3])).collect());
    for len in 0..bytes.len() {
        assert!(Block::parse(bytes[..len].to_vec()).is_err(), "{len} bytes");
    }
}

#[test]
fn keys_that_share_their_first_bytes_stay_apart() {
    let mut entries: BTreeMap<_, _> = (0_u16..1000)
        .map(|i| (format!("key_{i:010}").into_bytes(), i.to_le_bytes().to_vec()))
        .collect();
    // Without a prefix that all share, the likeness lies in the suffixes.
    entries.insert(b"other".to_vec(), vec![]);
    let block = Block::parse(seal(&entries)).unwrap();
    for (key, value) in &entries {
        assert_eq!(block.get(key), Some(value.as_slice()));
    }
    assert_eq!(block.get(b"key_0000001000"), None);
}

#[test]
fn a_key_that_does_not_rise_is_refused_and_changes_nothing() {
    let mut builder = BlockBuilder::new();
    builder.push(b"b", b"1").unwrap();
    assert_eq!(builder.push(b"b", b"2"), Err(BlockError::OutOfOrder { index: 1 }));
    assert_eq!(builder.push(b"a", b"2"), Err(BlockError::OutOfOrder { index: 1 }));
    let block = Block::parse(builder.finish()).unwrap();
    assert_eq!((block.len(), block.get(b"b")), (1, Some(&b"1"[..])));
}
