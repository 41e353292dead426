//! Your limiter. This is the only file that you edit; `cargo study` judges it, stage by stage.
//!
//! Take atomics and locks from `harness::sync`: in a plain build they are those of the standard
//! library, and under the explorer of schedules they are its own.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Limit, LimiterSpec, Unsupported, Verdict, stage};

/// The limiter that runs in the duel under the name `yours`: name your best one here.
pub type Yours = TokenBucket;

/// Stage 1: a number of tokens and the moment up to which they were counted, behind a lock. May
/// refuse a quota whose cells do not come at whole nanoseconds.
#[derive(Debug)]
pub struct TokenBucket;

impl Limit for TokenBucket {
    fn new(_spec: &LimiterSpec) -> Result<Self, Unsupported> {
        stage!(1, "make a full bucket")
    }

    fn check(&self, _now: u64, _key: u64, _cost: u32) -> Verdict {
        stage!(1, "count the tokens that have come, then take what is asked for")
    }
}

/// Stage 2: the same decisions from one number, the theoretical arrival time. May refuse as stage 1
/// does.
#[derive(Debug)]
pub struct Gcra;

impl Limit for Gcra {
    fn new(_spec: &LimiterSpec) -> Result<Self, Unsupported> {
        stage!(2, "make a bucket whose theoretical arrival time has passed")
    }

    fn check(&self, _now: u64, _key: u64, _cost: u32) -> Verdict {
        stage!(2, "move the theoretical arrival time by the cost, unless it gets too far ahead")
    }
}

/// Stage 3: every quota, to the nanosecond, for 584 years.
#[derive(Debug)]
pub struct Exact;

impl Limit for Exact {
    fn new(_spec: &LimiterSpec) -> Result<Self, Unsupported> {
        stage!(3, "choose a unit of time in which both the nanosecond and the interval are whole")
    }

    fn check(&self, _now: u64, _key: u64, _cost: u32) -> Verdict {
        stage!(3, "decide in that unit")
    }
}

/// Stage 4: one atomic word and no lock. May refuse a quota that 64 bits cannot keep for 36 years,
/// or whose burst is worth more than one.
#[derive(Debug)]
pub struct Atomic;

impl Limit for Atomic {
    fn new(_spec: &LimiterSpec) -> Result<Self, Unsupported> {
        stage!(4, "reduce the unit as far as it goes, and refuse what outgrows 64 bits")
    }

    fn check(&self, _now: u64, _key: u64, _cost: u32) -> Verdict {
        stage!(4, "decide on what was loaded, then compare-and-swap, or begin again")
    }
}

/// Stage 5: a bucket for each key, at most [`KEYS`](crate::KEYS) of them at once, in memory that is
/// fixed when it is made.
#[derive(Debug)]
pub struct Keyed;

impl Limit for Keyed {
    fn new(_spec: &LimiterSpec) -> Result<Self, Unsupported> {
        stage!(5, "make a table of slots, a few to each lock")
    }

    fn check(&self, _now: u64, _key: u64, _cost: u32) -> Verdict {
        stage!(5, "find the key's slot, or take one whose bucket is full again")
    }
}

/// Stage 6: a line of those who wait for cells, first come, first served.
#[derive(Debug)]
pub struct Line;

impl Line {
    /// A line before a full bucket, or why it cannot keep `spec`.
    pub fn new(_spec: &LimiterSpec) -> Result<Self, Unsupported> {
        stage!(6, "make a bucket and an empty line")
    }

    /// A place at the end of the line; `None` where a full bucket has less than `cost` cells.
    pub fn wait(&self, _cost: u32) -> Option<Turn<'_>> {
        stage!(6, "take a place at the end of the line")
    }

    /// Serves from the front while there are cells at `now`, and wakes whoever was served. Returns
    /// the moment at which the first of those who are left can be served; `None` where nobody is.
    pub fn tick(&self, _now: u64) -> Option<u64> {
        stage!(6, "serve the first in line, and the next, while the bucket has their cells")
    }
}

/// A place in the line. Ready once the line has served it; whoever drops it before has left the
/// line, and has had no cells.
#[derive(Debug)]
pub struct Turn<'l>(PhantomData<&'l Line>);

impl Future for Turn<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        stage!(6, "ready when served; else remember whom to wake")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Stage 6: leave the line; or give the cells back, where that is sound.
    }
}
