//! What the detour over another thread costs: reads and writes of values that are in memory.
//!
//! `cargo run --release -p lsm-async --example latency`

use std::io::{self, Write};

use env::clock::{Clock, MonotonicClock, Timestamp};
use lsm::{Db, Options};
use lsm_async::AsyncDb;

const KEYS: u64 = 200_000;
const CALLS: u64 = 200_000;

fn key(number: u64) -> [u8; 8] {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS).to_be_bytes()
}

fn per_call(clock: &MonotonicClock, since: Timestamp) -> u64 {
    (clock.now().as_nanos() - since.as_nanos()) / CALLS
}

async fn measure(db: &AsyncDb, clock: &MonotonicClock) -> lsm::Result<[u64; 4]> {
    let start = clock.now();
    for number in 0..CALLS {
        db.get(&key(number)).await?;
    }
    let get = per_call(clock, start);
    let start = clock.now();
    for number in 0..CALLS {
        let key = key(number);
        db.call(move |db| db.get(&key)).await?;
    }
    let get_elsewhere = per_call(clock, start);
    let start = clock.now();
    for number in 0..CALLS {
        db.put(&key(number), &[7; 100]).await?;
    }
    let put = per_call(clock, start);
    let start = clock.now();
    for number in 0..CALLS {
        let key = key(number);
        db.call(move |db| db.put(&key, &[7; 100])).await?;
    }
    Ok([get, get_elsewhere, put, per_call(clock, start)])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let figures = runtime.block_on(async {
        let db = AsyncDb::open(folder.path(), Options::default()).await?;
        db.call(|db| (0..KEYS).try_for_each(|it| db.put(&it.to_be_bytes(), &[7; 100]))).await?;
        db.call(Db::compact).await?;
        let clock = MonotonicClock::new();
        // Once to fill the cache.
        measure(&db, &clock).await?;
        let figures = measure(&db, &clock).await?;
        db.close().await?;
        Ok::<_, lsm::Error>(figures)
    })?;
    let [get, get_elsewhere, put, put_elsewhere] = figures;
    let mut out = io::stdout().lock();
    writeln!(out, "get  at once {get:6} ns    on another thread {get_elsewhere:6} ns")?;
    writeln!(out, "put  at once {put:6} ns    on another thread {put_elsewhere:6} ns")?;
    Ok(())
}
