//! Tests of the kernel: against a model, under suspension, with planted bugs. (Histories are
//! recorded of all fronts together, in `crate::histories`.)
//!
//! | module      | asks                                                                  |
//! |-------------|-----------------------------------------------------------------------|
//! | `model`     | does one thread get the answers of a plain map, whatever the hasher?  |
//! | `lifetimes` | is each key and value dropped once, whoever panics or stalls?         |
//! | `progress`  | do the others go on when a thread stops, wherever it stops?           |
//! | `kernels`   | do the orderings of one bin suffice? (under loom: all executions)     |
//! | `schedules` | does every schedule of a few operations keep the promises?            |
//! Mistakes are planted in `model` and, where they need a schedule, in `schedules`.

mod kernels;
#[cfg(not(any(loom, shuttle)))]
mod lifetimes;
#[cfg(not(any(loom, shuttle)))]
mod model;
#[cfg(not(any(loom, shuttle)))]
mod progress;
#[cfg(not(loom))]
mod schedules;

use std::hash::{BuildHasher, Hasher};

use crate::HashMap;

/// A hasher that keeps some bits of a `u64` key: all of them mixed, none, the low or the high ones.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(loom, shuttle), expect(dead_code, reason = "the schedules need two of them"))]
pub(crate) enum Keeps {
    All,
    None,
    LowBits,
    HighBits,
}

#[cfg(not(any(loom, shuttle)))]
pub(crate) const HASHERS: [Keeps; 4] = [Keeps::All, Keeps::None, Keeps::LowBits, Keeps::HighBits];

pub(crate) struct KeepingHasher(Keeps, u64);

impl BuildHasher for Keeps {
    type Hasher = KeepingHasher;

    fn build_hasher(&self) -> KeepingHasher {
        KeepingHasher(*self, 0)
    }
}

impl Hasher for KeepingHasher {
    fn write(&mut self, _bytes: &[u8]) {
        panic!("the tests hash u64 alone");
    }

    fn write_u64(&mut self, key: u64) {
        self.1 = match self.0 {
            Keeps::All => harness::workload::scatter(key),
            Keeps::None => 0,
            Keeps::LowBits => key & 0b111,
            Keeps::HighBits => key << 60,
        };
    }

    fn finish(&self) -> u64 {
        self.1
    }
}

pub(super) type TestMap<V = u64> = HashMap<u64, V, Keeps>;
