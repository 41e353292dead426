//! A hundred million keys, none of which comes twice, and what they do to memory.
//!
//! ```text
//! cargo run --release -p rate-limiter --example flood [-- KEYS]
//! ```
//!
//! Each kind of table is made for a hundred thousand keys and asked for all of them, a million a
//! second of the limiter's own time, while one regular client asks ten times a second. The memory
//! of the process before and after is what the system says of it.

#![expect(clippy::print_stdout, reason = "an example shows what it measured")]

use std::error::Error;
use std::time::Duration;

use clap::{Parser, value_parser};
use env::fs::{FsExt, OsFs};
use rate_limiter::{
    Clock, Decision, KeyedBuilder, KeyedLimiter, ManualClock, MonotonicClock, Quota, Timestamp,
};

/// Keys that each table is made for.
const KEYS: usize = 100_000;

/// Strangers that come while a cell comes back, of which the sketch is told.
const STRANGERS: usize = 100_000;

/// Memory of this process that lies in the machine's, in kilobytes.
fn resident_kb() -> Result<u64, Box<dyn Error>> {
    let status = OsFs.read_to_string("/proc/self/status".as_ref())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.ok_or("the system does not tell")?.trim().trim_end_matches(" kB");
    Ok(value.parse()?)
}

fn flood(
    name: &str,
    keys: u64,
    layout: impl Fn(KeyedBuilder) -> KeyedBuilder,
) -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_second(10)?.with_burst(5)?;
    let builder = layout(KeyedLimiter::builder(quota, KEYS)).clock(ManualClock::default());
    let limiter = builder.build()?;
    let (clock, before) = (MonotonicClock::new(), resident_kb()?);
    let (began, mut now) = (clock.now(), Timestamp::ZERO);
    let (mut regular, mut asked) = (0_u64, 0_u64);
    for key in 0..keys {
        now = now + Duration::from_micros(1);
        let _: Decision = std::hint::black_box(limiter.check_at(now, &key, 1));
        if key % 100_000 == 0 {
            asked += 1;
            regular += u64::from(limiter.check_at(now, "regular", 1).is_admitted());
        }
    }
    let each = clock.now().saturating_since(began).as_nanos() as f64 / keys as f64;
    let (after, stats) = (resident_kb()?, limiter.stats());
    println!(
        "{name:<22}{:>9}{before:>10}{after:>10}{each:>9.1}{:>13}{:>13}{:>16}",
        stats.bytes / 1_024,
        stats.inserted,
        stats.turned_away,
        format!("{regular}/{asked}"),
    );
    Ok(())
}

/// A hundred million keys, none of which comes twice, and what they do to memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many keys.
    #[arg(default_value_t = 100_000_000, value_parser = value_parser!(u64).range(1..))]
    keys: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { keys } = Arguments::parse();
    println!(
        "{:<22}{:>9}{:>10}{:>10}{:>9}{:>13}{:>13}{:>16}",
        "table",
        "table kB",
        "RSS kB",
        "then kB",
        "ns each",
        "took a slot",
        "turned away",
        "regular served"
    );
    flood("as it comes", keys, |it| it)?;
    flood("dense", keys, KeyedBuilder::dense)?;
    flood("compact", keys, KeyedBuilder::compact)?;
    flood("dense, strangers", keys, |it| it.dense().strangers(STRANGERS))?;
    flood("compact, strangers", keys, |it| it.compact().strangers(STRANGERS))
}
