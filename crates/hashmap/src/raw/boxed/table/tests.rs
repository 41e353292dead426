//! Tests of the memory of tables.

use super::*;

#[test]
fn first_bits_of_the_hash_choose_the_bin() {
    for bits in [0, 1, 5, 12] {
        let table = Table::new(bits).unwrap();
        assert_eq!(table.index(0), 0);
        assert_eq!(table.index(u64::MAX), table.len() - 1);
        assert!(ptr::eq(table.bin_of(u64::MAX), table.bin(table.len() - 1)));
    }
}

#[test]
fn segments_are_made_when_touched() {
    let table = Table::new(20).unwrap();
    let untouched = table.bytes();
    assert!(untouched < 16_384, "{untouched} bytes of an untouched table");
    table.bin(SEGMENT * 7 + 1);
    table.bin(SEGMENT * 7 + 2);
    assert_eq!(table.bytes(), untouched + SEGMENT * size_of::<Bin>());
}

#[test]
fn chains_grow_once() {
    let table = Table::new(0).unwrap();
    let first = &table.bin(0).row;
    let (second, is_new) = table.extend(first);
    let (again, is_new_again) = table.extend(first);
    assert!(is_new && !is_new_again && ptr::eq(second, again));
    assert!(table.after(second).is_none());
    let mut row = second;
    for _ in 0..3 * BLOCK {
        row = table.extend(row).0;
    }
    assert!(table.after(row).is_none());
}

#[test]
fn tables_are_dismantled_in_parts() {
    let mut table = Table::new(SEGMENT_BITS + 2).unwrap();
    for segment in 0..4 {
        table.bin(segment * SEGMENT);
    }
    let parts = std::iter::from_fn(|| table.dismantle().then_some(())).count();
    assert_eq!(parts, 4, "a segment at a time");
}

#[test]
fn absurd_sizes_are_refused() {
    assert_eq!(Table::new(BITS_MAX + 1).unwrap_err(), NoTable::TooLarge);
}

#[test]
fn a_whole_table_has_all_its_segments_and_is_dismantled_too() {
    for bits in [0, SEGMENT_BITS, SEGMENT_BITS + 2, SEGMENT_BITS + 6] {
        let mut table = Table::whole(bits).unwrap();
        let bytes = table.bytes();
        assert!(bytes > table.len() * size_of::<Bin>());
        for index in (0..table.len()).step_by(SEGMENT / 2) {
            // Relaxed: nobody else is here.
            assert_eq!(table.bin(index).header.swap(7, Ordering::Relaxed), 0);
        }
        assert_eq!(table.bytes(), bytes, "no segment was made");
        let segments = table.segments.len();
        let parts = std::iter::from_fn(|| table.dismantle().then_some(())).count();
        assert_eq!(parts, segments, "a segment at a time");
    }
}
