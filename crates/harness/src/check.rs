//! Conformance: does a system do what its contract says, also when many threads ask at once?
//!
//! ```text
//!   replay ------> schedule      many seeds, many schedules, one line that replays a failure
//!                     |
//!                     v
//!   the system under test, called through `history::Recorder`
//!                     |
//!                     v
//!   history  --->  linearizable  <---  model
//!   (who called what,  (is there one      (what one thread alone
//!    when, and what     order of all       would have seen)
//!    came back)         calls that fits?)
//! ```
//!
//! # What this module does not do
//!
//! It names no system. A family's suite composes these parts for its contract; a build runs the
//! suite over itself, and `benches` runs it over every peer.

pub mod history;
pub mod linearizable;
pub mod model;
pub mod replay;
pub mod schedule;
pub mod suite;
