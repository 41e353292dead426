//! Blocks that change hands.

use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use super::block::{Block, Shadow, layout};
use crate::check::suite::together::together;
use crate::check::suite::{Examination, Mismatch};
use crate::contract::Allocator;
use crate::rng::SplitMix64;
use crate::workload::scatter;

const THREADS: u32 = 4;
const BLOCKS: u64 = 4_000;

/// Threads stand in a circle; each makes blocks, hands two of three to its neighbour, and examines
/// and frees or resizes what it is handed. So most blocks die far from where they were made, also
/// after their maker has ended.
pub fn threads_pass_blocks<A: Allocator>(examination: &mut Examination) {
    examination.begin("threads_pass_blocks");
    let seed = examination.seed();
    examination.once(format!("{THREADS} threads, {BLOCKS} blocks each"), || {
        let shadow = Shadow::default();
        let mut ends = Vec::new();
        let (senders, mut receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| channel::<Block<'_, A>>()).unzip();
        receivers.rotate_left(1);
        ends.extend(senders.into_iter().zip(receivers).map(|ends| Mutex::new(Some(ends))));
        let outcomes = together(THREADS, |thread| {
            let mut rng = SplitMix64::new(seed ^ scatter(u64::from(thread) + 1));
            let own = &ends[thread as usize];
            let (sender, receiver) =
                own.lock().unwrap_or_else(PoisonError::into_inner).take().expect("taken once");
            for turn in 0..BLOCKS {
                let size = random_size(&mut rng);
                let tag = rng.next_u64().to_le_bytes()[0];
                let block = Block::<A>::new(layout(size, 8), rng.chance(1, 4), tag, &shadow)?;
                if turn % 3 == 0 {
                    block.check()?;
                } else {
                    // The neighbour may have met a defect and gone; then the block dies here.
                    drop(sender.send(block));
                }
                for mut handed in receiver.try_iter().take(2) {
                    if rng.chance(1, 8) {
                        handed.resize(random_size(&mut rng))?;
                    }
                    handed.check()?;
                }
            }
            drop(sender);
            receiver.iter().try_for_each(|handed| handed.check())
        });
        outcomes.into_iter().collect::<Result<(), Mismatch>>()
    });
}

fn random_size(rng: &mut SplitMix64) -> usize {
    let largest = if rng.chance(1, 50) { 40_000 } else { 400 };
    usize::try_from(1 + rng.below(largest)).expect("a small size")
}
