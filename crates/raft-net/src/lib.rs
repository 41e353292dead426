//! Raft driven: many groups a node, one sync a round, client sessions, transports.
//!
//! ```text
//!   clients --.                                          .--> log thread: one sync for all groups
//!              v                                         |      |
//!   Node --> mailbox --> node thread: step, tick, ready -+<-----'
//!              ^         (owns every group's core)       |
//!   transport -'                                         +--> apply thread: state machines
//!       ^                                                |      |-> snapshot thread
//!       '------------- one batch a peer a round ---------'<-----'
//! ```
//!
//! The node thread never waits for a disk, a socket or a state machine. A round takes what is in
//! the mailbox, asks each group that it touched for its `Ready`, sends what may be sent at once,
//! appends what must be durable, and asks for one sync; what waited for it is sent when it is done.
//!
//! * [`Node`] is the handle: propose, read, change members, transfer, look.
//! * [`StateMachine`] is what a group replicates. Its commands come once each where clients use
//!   sessions: see [`session`].
//! * [`Transport`] carries batches and may lose them: [`Hub`] within a process, [`TcpTransport`]
//!   between them, whose frames trust nobody.
//!
//! # What this crate does not do
//!
//! It does not authenticate peers or encrypt; where a network is not trusted, put TLS below it. It
//! batches the heartbeats of groups into one frame a peer, and does not leave any of them out. A
//! follower writes the file of a snapshot that it is sent on the node thread.

mod error;
mod machine;
mod mailbox;
mod node;
pub mod session;
mod stats;
mod transport;

pub use error::Error;
pub use machine::{MachineError, Make, Row, StateMachine};
pub use mailbox::{Inbox, Mailbox, mailbox};
pub use node::{GroupStatus, Node, Options};
pub use stats::Stats;
pub use transport::frame::FrameError;
pub use transport::memory::{Hub, HubTransport};
pub use transport::tcp::{PeerStatus, TcpOptions, TcpTransport};
pub use transport::{Envelope, Transport};

#[cfg(test)]
mod tests;
