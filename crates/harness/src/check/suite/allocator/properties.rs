//! One thread.

use std::collections::HashSet;

use proptest::prelude::*;

use super::block::{Block, Shadow, layout};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::Allocator;

/// One request of a random sequence. Blocks are named by their place in the list of live ones,
/// wrapped around.
#[derive(Clone, Copy, Debug)]
enum Request {
    Allocate { size: usize, align: usize, zeroed: bool },
    Free(usize),
    Resize { block: usize, size: usize },
}

/// Around the borders of size classes, and now and then beyond them.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1_usize..130,
        4 => (3_u32..14, -1_isize..=1)
            .prop_map(|(power, offset)| (1_usize << power).saturating_add_signed(offset)),
        1 => 10_000_usize..300_000,
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(8), 1 => Just(1), 1 => Just(16), 1 => (5_u32..13).prop_map(|it| 1 << it)]
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = prop_oneof![
        5 => (size(), align(), any::<bool>())
            .prop_map(|(size, align, zeroed)| Request::Allocate { size, align, zeroed }),
        3 => (0_usize..64).prop_map(Request::Free),
        2 => (0_usize..64, size()).prop_map(|(block, size)| Request::Resize { block, size }),
    ];
    prop::collection::vec(request, 1..100)
}

/// After each request of a random sequence the new block is where it may be, and every block that
/// is touched again holds what was written to it.
pub fn matches_model<A: Allocator>(examination: &mut Examination) {
    examination.begin("matches_model");
    examination.search("random requests", 100, &requests(), |requests| {
        let shadow = Shadow::default();
        let mut blocks: Vec<Block<'_, A>> = Vec::new();
        for (turn, &request) in requests.iter().enumerate() {
            let tag = turn.to_le_bytes()[0];
            match request {
                Request::Allocate { size, align, zeroed } => {
                    blocks.push(Block::new(layout(size, align), zeroed, tag, &shadow)?);
                }
                Request::Free(_) | Request::Resize { .. } if blocks.is_empty() => {}
                Request::Free(block) => {
                    let freed = blocks.swap_remove(block % blocks.len());
                    freed.check()?;
                }
                Request::Resize { block, size } => {
                    let place = block % blocks.len();
                    blocks[place].resize(size)?;
                }
            }
        }
        blocks.iter().try_for_each(Block::check)
    });
}

/// Each size up to a kilobyte, each alignment up to two megabytes, sizes up to many megabytes; all
/// alive at once, so that none can hide behind another.
pub fn sizes_and_alignments<A: Allocator>(examination: &mut Examination) {
    examination.begin("sizes_and_alignments");
    let small: Vec<_> = (1..=1_024).map(|size| layout(size, 8)).collect();
    let aligned: Vec<_> =
        (0..=21).flat_map(|power| [1, 100, 5_000].map(|size| layout(size, 1 << power))).collect();
    let large: Vec<_> = (15..=24).map(|power| layout((1 << power) + 1, 16)).collect();
    for (subject, layouts) in [("small", small), ("aligned", aligned), ("large", large)] {
        examination.once(format!("{} {subject} blocks", layouts.len()), || {
            let shadow = Shadow::default();
            let mut blocks: Vec<Block<'_, A>> = Vec::new();
            for (turn, layout) in layouts.into_iter().enumerate() {
                blocks.push(Block::new(layout, turn % 2 == 0, turn.to_le_bytes()[0], &shadow)?);
            }
            blocks.iter().try_for_each(Block::check)
        });
    }
}

/// Blocks are filled and freed, and zeroed ones are made in their place.
pub fn zeroed_is_zero<A: Allocator>(examination: &mut Examination) {
    examination.begin("zeroed_is_zero");
    for size in [1, 8, 100, 256, 1_000, 4_096, 40_000, 1 << 20] {
        examination.once(format!("{size} bytes"), || {
            let shadow = Shadow::default();
            for _ in 0..4 {
                for zeroed in [false, true] {
                    let blocks = (0..8)
                        .map(|tag| Block::<A>::new(layout(size, 8), zeroed, 0xA0 | tag, &shadow));
                    let _all_alive_at_once = blocks.collect::<Result<Vec<_>, _>>()?;
                }
            }
            Ok(())
        });
    }
}

/// Blocks grow step by step, as a vector does, shrink again, and change between small and large,
/// with neighbours that must not be touched.
pub fn realloc_keeps_contents<A: Allocator>(examination: &mut Examination) {
    examination.begin("realloc_keeps_contents");
    for align in [1, 8, 64, 4_096] {
        examination.once(format!("alignment {align}"), || {
            let shadow = Shadow::default();
            let mut blocks = (0..4)
                .map(|tag| Block::<A>::new(layout(1, align), false, tag, &shadow))
                .collect::<Result<Vec<_>, _>>()?;
            let up = (0..20).map(|power| (1_usize << power) + power);
            let down = (0..20).rev().map(|power| (1_usize << power) + 1);
            for size in up.chain(down).chain([1, 100_000, 1, 2_000_000, 17]) {
                for block in &mut blocks {
                    block.resize(size)?;
                }
            }
            blocks.iter().try_for_each(Block::check)
        });
    }
}

/// Live blocks at any moment of the property below.
const ALIVE: usize = 16;
/// An allocator may set aside this much for each size before it must begin to reuse.
const SLACK: usize = 8 << 20;

/// A few blocks are made and freed until many times as much memory has passed through as an
/// allocator may need. The number of different addresses tells how much it took.
pub fn memory_is_reused<A: Allocator>(examination: &mut Examination) {
    examination.begin("memory_is_reused");
    for size in [32, 500, 4_096, 70_000, 3 << 20] {
        examination.once(format!("{ALIVE} blocks of {size} bytes"), || {
            let allowed = SLACK + 8 * ALIVE * size;
            let rounds = 4 * allowed / (ALIVE * size);
            let mut addresses = HashSet::new();
            for round in 0..rounds {
                let shadow = Shadow::default();
                let mut blocks = Vec::new();
                for _ in 0..ALIVE {
                    // The contents are not at issue here, and filling large blocks takes long.
                    let block = Block::<A>::without_contents(layout(size, 8), &shadow)?;
                    addresses.insert(block.address());
                    blocks.push(block);
                }
                let taken = addresses.len() * size;
                if taken > allowed {
                    let expected = format!("at most {allowed} bytes of different addresses");
                    return Err(Mismatch::new(expected, format!("{taken} after {round} rounds")));
                }
            }
            Ok(())
        });
    }
}
