//! The data block that the tables of an ordered store consist of.
//!
//! A [`BlockBuilder`] takes entries in the order of their keys and seals them into bytes; a
//! [`Block`] checks such bytes once and then finds entries in them.
//!
//! ```
//! use lsm::{Block, BlockBuilder};
//!
//! # fn main() -> Result<(), lsm::BlockError> {
//! let mut builder = BlockBuilder::new();
//! builder.push(b"user:1", b"ada")?;
//! builder.push(b"user:2", b"grace")?;
//! let block = Block::parse(builder.finish())?;
//! assert_eq!(block.get(b"user:2"), Some(&b"grace"[..]));
//! assert_eq!(block.get(b"user:3"), None);
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It is no store yet: it has no table file, no index above blocks, no log and no files at all.

mod block;

pub use block::{Block, BlockBuilder, BlockError};
