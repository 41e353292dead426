//! Lines of the rate limiter.
//!
//! | workload            | what happens                                                        |
//! |---------------------|---------------------------------------------------------------------|
//! | `direct/admit`      | one bucket that always has a cell; each check reads the clock       |
//! | `direct/deny`       | one bucket that is empty for an hour                                |
//! | `direct/given-now`  | as `admit`, but ours reads the clock once for 64 checks; the peers  |
//! |                     | have no call for that and read it as always                         |
//! | `direct/leased`     | as `admit`, but ours takes 64 cells for a thread at a time, out of  |
//! |                     | the burst                                                           |
//! | `keyed/1k/uniform`  | a bucket for each of 1,000 keys, all equally likely                 |
//! | `keyed/1M/uniform`  | a bucket for each of 1,000,000 keys, all equally likely             |
//! | `keyed/1M/zipf`     | the same, some far likelier than others (YCSB's scrambled Zipfian)  |
//! | `keyed/1M/batched`  | as `uniform`, but ours is asked for 16 keys at a time               |
//! | `keyed/10M/uniform` | a bucket for each of 10,000,000 keys, which fill a packed table     |
//! | `keyed/1M/memory`   | a million keys in order, in a process of its own: what a key        |
//! |                     | weighs; ours is packed, and room for twice as many weighs twice as  |
//! |                     | much                                                                |
//! | `keyed/1M/memory-compact` | the same with buckets of eight bytes                          |
//! | `wait/herd/2k`      | two thousand tasks wait for a cell each, at a thousand a second     |
//! | `layer/call`        | an echo behind a tower layer, called as a function                  |
//! | `layer/loopback`    | the same served by hyper over the loopback network                  |
//!
//! Latency is measured on `direct/admit` and `keyed/1M/uniform` at a million requests a second and
//! thread: little for every contender, so that what shows is their pauses and not their queues.

mod herd;
mod layer;

use std::time::Duration;

use harness::contract::{Limiter, LimiterSpec, Unsupported};
use harness::duel::{Contender, Line, Make, Subject};
use harness::workload::{KeyDistribution, Size, Sizes};

use crate::adapters::{
    governor, leaky_bucket, mutex_bucket, rate_limiter, ratelimit, yours_limiter as yours,
};

const BUILD: &str = "rate-limiter";
const OURS: &str = env!("CARGO_PKG_VERSION");

/// Always a cell to be had: a billion a second, more than anyone can ask for.
const ADMIT: LimiterSpec =
    LimiterSpec { cells: 1_000_000_000, period: Duration::from_secs(1), burst: 1_000_000_000 };

/// Never a cell to be had after the first.
const DENY: LimiterSpec = LimiterSpec { cells: 1, period: Duration::from_hours(1), burst: 1 };

/// A cell a microsecond for each key: idle buckets are full again, as real ones mostly are.
const KEYED: LimiterSpec =
    LimiterSpec { cells: 1_000_000, period: Duration::from_secs(1), burst: 1_000_000 };

/// Requests a second and thread while latency is measured.
const OFFERED: u64 = 1_000_000;

/// How many keys are drawn in advance, for each thread.
const KEYS_DRAWN: usize = 1 << 20;

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for threads in [1, 2] {
        let one_word = |workload, contenders| {
            let line = line(workload, threads, contenders);
            if threads > 1 { line.contended() } else { line }
        };
        lines.push(one_word("direct/admit", direct(admit_makers())).with_latency(OFFERED));
        lines.push(one_word("direct/deny", direct(deny_makers())));
        lines.push(one_word("direct/given-now", given_now()));
        lines.push(line("direct/leased", threads, leased()));
        lines.push(line("keyed/1k/uniform", threads, keyed::<Thousand>()));
        lines.push(line("keyed/1M/uniform", threads, keyed::<Million>()).with_latency(OFFERED));
        lines.push(line("keyed/1M/zipf", threads, keyed::<MillionZipf>()));
        lines.push(line("keyed/1M/batched", threads, batched()));
        let ten_million = ours_and_governor([
            many_buckets::<rate_limiter::Fitting<10_000_000>, TenMillion>,
            many_buckets::<governor::Keyed, TenMillion>,
        ]);
        lines.push(line("keyed/10M/uniform", threads, ten_million).costly().full_only());
    }
    lines.push(line("keyed/1M/memory", 1, weighed()).separate());
    lines.push(line("keyed/1M/memory-compact", 1, weighed_compact()).separate());
    lines.push(herd::line());
    lines.extend(layer::lines());
    lines
}

fn line(workload: &'static str, threads: usize, contenders: Vec<Contender>) -> Line {
    Line::new(BUILD, workload, threads, contenders)
}

/// The five of the direct lines, ours first, each with its version, and the learner's where it was
/// judged.
fn direct(makers: [Make; 6]) -> Vec<Contender> {
    let names = [
        (rate_limiter::Direct::NAME, OURS),
        (governor::Direct::NAME, "0.10.4"),
        (leaky_bucket::Direct::NAME, "1.1.2"),
        (ratelimit::Direct::NAME, "2.0.0"),
        (mutex_bucket::Direct::NAME, OURS),
        (yours::Direct::NAME, OURS),
    ];
    let ours = |name| [BUILD, yours::Direct::NAME].contains(&name);
    let contenders = names.into_iter().zip(makers);
    contenders
        .filter(|((name, _), _)| *name != yours::Direct::NAME || yours::is_judged())
        .map(|((name, version), make)| Contender { name, version, ours: ours(name), make })
        .collect()
}

fn admit_makers() -> [Make; 6] {
    [
        one_bucket::<rate_limiter::Direct, true>,
        one_bucket::<governor::Direct, true>,
        one_bucket::<leaky_bucket::Direct, true>,
        one_bucket::<ratelimit::Direct, true>,
        one_bucket::<mutex_bucket::Direct, true>,
        one_bucket::<yours::Direct, true>,
    ]
}

fn deny_makers() -> [Make; 6] {
    [
        one_bucket::<rate_limiter::Direct, false>,
        one_bucket::<governor::Direct, false>,
        one_bucket::<leaky_bucket::Direct, false>,
        one_bucket::<ratelimit::Direct, false>,
        one_bucket::<mutex_bucket::Direct, false>,
        one_bucket::<yours::Direct, false>,
    ]
}

fn given_now() -> Vec<Contender> {
    let mut contenders = direct(admit_makers());
    contenders[0].make = |_| Ok(Box::new(GivenNow(rate_limiter::GivenNow::new(&ADMIT)?)));
    contenders
}

fn keyed<K: KeySet>() -> Vec<Contender> {
    ours_and_governor([many_buckets::<rate_limiter::Keyed, K>, many_buckets::<governor::Keyed, K>])
}

fn leased() -> Vec<Contender> {
    let mut contenders = direct(admit_makers());
    contenders[0].make = |_| Ok(Box::new(Leased(rate_limiter::Leased::new(&ADMIT)?)));
    contenders
}

fn batched() -> Vec<Contender> {
    ours_and_governor([
        |size| Ok(Box::new(Batched(filled::<rate_limiter::Keyed, Million>(size)?))),
        many_buckets::<governor::Keyed, Million>,
    ])
}

fn weighed() -> Vec<Contender> {
    ours_and_governor([in_order::<rate_limiter::Fitting<1_000_000>>, in_order::<governor::Keyed>])
}

fn weighed_compact() -> Vec<Contender> {
    let mut contenders =
        ours_and_governor([in_order::<rate_limiter::Compact>, in_order::<governor::Keyed>]);
    contenders[0].name = rate_limiter::Compact::NAME;
    contenders
}

/// The two of the keyed lines: no other peer keeps a bucket for each key.
fn ours_and_governor(makers: [Make; 2]) -> Vec<Contender> {
    let [ours, governors] = makers;
    vec![
        Contender { name: rate_limiter::Keyed::NAME, version: OURS, ours: true, make: ours },
        Contender { name: governor::Keyed::NAME, version: "0.10.4", ours: false, make: governors },
    ]
}

/// A limiter of one bucket.
struct OneBucket<L>(L);

fn one_bucket<L: Limiter + 'static, const ADMITS: bool>(
    _: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let limiter = L::new(if ADMITS { &ADMIT } else { &DENY })?;
    if !ADMITS {
        // The one cell of the hour.
        assert!(limiter.check(0, 1).is_admit(), "{} begins with an empty bucket", L::NAME);
    }
    Ok(Box::new(OneBucket(limiter)))
}

impl<L: Limiter> Subject for OneBucket<L> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        (0..operations).map(|_| u64::from(self.0.check(0, 1).is_admit())).sum()
    }
}

/// One reading of the clock for 64 requests.
struct GivenNow(rate_limiter::GivenNow);

impl Subject for GivenNow {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut admitted = 0;
        let mut now = self.0.now();
        for operation in 0..operations {
            if operation % 64 == 0 {
                now = self.0.now();
            }
            admitted += u64::from(self.0.check_given(now).is_admit());
        }
        admitted
    }
}

/// A bucket of which each thread has a part.
struct Leased(rate_limiter::Leased);

impl Subject for Leased {
    fn run(&self, thread: usize, _: u64, operations: u64) -> u64 {
        self.0.admitted(thread, operations)
    }
}

/// How the keys of a line are drawn.
trait KeySet: 'static {
    const COUNT: Sizes;
    const DISTRIBUTION: KeyDistribution;
}

/// As many keys as the name of the line says, and few where nothing is measured.
const fn fixed(keys: u64) -> Sizes {
    Sizes { smoke: 1_000, quick: keys, full: keys }
}

struct Thousand;
struct Million;
struct MillionZipf;
struct TenMillion;

impl KeySet for Thousand {
    const COUNT: Sizes = fixed(1_000);
    const DISTRIBUTION: KeyDistribution = KeyDistribution::Uniform;
}

impl KeySet for Million {
    const COUNT: Sizes = fixed(1_000_000);
    const DISTRIBUTION: KeyDistribution = KeyDistribution::Uniform;
}

impl KeySet for TenMillion {
    const COUNT: Sizes = fixed(10_000_000);
    const DISTRIBUTION: KeyDistribution = KeyDistribution::Uniform;
}

impl KeySet for MillionZipf {
    const COUNT: Sizes = fixed(1_000_000);
    const DISTRIBUTION: KeyDistribution = KeyDistribution::ScrambledZipfian;
}

/// A limiter of many buckets, and the keys that each thread asks for.
struct ManyBuckets<L> {
    limiter: L,
    keys: Vec<Vec<u64>>,
}

fn many_buckets<L: Limiter + 'static, K: KeySet>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(filled::<L, K>(size)?))
}

/// The limiter, with a bucket for each key, and the keys that will be asked for.
fn filled<L: Limiter, K: KeySet>(size: Size) -> Result<ManyBuckets<L>, Unsupported> {
    let limiter = L::new(&KEYED)?;
    let count = K::COUNT.at(size);
    for key in 0..count {
        assert!(limiter.check(key, 1).is_admit(), "{}: key {key} begins empty", L::NAME);
    }
    let draw = |seed| {
        let mut keys = vec![0; KEYS_DRAWN];
        let stream = K::DISTRIBUTION.stream(count, seed);
        stream.expect("the distributions of the lines are legal").fill(&mut keys);
        keys
    };
    Ok(ManyBuckets { limiter, keys: vec![draw(1), draw(2)] })
}

impl<L: Limiter> Subject for ManyBuckets<L> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let keys = &self.keys[thread % self.keys.len()];
        // Each round goes on at another place, so that no cache learns the keys by heart.
        let start = usize::try_from(round * operations).expect("64-bit targets only");
        let mut admitted = 0;
        for index in 0..usize::try_from(operations).expect("64-bit targets only") {
            let key = keys[(start + index) % KEYS_DRAWN];
            admitted += u64::from(self.limiter.check(key, 1).is_admit());
        }
        admitted
    }
}

/// Keys of one batch.
const BATCH: usize = 16;

/// A limiter of many buckets that is asked for sixteen keys at a time.
struct Batched(ManyBuckets<rate_limiter::Keyed>);

impl Subject for Batched {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let keys = &self.0.keys[thread % self.0.keys.len()];
        let fits = |count: u64| usize::try_from(count).expect("64-bit targets only");
        let (mut at, mut left) = (fits(round * operations) / BATCH * BATCH, fits(operations));
        let mut admitted = 0;
        while left > 0 {
            let (start, count) = (at % KEYS_DRAWN, left.min(BATCH));
            admitted += self.0.limiter.admitted_of(&keys[start..start + count]);
            (at, left) = (at + BATCH, left - count);
        }
        admitted
    }
}

// A batch never reaches beyond the keys that were drawn.
const _: () = assert!(KEYS_DRAWN.is_multiple_of(BATCH));

/// A limiter of a million buckets that are asked for in order, so that no list of keys weighs.
struct InOrder<L> {
    limiter: L,
    count: u64,
}

fn in_order<L: Limiter + 'static>(size: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let limiter = L::new(&KEYED)?;
    let count = Million::COUNT.at(size);
    for key in 0..count {
        assert!(limiter.check(key, 1).is_admit(), "{}: key {key} begins empty", L::NAME);
    }
    Ok(Box::new(InOrder { limiter, count }))
}

impl<L: Limiter> Subject for InOrder<L> {
    fn run(&self, _: usize, round: u64, operations: u64) -> u64 {
        let keys = (0..operations).map(|index| (round * operations + index) % self.count);
        keys.map(|key| u64::from(self.limiter.check(key, 1).is_admit())).sum()
    }

    fn entries(&self) -> Option<u64> {
        Some(self.count)
    }
}
