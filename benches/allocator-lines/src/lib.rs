//! The lines of the allocator, for one allocator: what is measured, and the program that serves it.
//!
//! | workload               | what happens                                                          |
//! |------------------------|-----------------------------------------------------------------------|
//! | `pair/<size>`          | a block is made, one byte of it is written, it is freed               |
//! | `batch/<order>/<size>` | 10,000 blocks are made, then freed in that order                      |
//! | `batch/big/64`         | the same with a million                                               |
//! | `churn/<sizes>`        | of many live blocks one at random is freed and made anew              |
//! | `frag`                 | two million small blocks, a tenth of that in a quick run; nine of ten |
//! |                        | are freed, and larger ones come instead, as many bytes                |
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
//! Every contender has a process of its own, of a program that holds no other allocator: what is
//! compared is time of the processor and the peak of resident memory, and both are the process's. A
//! program that held them all would weigh megabytes before the first block is made, some of them
//! for peers that set themselves up before `main`. All are called through the contract, inlined.
//!
//! # What this crate does not do
//!
//! It names no allocator: `benches` does, and has a program for each.

mod json;
mod pairs;
mod raw;
mod shared;
mod trace;
mod tree;

use std::process::ExitCode;

use harness::contract::Allocator;
use harness::duel::{Contender, Line, Make, serve};

use self::shared::{Fixed64, Mixed};
use self::trace::{
    Aligned, Big64, ChurnLarge, ChurnMid, ChurnSmall, FRAGMENTING, Fifo64, FifoMix, Fragmenting,
    Large, Lifo64, LifoMix, Random64, RandomMix,
};

/// Folder name of the build.
pub const BUILD: &str = "allocator";

/// The lines with one contender, in an order that does not depend on it.
pub fn lines<A: Allocator>(version: &'static str, ours: bool) -> Vec<Line> {
    let line = |workload, threads, make: Make| {
        let contender = Contender { name: A::NAME, version, ours, make };
        Line::new(BUILD, workload, threads, vec![contender]).separate()
    };
    let mut lines: Vec<_> = single::<A>().map(|(workload, make)| line(workload, 1, make)).into();
    lines.push(line("batch/big/64", 1, trace::make::<A, Big64>).costly());
    lines.push(line("large", 1, trace::make::<A, Large>).costly());
    lines.push(line("frag", 1, trace::make::<A, Fragmenting>).costly().exactly(FRAGMENTING));
    lines.push(line("churn/small", 2, trace::make::<A, ChurnSmall>));
    lines.push(line("xthread/64", 2, shared::passing::<A, Fixed64>));
    lines.push(line("xthread/mix", 2, shared::passing::<A, Mixed>));
    lines.push(line("shared/mix", 2, shared::table::<A>));
    // More threads than this kind of machine has processors.
    lines.push(line("churn/small", 4, trace::make::<A, ChurnSmall>).full_only());
    lines.push(line("shared/mix", 4, shared::table::<A>).full_only());
    lines
}

/// What one thread runs and is quick to set up.
fn single<A: Allocator>() -> [(&'static str, Make); 28] {
    [
        ("pair/8", pairs::pair::<A, 8>),
        ("pair/64", pairs::pair::<A, 64>),
        ("pair/256", pairs::pair::<A, 256>),
        ("pair/1k", pairs::pair::<A, 1024>),
        ("pair/4k", pairs::pair::<A, 4096>),
        ("pair/16k", pairs::pair::<A, { 16 << 10 }>),
        ("pair/64k", pairs::pair::<A, { 64 << 10 }>),
        ("pair/128k", pairs::pair::<A, { 128 << 10 }>),
        ("pair/1m", pairs::pair::<A, { 1 << 20 }>),
        ("zeroed/4k", pairs::zeroed::<A, 4096>),
        ("zeroed/64k", pairs::zeroed::<A, { 64 << 10 }>),
        ("zeroed/1m", pairs::zeroed::<A, { 1 << 20 }>),
        ("batch/lifo/64", trace::make::<A, Lifo64>),
        ("batch/fifo/64", trace::make::<A, Fifo64>),
        ("batch/random/64", trace::make::<A, Random64>),
        ("batch/lifo/mix", trace::make::<A, LifoMix>),
        ("batch/fifo/mix", trace::make::<A, FifoMix>),
        ("batch/random/mix", trace::make::<A, RandomMix>),
        ("churn/small", trace::make::<A, ChurnSmall>),
        ("churn/mid", trace::make::<A, ChurnMid>),
        ("churn/large", trace::make::<A, ChurnLarge>),
        ("aligned", trace::make::<A, Aligned>),
        ("realloc/64", pairs::growing::<A, 64>),
        ("realloc/64k", pairs::growing::<A, { 64 << 10 }>),
        ("threads", shared::threads::<A>),
        ("json", json::parsing::<A>),
        ("vec", pairs::vector::<A>),
        ("btree", tree::building::<A>),
    ]
}

/// The whole of a program that serves the lines to one allocator.
pub fn host<A: Allocator>() -> ExitCode {
    serve(lines::<A>("", false))
}
