//! What to do: key streams, operation mixes and value sizes, as data.
//!
//! A workload is a value, not a program. It has a stable name that the result record uses, a seed,
//! and three sizes; whoever measures or checks asks it for one stream of operations a thread and
//! applies them. Two contenders therefore do the same work, and the same work again tomorrow.
//!
//! ```text
//!   Workload  name, seed, sizes
//!      |-- Mix               which operation        YCSB A-F, read-heavy, exchange, grow, update
//!      |-- KeyDistribution   on which key           uniform, Zipfian, latest, hotspot, ...
//!      '-- ValueSize         with how many bytes    fixed, uniform, skewed to small
//!               |
//!      stream(size, thread, threads) -> Operations: an endless iterator, a function of the seed
//! ```
//!
//! # Seeds
//!
//! The stream of thread `t` starts from a seed that is derived from the workload's seed and `t`,
//! so threads differ from one another and a run repeats. Keys that streams insert are numbered so
//! that no two threads ever insert the same one (see [`Operations`]).
//!
//! # Sources
//!
//! The distributions named after YCSB follow its generators (Cooper and others, "Benchmarking
//! cloud serving systems with YCSB", 2010); where they differ, the item says so. The mixes
//! for maps are those of the `bustle` and `conc-map-bench` programs.
//!
//! # What this module does not do
//!
//! It measures nothing and never touches a contender. A generator costs up to a few tens of
//! nanoseconds (the Zipfian ones call `powf`), so a comparison draws its keys beforehand with
//! [`KeyStream::fill`] or by collecting [`Operations`].

mod keys;
mod mix;
mod operations;
mod values;
mod zipf;

use serde::{Deserialize, Serialize};

pub use keys::{KeyDistribution, KeyStream, scatter};
pub use mix::{Mix, OperationKind};
pub use operations::{Inserts, Operation, Operations, Workload};
pub use values::{ValueContent, ValueSize};
pub use zipf::{Latest, ScrambledZipfian, ZIPFIAN_CONSTANT, Zipfian, fnv_hash_64};

/// How much of a workload is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Size {
    /// Milliseconds: shows that the code path works; tests run this one.
    Smoke,
    /// Seconds: good enough to see who leads.
    Quick,
    /// Minutes: what a published figure rests on.
    Full,
}

impl Size {
    /// Every size, from the smallest.
    pub const ALL: [Self; 3] = [Self::Smoke, Self::Quick, Self::Full];

    /// The word that the result record uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// One count for each [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// At [`Size::Smoke`].
    pub smoke: u64,
    /// At [`Size::Quick`].
    pub quick: u64,
    /// At [`Size::Full`].
    pub full: u64,
}

impl Sizes {
    /// The count at `size`.
    pub const fn at(self, size: Size) -> u64 {
        match size {
            Size::Smoke => self.smoke,
            Size::Quick => self.quick,
            Size::Full => self.full,
        }
    }
}

/// A workload that cannot be generated. What to change stands in the message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkloadError {
    /// There is nothing to draw from.
    #[error("a key distribution needs at least one key; load some records first")]
    NoKeys,
    /// A Zipfian constant outside of `0 < theta < 1`.
    #[error(
        "the Zipfian constant is {0}, but the algorithm needs one between 0 and 1, both excluded"
    )]
    ZipfianConstant(f64),
    /// A share that is no share.
    #[error("the {what} is {value}, but a fraction lies between 0 and 1, both included")]
    Fraction {
        /// Which share.
        what: &'static str,
        /// What was asked for.
        value: f64,
    },
    /// A part of a hotspot distribution is empty and yet should be drawn from.
    #[error(
        "the {part} set of the hotspot holds none of {count} keys but gets operations; \
             widen it or send it none"
    )]
    EmptySet {
        /// `hot` or `cold`.
        part: &'static str,
        /// Keys in all.
        count: u64,
    },
    /// The shares of a mix do not make a whole.
    #[error("the shares of the mix add up to {0} percent; they must add up to 100")]
    MixTotal(u32),
    /// A range whose lower end lies above its upper end.
    #[error("the smallest {what} is {low} and the largest {high}; swap them")]
    EmptyRange {
        /// What the range is of.
        what: &'static str,
        /// Its lower end.
        low: u64,
        /// Its upper end.
        high: u64,
    },
    /// A thread number that does not exist.
    #[error("thread {thread} of {threads} was asked for; they are counted from zero")]
    NoSuchThread {
        /// What was asked for.
        thread: u64,
        /// Threads in all.
        threads: u64,
    },
}

/// Refuses a share outside of `0.0 ..= 1.0`, and one that is not a number.
fn check_fraction(what: &'static str, value: f64) -> Result<(), WorkloadError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(WorkloadError::Fraction { what, value }) }
}

#[cfg(test)]
mod tests;
