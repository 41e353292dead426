//! Lines of the allocator.
//!
//! | workload               | what happens                                                          |
//! |------------------------|-----------------------------------------------------------------------|
//! | `pair/<size>`          | a block is made, one byte of it is written, it is freed               |
//! | `batch/<order>/<size>` | 10,000 blocks are made, then freed in that order                      |
//! | `batch/big/64`         | the same with a million                                               |
//! | `churn/<sizes>`        | of many live blocks one at random is freed and made anew              |
//! | `frag`                 | 200,000 small blocks; nine of ten are freed; larger ones come instead |
//! | `xthread/<sizes>`      | one thread makes blocks, the other frees them                         |
//! | `shared/mix`           | threads free and make blocks in one table                             |
//! | `realloc/<step>`       | a block grows step by step, to a thousand steps; fresh bytes are used |
//! | `zeroed/<size>`        | a zeroed block is made, written to, and freed                         |
//! | `aligned`              | as `churn/small`, with alignments up to a page                        |
//! | `large`                | as `churn`, with 1 to 16 MiB, of which each page is used              |
//! | `threads`              | a thread starts, makes and frees 100 blocks, and ends                 |
//! | `json`                 | a text is parsed into a tree, which is dropped                        |
//! | `vec`                  | a vector is pushed to until it has a megabyte, and is dropped         |
//! | `btree`                | 20,000 texts are put into an ordered map by texts, which is dropped   |
//!
//! Every contender has a process of its own; time is processor time, and the peak of resident
//! memory is that of the process. All are called through the contract, inlined.

mod json;
mod pairs;
mod raw;
mod shared;
mod trace;
mod tree;

use harness::contract::Allocator;
use harness::duel::{Contender, Line, Make};

use self::shared::{Fixed64, Mixed};
use self::trace::{
    Aligned, Big64, ChurnLarge, ChurnMid, ChurnSmall, Fifo64, FifoMix, Fragmenting, Large, Lifo64,
    LifoMix, Random64, RandomMix,
};
#[cfg(feature = "snmalloc")]
use crate::adapters::snmalloc;
#[cfg(feature = "tcmalloc")]
use crate::adapters::tcmalloc;
use crate::adapters::{
    allocator, glibc, jemalloc, mimalloc, mimalloc_nothp, rpmalloc, rusty_alloc,
    yours_allocator as yours,
};

const BUILD: &str = super::ALLOCATOR;
const OURS: &str = env!("CARGO_PKG_VERSION");

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = single();
    lines.push(line("churn/small", 2, for_each!(trace::make, ChurnSmall)));
    lines.push(line("xthread/64", 2, for_each!(shared::passing, Fixed64)));
    lines.push(line("xthread/mix", 2, for_each!(shared::passing, Mixed)));
    lines.push(line("shared/mix", 2, for_each!(shared::table)));
    // More threads than this kind of machine has processors.
    lines.push(line("churn/small", 4, for_each!(trace::make, ChurnSmall)).full_only());
    lines.push(line("shared/mix", 4, for_each!(shared::table)).full_only());
    lines
}

fn single() -> Vec<Line> {
    let mut lines = Vec::new();
    macro_rules! of {
        ($($workload:literal: $first:ident::$make:ident $(, $spec:tt)?;)+) => {$(
            lines.push(line($workload, 1, for_each!($first::$make $(, $spec)?)));
        )+};
    }
    of! {
        "pair/8": pairs::pair, 8;
        "pair/64": pairs::pair, 64;
        "pair/256": pairs::pair, 256;
        "pair/1k": pairs::pair, 1024;
        "pair/4k": pairs::pair, 4096;
        "pair/16k": pairs::pair, { 16 << 10 };
        "pair/64k": pairs::pair, { 64 << 10 };
        "pair/128k": pairs::pair, { 128 << 10 };
        "pair/1m": pairs::pair, { 1 << 20 };
        "zeroed/4k": pairs::zeroed, 4096;
        "zeroed/64k": pairs::zeroed, { 64 << 10 };
        "zeroed/1m": pairs::zeroed, { 1 << 20 };
        "batch/lifo/64": trace::make, Lifo64;
        "batch/fifo/64": trace::make, Fifo64;
        "batch/random/64": trace::make, Random64;
        "batch/lifo/mix": trace::make, LifoMix;
        "batch/fifo/mix": trace::make, FifoMix;
        "batch/random/mix": trace::make, RandomMix;
        "churn/small": trace::make, ChurnSmall;
        "churn/mid": trace::make, ChurnMid;
        "churn/large": trace::make, ChurnLarge;
        "aligned": trace::make, Aligned;
        "realloc/64": pairs::growing, 64;
        "realloc/64k": pairs::growing, { 64 << 10 };
        "threads": shared::threads;
        "json": json::parsing;
        "vec": pairs::vector;
        "btree": tree::building;
    }
    for (workload, contenders) in [
        ("batch/big/64", for_each!(trace::make, Big64)),
        ("frag", for_each!(trace::make, Fragmenting)),
        ("large", for_each!(trace::make, Large)),
    ] {
        lines.push(line(workload, 1, contenders).costly());
    }
    lines
}

fn line(workload: &'static str, threads: usize, mut contenders: Vec<Contender>) -> Line {
    contenders.retain(|it| it.name != yours::Heap::NAME || yours::is_judged());
    Line::new(BUILD, workload, threads, contenders).separate()
}

fn contender<A: Allocator>(version: &'static str, make: Make) -> Contender {
    let ours = [BUILD, yours::Heap::NAME].contains(&A::NAME);
    Contender { name: A::NAME, version, ours, make }
}

/// Instantiates a function that makes a subject for each allocator.
macro_rules! for_each {
    ($first:ident::$make:ident $(, $spec:tt)?) => {
        vec![
            contender::<allocator::Heap>(OURS, $first::$make::<allocator::Heap, $($spec)?>),
            contender::<glibc::Heap>("system", $first::$make::<glibc::Heap, $($spec)?>),
            contender::<mimalloc::Heap>("0.1.52", $first::$make::<mimalloc::Heap, $($spec)?>),
            contender::<mimalloc_nothp::Heap>(
                "0.1.52",
                $first::$make::<mimalloc_nothp::Heap, $($spec)?>,
            ),
            contender::<jemalloc::Heap>("0.7.0", $first::$make::<jemalloc::Heap, $($spec)?>),
            contender::<rusty_alloc::Heap>("2.4.0", $first::$make::<rusty_alloc::Heap, $($spec)?>),
            contender::<rpmalloc::Heap>("0.2.2", $first::$make::<rpmalloc::Heap, $($spec)?>),
            #[cfg(feature = "snmalloc")]
            contender::<snmalloc::Heap>("0.7.6", $first::$make::<snmalloc::Heap, $($spec)?>),
            #[cfg(feature = "tcmalloc")]
            contender::<tcmalloc::Heap>("0.1.19", $first::$make::<tcmalloc::Heap, $($spec)?>),
            contender::<yours::Heap>(OURS, $first::$make::<yours::Heap, $($spec)?>),
        ]
    };
}
use for_each;
