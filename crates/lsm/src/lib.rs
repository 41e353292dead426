//! An embeddable ordered key-value store: a log, a memtable, sorted tables, compaction.
//!
//! ```text
//!   put ---> log ---> memtable                         get <--- memtable
//!          (wal)        | full                              <--- memtables on their way
//!                       v                                   <--- level 0, each table
//!            memtables on their way                         <--- level 1, one table
//!                       | flush                             <--- level 2, one table, ...
//!                       v
//!   level 0  [####] [####] [####]        each a memtable; they overlap
//!                       | merge
//!   level 1  [####|####|####|####]       one run, sorted over all tables
//!                       | merge
//!   level 2  [####|####|####|####|####|####|####|####|####| ...
//! ```
//!
//! This is the leveled [`Shape`]; others have several runs a level.
//!
//! This is the log-structured merge-tree (O'Neil et al., 1996): writes go to memory and to the end
//! of a log, and sorted files are made from them later, in large pieces. A read looks from the
//! newest to the oldest until it finds the key; filters spare it the tables that do not have it.
//!
//! Read on in this order: [`Batch`] and `db/write.rs` for the way of a write, `memtable.rs` and
//! `memtable/tree.rs` for where it waits, `table.rs` for the files, `db/read.rs` and `iter.rs` for
//! the way of a read, `version.rs`, `compact.rs` and `snapshot.rs` for what is merged and what is
//! kept, `manifest.rs` and `db/open.rs` for what survives. Then, each by itself: `transaction.rs`,
//! `removal.rs` for removed ranges, `meaning.rs` and `fold.rs` for operands and dates, `values.rs`
//! for values that lie apart, `db/copy.rs` for copies, `db/ingest.rs` for loads, `reader.rs` for
//! who only looks, `repair.rs` for what is left of a damaged store.
//!
//! # What is promised
//!
//! * A write that was acknowledged survives what [`Durability`] names. After more than that the
//!   store is what it was at an earlier moment: no hole, no half batch.
//! * Readers never wait for writers. An iterator and a [`Snapshot`] see one moment.
//! * Bytes that are not what was written are an error, never an answer.
//!
//! # What this crate does not do
//!
//! [`repair()`] saves what checks; what is gone only a backup brings back. One process opens a
//! store at a time, and any number look at it.

mod batch;
mod cache;
mod codec;
mod compact;
mod db;
mod dump;
mod error;
mod fold;
mod gaps;
mod head;
mod iter;
mod manifest;
mod meaning;
mod memtable;
mod merge;
mod options;
mod planted;
mod range;
mod reader;
mod removal;
mod repair;
mod resident;
mod run;
mod slot;
mod snapshot;
mod stamp;
mod stats;
mod sync;
mod table;
mod tally;
mod transaction;
mod values;
mod version;

pub use batch::{Batch, KEY_LEN_MAX, VALUE_LEN_MAX};
pub use db::{Copied, Db, Family, Ingest, Snapshot};
pub use dump::dump;
pub use error::{Error, Key, Result};
pub use iter::Iter;
pub use meaning::MergeOperator;
pub use options::{Backend, Background, Durability, Options, Shape};
pub use reader::Reader;
pub use repair::{Loss, Lost, Repaired, repair, repair_on};
pub use stats::{Stats, TableInfo};
pub use table::Codec;
pub use transaction::{Isolation, Transaction};
