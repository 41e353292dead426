//! What a group replicates.

use std::io::{Read, Write};

use bytes::Bytes;
use raft::Index;

/// What went wrong in a state machine; the group ends on this node.
pub type MachineError = Box<dyn std::error::Error + Send + Sync>;

/// What a state machine keeps for the driver: a number and bytes, none where the row is gone.
pub type Row = (u64, Option<Bytes>);

/// Writes the bytes of a snapshot, on another thread, and into a file where the log is on disk:
/// what it holds in memory is all that is held.
pub type Make = Box<dyn FnOnce(&mut dyn Write) -> Result<(), MachineError> + Send>;

/// A deterministic state machine: the same commands in the same order give the same state and the
/// same answers on every server, whatever the time, the machine or the version of the program.
///
/// One thread calls it. A machine that keeps its state on disk makes each [`commit`] one atomic
/// step and need not make it durable: what it loses it is given again. It says what it has with
/// [`applied`]. One in memory says 0 and is given everything.
///
/// [`commit`]: Self::commit
/// [`applied`]: Self::applied
pub trait StateMachine: Send + 'static {
    /// Whether none of the calls ever waits for anything, and each takes microseconds. Such a
    /// machine is applied where an entry is found to be committed, which saves the way to another
    /// thread; for a while nothing else of its node goes on.
    fn is_instant(&self) -> bool {
        false
    }

    /// The last entry that the state has, when the machine is handed to a node.
    fn applied(&self) -> Index;

    /// The driver's rows, as they were last committed.
    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError>;

    /// Applies a command and answers it. What it does may be seen by readers only from the next
    /// [`StateMachine::commit`] on, and by the next `apply` at once. The bytes are the log's:
    /// what is kept of them is copied.
    ///
    /// An error is for a machine that cannot go on; a command that makes no sense gets an answer.
    fn apply(&mut self, index: Index, command: &[u8]) -> Result<Bytes, MachineError>;

    /// The entries up to `index` are applied, those without a command included. They and `rows`
    /// become one step.
    fn commit(&mut self, index: Index, rows: &[Row]) -> Result<(), MachineError>;

    /// Answers a question about the state as it is.
    fn query(&self, query: &Bytes) -> Result<Bytes, MachineError>;

    /// Fixes the state as it is, without the driver's rows; its bytes are made later.
    fn snapshot(&self) -> Result<Make, MachineError>;

    /// Replaces the state by that of a snapshot at `index`, and all rows by `rows`. `data` is read
    /// from a file by and by, unless the machine is instant. It is done again where it did not come
    /// to its end.
    fn restore(
        &mut self,
        index: Index,
        data: &mut dyn Read,
        rows: &[(u64, Bytes)],
    ) -> Result<(), MachineError>;
}
