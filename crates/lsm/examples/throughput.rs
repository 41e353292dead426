//! How fast the store is on this machine, alone: fills it, then reads in several ways.
//!
//! ```sh
//! cargo run --release -p lsm --example throughput -- [entries] [value bytes] [directory]
//! ```
//!
//! Keys are 16 bytes in scrambled order, values half compressible; the page cache is warm. For a
//! comparison with other stores see `cargo bench --bench duel -- lsm`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use lsm::{Db, Options};

/// A key that no other number has, in no order.
fn key(number: u64) -> [u8; 16] {
    let mut key = *b"........\0entry..";
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

/// A cheap sequence of numbers in no order.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) * bound) >> 31
    }
}

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn timed(name: &str, count: u64, work: impl FnOnce() -> lsm::Result<()>) -> lsm::Result<()> {
    let clock = MonotonicClock::new();
    let start = clock.now();
    work()?;
    let elapsed: Duration = clock.now().saturating_since(start);
    let rate = count as f64 / elapsed.as_secs_f64();
    let each = elapsed.as_secs_f64() * 1e6 / count as f64;
    println!("{name:<12} {rate:>12.0} /s {each:>9.3} us each");
    Ok(())
}

/// Overwrites every key, and tells how long single writes took.
#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn latencies(db: &Db, entries: u64, value: &[u8]) -> lsm::Result<()> {
    let clock = MonotonicClock::new();
    let mut took = Vec::new();
    for number in 0..entries {
        let start = clock.now();
        db.put(&key(number), value)?;
        took.push(clock.now().saturating_since(start));
    }
    took.sort_unstable();
    let at = |of_10_000: usize| took[(took.len() - 1) * of_10_000 / 10_000];
    let (p50, p99, p9999) = (at(5_000), at(9_900), at(9_999));
    println!("overwrite    p50 {p50:?}  p99 {p99:?}  p99.99 {p9999:?}  max {:?}", at(10_000));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let entries: u64 = arguments.next().map_or(Ok(500_000), |it| it.parse())?;
    let value_len: usize = arguments.next().map_or(Ok(100), |it| it.parse())?;
    let scratch = tempfile::tempdir()?;
    let folder = arguments.next().map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let db = Db::open(folder, Options::default())?;
    let mut value = vec![b'.'; value_len];
    let mut numbers = Numbers(1);

    timed("fill", entries, || {
        (0..entries).try_for_each(|number| {
            let noise = number.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes();
            value
                .iter_mut()
                .take(value_len / 2)
                .zip(noise.iter().cycle())
                .for_each(|(at, it)| *at = *it);
            db.put(&key(number), &value)
        })
    })?;
    latencies(&db, entries, &value)?;
    timed("settle", entries, || db.settle())?;
    for round in ["read", "read again"] {
        timed(round, entries, || {
            (0..entries).try_for_each(|_| {
                let found = db.get(&key(numbers.below(entries)))?;
                assert_eq!(found.map(|it| it.len()), Some(value_len), "every key was written");
                Ok(())
            })
        })?;
    }
    timed("read absent", entries, || {
        (0..entries).try_for_each(|_| {
            let found = db.get(&key(entries + numbers.below(entries)))?;
            assert_eq!(found, None, "the key was never written");
            Ok(())
        })
    })?;
    let scans = entries / 50;
    timed("scan 100", scans, || {
        (0..scans).try_for_each(|_| {
            let mut iter = db.iter();
            iter.seek(&key(numbers.below(entries)))?;
            for _ in 0..100 {
                if iter.entry().is_none() {
                    break;
                }
                iter.forward()?;
            }
            Ok(())
        })
    })?;
    println!("\n{}", db.stats());
    Ok(())
}
