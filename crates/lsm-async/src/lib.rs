//! The ordered store of `lsm` for programs on tokio, and backups of it to object stores.
//!
//! ```text
//!   get      all in memory? --yes--> answer at once, on this thread
//!                 | no
//!                 `--> a thread for blocking work --> answer
//!   write    memtable and log have room, nobody else writes, no sync? --yes--> done at once
//!                 | no
//!                 `--> a thread for blocking work: waits for the disk, or for those before it
//!   range    pieces of some hundred entries, each read by a thread for blocking work
//! ```
//!
//! The store answers most reads from memory in a fraction of the time that it takes to hand them to
//! another thread, and most writes are two copies into memory. Which ones, the store itself knows:
//! [`Family::get_in_memory`] and [`Db::try_write`] do what needs no disk, or say that it does.
//! `examples/latency.rs` measures both ways.
//!
//! # Cancellation
//!
//! A read that is dropped has no effect. A write that is dropped before it was polled is not made;
//! later it is made as a whole or not at all, as after a crash, and nobody hears which.
//!
//! ```
//! use lsm::Options;
//! use lsm_async::AsyncDb;
//!
//! # let folder = tempfile::tempdir().expect("the temporary directory is writable");
//! # let folder = folder.path().to_owned();
//! # let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("threads");
//! # runtime.block_on(async move {
//! let db = AsyncDb::open(folder, Options::default()).await?;
//! db.put(b"lemon", b"yellow").await?;
//! assert_eq!(db.get(b"lemon").await?.as_deref(), Some(&b"yellow"[..]));
//! let mut entries = db.range(&b"a"[..]..);
//! while let Some((key, value)) = entries.next().await? {
//!     println!("{} is {}", key.escape_ascii(), value.escape_ascii());
//! }
//! db.close().await
//! # }).expect("there is room on the disk");
//! ```
//!
//! # What this crate does not do
//!
//! It does not read files asynchronously: the kernel gives no such call that is faster for blocks
//! of four kilobytes than a thread that waits.

mod backup;
mod db;
mod entries;

pub use backup::{Backup, BackupError, Backups, Pruned, Taken};
pub use db::AsyncDb;
pub use entries::Entries;
#[cfg(doc)]
use lsm::{Db, Family};

#[cfg(test)]
mod tests;
