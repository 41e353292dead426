//! Tests of the memory of tables.

use super::*;

#[test]
fn first_bits_of_the_hash_choose_the_bin() {
    for bits in [0, 1, 5, 12] {
        let table = Table::new(bits, Pages::Small).unwrap();
        assert_eq!(table.index(0), 0);
        assert_eq!(table.index(u64::MAX), table.len() - 1);
        assert!(ptr::eq(table.bin_of(u64::MAX), table.bin(table.len() - 1)));
    }
}

#[test]
fn chains_grow_once() {
    let table = Table::new(0, Pages::Small).unwrap();
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
    for (bits, pages) in [(0, Pages::Small), (13, Pages::Small), (17, Pages::Huge)] {
        let mut table = Table::new(bits, pages).unwrap();
        let bytes = table.len() * size_of::<Bin>();
        assert!(table.bytes() > bytes && table.bytes() < bytes + 256);
        for index in 0..table.len() {
            // Relaxed: nobody else is here.
            assert_eq!(table.bin(index).header.swap(7, Ordering::Relaxed), 0);
        }
        let parts = std::iter::from_fn(|| table.dismantle().then_some(())).count();
        assert_eq!(parts, (bytes - 1) / PART, "all parts but the last");
        assert!(table.bytes() <= PART + 256);
    }
}

#[test]
fn blocks_are_given_back_with_the_parts() {
    let mut table = Table::new(0, Pages::Small).unwrap();
    let mut row = &table.bin(0).row;
    for _ in 0..(2 * BLOCKS_PER_STEP + 1) * BLOCK {
        row = table.extend(row).0;
    }
    let parts = std::iter::from_fn(|| table.dismantle().then_some(())).count();
    assert_eq!(parts, 2, "so many blocks at a time");
    assert!(table.blocks.get_mut().is_null());
}

#[test]
fn absurd_sizes_are_refused() {
    assert_eq!(Table::new(BITS_MAX + 1, Pages::Small).unwrap_err(), NoTable::TooLarge);
}
