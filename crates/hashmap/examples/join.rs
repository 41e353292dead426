//! Joins two tables by number: the reason why [`WordMap`] looks keys up in batches.
//!
//! ```text
//! cargo run --release -p hashmap --example join
//! ```
//!
//! Two million orders are matched with a million prices, once key by key and once in batches. A
//! search of so large a map waits for memory; the searches of a batch wait together.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use env::clock::{Clock, MonotonicClock};
use hashmap::WordMap;

const ARTICLES: u64 = 1_000_000;
const ORDERS: u64 = 2_000_000;

/// Keys of one batch.
const BATCH: usize = 256;

fn main() {
    let prices: WordMap<u64, u64> = WordMap::with_capacity(1_000_000);
    let handle = prices.pin();
    for article in 0..ARTICLES {
        handle.insert(article, 100 + article % 900);
    }
    // A multiplier without pattern, so that neighbours in time are no neighbours in memory.
    let orders: Vec<u64> =
        (0..ORDERS).map(|order| order.wrapping_mul(0x9E37_79B9_7F4A_7C15) % ARTICLES).collect();

    let clock = MonotonicClock::new();
    let one_by_one: u64 = orders.iter().filter_map(|&article| handle.get(article)).sum();
    let alone = clock.now();
    let mut values = [None; BATCH];
    let mut batched = 0;
    for batch in orders.chunks(BATCH) {
        let values = &mut values[..batch.len()];
        handle.get_many_into(batch, values);
        batched += values.iter().flatten().sum::<u64>();
    }
    let together = clock.now().saturating_since(alone);

    assert_eq!(one_by_one, batched, "both ways find the same prices");
    println!("{ORDERS} orders cost {batched} together");
    println!("key by key: {:>5.1} ns each", alone.as_nanos() as f64 / ORDERS as f64);
    println!("in batches: {:>5.1} ns each", together.as_nanos() as f64 / ORDERS as f64);
}
