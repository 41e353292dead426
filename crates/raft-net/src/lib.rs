//! Raft driven: many groups a node, one sync a round, client sessions, transports.
//!
//! ```text
//!   clients --.                                          .--> log thread: one sync for all groups
//!              v                                         |      |
//!   Node --> mailbox --> one round: step, tick, ready ---+<-----'
//!              ^         (of every group that it touches)|
//!   transport -'                                         +--> apply thread: state machines
//!       ^                                                |      |-> snapshot thread
//!       '------------- one batch a peer a round ---------'<-----'
//! ```
//!
//! A round never waits for a disk, a socket or a state machine. It takes what is in the mailbox,
//! asks each group that it touched for its `Ready`, sends what may be sent at once, appends what
//! must be durable, and asks for one sync; what waited for it is sent when it is done. Whoever puts
//! something into the mailbox runs the round, unless somebody is at it; so a command need not wait
//! for a thread to wake up (`node/engine.rs`). A machine that is instant is applied in the round.
//! Where a sync is due, those are waited for who are about to come back from the last one, so that
//! one sync serves all (`node/group/gather.rs`).
//!
//! * [`Node`] is the handle: propose, read, change members, transfer, look.
//! * [`StateMachine`] is what a group replicates. Its commands come once each where clients use
//!   sessions: see [`session`].
//! * [`Transport`] carries batches and may lose them: [`Hub`] within a process, [`TcpTransport`]
//!   between them, whose frames trust nobody.
//!
//! # What it costs
//!
//! `cargo bench --bench duel -- raft` measures clusters of three nodes in one process beside
//! raft-rs and openraft, with logs in memory and with logs that are synced; the README has what
//! came of it. `cargo run --release -p raft-net --example in_flight`, perhaps with `-- tcp`, shows
//! how many commands share a sync on a machine's own disk.
//!
//! Groups that are idle cost next to nothing: while nobody asks anything of a group, its leader's
//! node speaks for it, once a heartbeat for all of its groups together, and nobody ticks it. A
//! thousand groups on the three nodes take 0.4 % of a core and send no message
//! (`cargo run --release -p raft-net --example idle`); ticked one by one, with heartbeats of their
//! own, they took 13 % and sent 67,000 messages a second. A leader that dies is noticed as soon as
//! before. `node/quiet.rs` says why that is safe, `pulse.rs` what nodes say.
//!
//! # What this crate does not do
//!
//! It does not authenticate peers or encrypt; where a network is not trusted, put TLS below it. A
//! follower writes the file of a snapshot that it is sent on the node thread.

mod error;
mod machine;
mod mailbox;
mod node;
mod pulse;
pub mod session;
mod stats;
mod transport;

pub use error::Error;
pub use machine::{MachineError, Make, Row, StateMachine};
pub use mailbox::{Inbox, Mailbox, mailbox};
pub use node::{GroupStatus, Node, Options};
pub use pulse::{Echo, Pulse, Word};
pub use stats::Stats;
pub use transport::frame::FrameError;
pub use transport::memory::{Hub, HubTransport};
pub use transport::tcp::{PeerStatus, TcpOptions, TcpTransport};
pub use transport::{Envelope, Packet, Transport};

#[cfg(test)]
mod tests;
