//! What each shape of the levels costs: the same writes and reads under each.
//!
//! ```sh
//! cargo run --release -p lsm --example shapes -- [writes] [keys]
//! ```
//!
//! Keys are drawn at random, so that most writes overwrite; values have 100 bytes. Memtables are
//! small, so that there are several levels. "written" and "space" are in relation to what was
//! written by the user and to what there is of it in the end.

use std::error::Error;
use std::num::NonZeroUsize;

use env::clock::{Clock, MonotonicClock};
use lsm::{Db, Options, Shape};

const VALUE: usize = 100;

/// A cheap sequence of numbers in no order.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) * bound) >> 31
    }
}

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"........\0entry..";
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let writes: u64 = arguments.next().map_or(Ok(2_000_000), |it| it.parse())?;
    let keys: u64 = arguments.next().map_or(Ok(1_000_000), |it| it.parse())?;
    let runs = NonZeroUsize::new(6).expect("six are not none");
    let shapes = [
        ("leveled", Shape::Leveled),
        ("lazy-leveled", Shape::LazyLeveled { runs }),
        ("tiered", Shape::Tiered { runs }),
        ("fifo", Shape::Fifo { size: u64::MAX, age: None }),
    ];
    println!("shape         write/s    written  space  runs    get/s  scan of 100/s");
    for (name, shape) in shapes {
        let scratch = tempfile::tempdir()?;
        let memtable_size = 4 << 20;
        let options = Options {
            shape,
            memtable_size,
            level1_size: 4 * memtable_size as u64,
            level_ratio: 6,
            table_size: memtable_size as u64,
            ..Options::with_budget(256 << 20)
        };
        let db = Db::open(scratch.path(), options)?;
        let clock = MonotonicClock::new();
        let mut numbers = Numbers(1);
        let mut rate = |count: u64, work: &mut dyn FnMut(&mut Numbers) -> lsm::Result<()>| {
            let start = clock.now();
            for _ in 0..count {
                work(&mut numbers)?;
            }
            let elapsed = clock.now().saturating_since(start).as_secs_f64();
            Ok::<_, lsm::Error>(count as f64 / elapsed)
        };
        let written = rate(writes, &mut |it| db.put(&key(it.below(keys)), &[b'v'; VALUE]))?;
        db.settle()?;
        let stats = db.stats();
        let mut runs: Vec<_> =
            db.default_family().tables().iter().map(|it| (it.level, it.run)).collect();
        runs.dedup();
        let got = rate(writes / 10, &mut |it| db.get(&key(it.below(keys))).map(|_| ()))?;
        let scanned = rate(writes / 500, &mut |it| {
            db.range(&key(it.below(keys))[..]..).take(100).try_for_each(|it| it.map(|_| ()))
        })?;
        let entry = (VALUE + 16) as f64;
        let amplified = (stats.flushed_bytes + stats.merged_bytes) as f64 / (writes as f64 * entry);
        let there: u64 = stats.levels.iter().map(|it| it.1).sum();
        let space = there as f64 / (db.iter().count() as f64 * entry);
        let runs = runs.len();
        println!(
            "{name:<12} {written:>8.0} {amplified:>9.2}x {space:>5.2}x {runs:>5} {got:>8.0} \
             {scanned:>14.0}"
        );
    }
    Ok(())
}
