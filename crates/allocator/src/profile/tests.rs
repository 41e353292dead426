//! The arithmetic of samples; that whole programs are profiled is in `tests/profile.rs`.

use super::capture::{FRAMES, Stack};
use super::stacks::{Stacks, Weight};

fn stack(frames: &[usize]) -> Stack {
    let mut all = [0; FRAMES];
    all[..frames.len()].copy_from_slice(frames);
    Stack { depth: frames.len(), frames: all }
}

#[test]
fn a_weight_is_the_inverse_of_the_chance() {
    let rate = 1 << 19;
    // A block that is much smaller than the rate stands for about a rate of bytes.
    let small = Weight::of(64, rate);
    assert!(small.bytes.abs_diff(rate as u64) < 64, "{small:?}");
    assert_eq!(small.blocks, (rate / 64) as u64 + 1);
    // One that is much larger is always hit, and stands for itself.
    assert_eq!(Weight::of(64 << 20, rate), Weight { blocks: 1, bytes: 64 << 20 });
}

#[test]
fn stacks_are_kept_once_and_sums_come_back_to_zero() {
    let mut stacks = Stacks::new();
    assert!(stacks.start());
    let (all, weight) = (0..5_000_usize, Weight { blocks: 1, bytes: 10 });
    let numbers: Vec<u32> =
        all.clone().map(|it| stacks.add(&stack(&[it, it / 7, 3]), weight)).collect();
    for it in all.clone() {
        assert_eq!(stacks.add(&stack(&[it, it / 7, 3]), weight), numbers[it]);
    }
    assert_eq!(stacks.records().len(), 5_001);
    for it in all {
        let record = &stacks.records()[numbers[it] as usize];
        assert_eq!(record.stack, stack(&[it, it / 7, 3]));
        assert_eq!((record.in_use.blocks, record.in_use.bytes), (2, 20));
        stacks.remove(numbers[it], weight);
        stacks.remove(numbers[it], weight);
    }
    assert!(stacks.records().iter().all(|record| record.in_use == Weight::default()));
    assert_eq!(stacks.records().iter().map(|record| record.allocated.bytes).sum::<u64>(), 100_000);
}

#[test]
fn more_stacks_than_there_is_room_for_share_one() {
    let mut stacks = Stacks::new();
    assert!(stacks.start());
    let weight = Weight { blocks: 1, bytes: 1 };
    let last = (0..40_000_usize).map(|it| stacks.add(&stack(&[it]), weight)).last();
    assert_eq!(last, Some(0));
    assert_eq!(stacks.records().iter().map(|record| record.in_use.bytes).sum::<u64>(), 40_000);
}
