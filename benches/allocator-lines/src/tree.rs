//! An ordered map of texts is built and dropped.
//!
//! Keys and values are blocks of the contender, and comparisons read the keys. The nodes of the
//! tree are of the system's allocator, for all contenders alike: see `json` for why.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use harness::contract::{Allocator, Unsupported};
use harness::duel::Subject;
use harness::rng::SplitMix64;
use harness::workload::Size;

use super::raw::Block;

/// A text whose bytes lie in a block.
struct Text(Block);

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.bytes().cmp(other.0.bytes())
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Text {}

struct Building<A> {
    entries: Vec<(String, String)>,
    allocator: PhantomData<fn() -> A>,
}

pub(super) fn building<A: Allocator>(size: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let count = if size == Size::Smoke { 20 } else { 20_000 };
    let mut rng = SplitMix64::new(13);
    // A prime above the count: no two keys are equal, so that the map drops none by itself.
    let mut entry = |index: u64| {
        let length = usize::try_from(8 + rng.below(60)).expect("small");
        (format!("key-{:08}", index * 7_919 % 20_011), "v".repeat(length))
    };
    let entries = (0..count).map(&mut entry).collect();
    Ok(Box::new(Building::<A> { entries, allocator: PhantomData }))
}

fn text<A: Allocator>(text: &str) -> Text {
    let block = Block::new::<A>(text.len(), 1);
    block.write(0, text.as_bytes());
    Text(block)
}

impl<A: Allocator> Subject for Building<A> {
    /// An entry counts as one operation; the map is built as often as there are that many.
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut sum = 0;
        let mut left = usize::try_from(operations).expect("fewer than all addresses");
        while left > 0 {
            let mut map = BTreeMap::new();
            for (key, value) in self.entries.iter().take(left) {
                map.insert(text::<A>(key), text::<A>(value));
            }
            left -= left.min(self.entries.len());
            sum += map.len() as u64;
            for (Text(key), Text(value)) in map {
                key.free::<A>();
                value.free::<A>();
            }
        }
        sum
    }
}
