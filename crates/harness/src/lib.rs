//! The bench that every build is laid on: what it must do, whether it does, and how fast.
//!
//! One definition serves three uses. A family of systems (concurrent maps, ordered stores, ...)
//! has one small [`contract`]; ours, every peer and a learner's exercise implement it; and the
//! same trait drives conformance ([`check`]), simulation ([`sim`]) and comparison (`duel`).
//!
//! ```text
//!   workload ----.                         .---- check   model, linearizable, schedules
//!   (what to do)  >---- contract (trait) --+---- sim     virtual time, disk, network, faults
//!                       ours, peers, yours '---- duel    paired rounds -> report (table, page)
//! ```
//!
//! # Modules, bottom up
//!
//! | module       | knows                            | gives                                     |
//! |--------------|----------------------------------|-------------------------------------------|
//! | `rng`        | nothing                          | small seeded generators                   |
//! | `workload`   | `rng`                            | key streams, mixes, value sizes           |
//! | `contract`   | nothing                          | the five family traits                    |
//! | `counting`   | nothing                          | a global allocator that counts            |
//! | `model`      | `contract`                       | one obviously right system a family       |
//! | `sync`       | nothing                          | std, loom or shuttle behind one name      |
//! | `check`      | `contract`, `workload`, `model`  | suites, histories, linearizability        |
//! | `sim`        | `env`, `check`                   | a world that one seed determines          |
//! | `record`     | nothing                          | the result record, `results.json`         |
//! | `duel`       | `contract`, `workload`, `record` | interleaved measurement (feature `duel`)  |
//! | `report`     | `record`                         | table, page, plots (feature `duel`)       |
//!
//! # What this crate does not do
//!
//! It depends on no build and names no peer: peers live in `benches` alone. It is a
//! dev-dependency of the builds and never part of what a user links.

pub mod check;
pub mod contract;
pub mod counting;
pub mod gate;
pub mod model;
pub mod record;
pub mod rng;
pub mod sim;
pub mod sync;
pub mod workload;

#[cfg(feature = "duel")]
pub mod duel;
#[cfg(feature = "report")]
pub mod report;
