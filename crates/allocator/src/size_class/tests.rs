//! What the constant assertions do not say: every size, and every alignment.

use super::*;

#[test]
fn every_size_fits_its_class_and_not_the_one_below() {
    for size in 1..=LARGEST {
        let class = class_of(size);
        assert!(size_of_class(class) >= size, "{size} in class {class}");
        assert!(class == 0 || size_of_class(class - 1) < size, "{size} in class {class}");
    }
}

#[test]
fn a_size_that_is_rounded_to_an_alignment_has_an_aligned_class() {
    for power in 0..=16 {
        let align = 1_usize << power;
        for size in (1..=LARGEST).step_by(7) {
            let rounded = aligned_size(size, align);
            if rounded <= LARGEST {
                let block = size_of_class(class_of(rounded));
                assert!(block.is_multiple_of(align), "{size} aligned to {align}: {block}");
            }
        }
    }
}

#[test]
fn at_most_an_eighth_of_a_block_is_lost_above_64_bytes() {
    let lost = |size: usize| {
        let block = size_of_class(class_of(size));
        (block - size) as f64 / block as f64
    };
    let worst = (65..=LARGEST).map(lost).fold(0.0, f64::max);
    assert!((0.10..=0.125).contains(&worst), "{worst}");
}
