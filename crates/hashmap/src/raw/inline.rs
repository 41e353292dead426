//! A table of words: keys and values of 64 bits, in the table itself.

mod annex;
mod batch;
mod bin;
mod block;
mod core;
mod edit;
mod find;
mod insert;
mod iterate;
mod migration;
mod pool;
mod reclaim;
mod remove;
mod resize;
mod session;
mod split;
mod state;
mod table;
mod tags;
mod update;

#[cfg(test)]
mod tests;

pub(crate) use self::core::Core;
pub(crate) use iterate::Walk;
pub(crate) use session::Session;
pub(crate) use table::bins_for;
