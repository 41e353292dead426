//! What a concurrent map must do.
//!
//! | property                  | the contract demands                                             |
//! |---------------------------|------------------------------------------------------------------|
//! | [`matches_model`]         | one thread: every answer is that of a plain `HashMap`            |
//! | [`grows_and_shrinks`]     | from its smallest size to many entries and back to none          |
//! | [`own_keys`]              | a key that one thread uses behaves as if no other thread existed |
//! | [`insert_swaps`]          | of inserts of one key each value is replaced or stays, once      |
//! | [`remove_wins_once`]      | of threads that remove one key exactly one gets the value        |
//! | [`update_is_atomic`]      | no update is lost, none is returned twice, none creates a key    |
//! | [`reads_are_fresh`]       | no read is older than a write or a read that ended before it     |
//! | [`for_each_sees_stayers`] | what stays is visited once, what comes and goes at most once     |
//! | [`drops_every_value`]     | values are dropped once; a map leaves nothing behind             |
//!
//! The properties with threads hold for every interleaving, so a failure is always a defect; a
//! pass means that the threads did not meet where it hurts, and they are tried many times.
//!
//! # What this suite does not do
//!
//! It does not steer threads. A defect that needs one rare interleaving is for exploration of
//! schedules, in the build's own tests.

mod contention;
mod lifetimes;
mod sequential;

pub use contention::{
    for_each_sees_stayers, insert_swaps, own_keys, reads_are_fresh, remove_wins_once,
    update_is_atomic,
};
pub use lifetimes::{Tracked, drops_every_value};
pub use sequential::{grows_and_shrinks, matches_model};

use super::{Examination, Finding, Report};
use crate::contract::ConcurrentMap;

/// Makes a module of tests for a map: `map_suite!(name, Map<u64, u64>)`, and with
/// `map_suite!(name, Map<u64, u64>, tracked = Map<u64, Tracked>)` also of what it drops.
#[macro_export]
macro_rules! map_suite {
    ($name:ident, $map:ty) => {
        mod $name {
            use super::*;

            $crate::map_suite!(@words $map);
        }
    };
    ($name:ident, $map:ty, tracked = $tracked:ty) => {
        mod $name {
            use super::*;

            $crate::map_suite!(@words $map);
            $crate::suite_properties!(map, $tracked: drops_every_value);
        }
    };
    (@words $map:ty) => {
        $crate::suite_properties!(map, $map:
            matches_model, grows_and_shrinks, own_keys, insert_swaps, remove_wins_once,
            update_is_atomic, reads_are_fresh, for_each_sees_stayers,
        );
    };
}

/// Examines a map by every property except [`drops_every_value`].
pub fn examine<M: ConcurrentMap<u64, u64>>() -> Report {
    let mut examination = Examination::new();
    matches_model::<M>(&mut examination);
    grows_and_shrinks::<M>(&mut examination);
    own_keys::<M>(&mut examination);
    insert_swaps::<M>(&mut examination);
    remove_wins_once::<M>(&mut examination);
    update_is_atomic::<M>(&mut examination);
    reads_are_fresh::<M>(&mut examination);
    for_each_sees_stayers::<M>(&mut examination);
    examination.into_report()
}

/// The findings of [`examine`] alone.
pub fn findings<M: ConcurrentMap<u64, u64>>() -> Vec<Finding> {
    examine::<M>().findings
}

#[cfg(test)]
mod tests;
