//! A replicated key-value server: raft over an ordered store, spoken to in HTTP and JSON.
//!
//! ```text
//!   curl, browser, strata-kv put      server 1                 server 2           server 3
//!              |   HTTP and JSON     +------------------+
//!              '-------------------> | http             |
//!                                    |  propose, read   |
//!                                    | raft-net <-------- TCP ----> raft-net <-> raft-net
//!                                    |  | log (wal)     |             |             |
//!                                    |  v               |             v             v
//!                                    | machine (lsm)    |           machine       machine
//!                                    +------------------+
//! ```
//!
//! A write is a [`Command`] in the replicated log, and its answer what the [`Machine`] made of it.
//! A read first asks for a barrier: once it returns, the store has all that was committed before
//! the read began, and is read by whatever thread serves the request. A stale read does without it.
//!
//! Any server takes any request: writes are sent on to the leader by a redirect. The addresses of
//! all members are part of the replicated state, so that a newcomer is found by everybody.
//!
//! # What this crate does not do
//!
//! Keys and values are text, for they travel in JSON. It has one group, so that one leader takes
//! all writes. It asks nobody who they are: keep it on a network that is trusted.

mod address;
pub mod backup;
mod client;
mod command;
mod http_client;
mod machine;
pub mod maelstrom;
mod recover;
mod server;

pub use address::{Address, AddressError};
pub use client::{Client, ClientError, Consistency};
pub use command::{Answer, Command, Refused};
pub use machine::{Machine, View};
pub use recover::{Lost, RecoverError, recover};
pub use server::{ServeError, Server, Settings};
