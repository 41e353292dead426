//! Tests of the parallel walks.

use super::*;

#[test]
fn every_entry_comes_once() {
    let map: HashMap<u64, u64> =
        (0..100_000_u64).into_par_iter().map(|key| (key, key * 2)).collect();
    assert_eq!(map.len(), 100_000);
    let pinned = map.pin();
    assert_eq!(pinned.par_iter().count(), 100_000);
    let sum: u64 = pinned.par_iter().map(|(key, value)| value - key).sum();
    assert_eq!(sum, 100_000 * 99_999 / 2);
}
