//! Clusters of nodes in one process: on simulated disks, over a hub and over TCP.

mod cluster;
mod failures;
mod groups;
mod members;
mod quiet;
mod receiving;
mod sessions;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use raft::Index;

use crate::{MachineError, Make, Row, StateMachine};

/// A list of all commands: the answer to a command is the list's new length, the answer to a query
/// is the list. `boom` is a command that the machine does not survive.
#[derive(Clone, Debug, Default)]
struct Journal {
    lines: Arc<Mutex<Vec<Bytes>>>,
    is_instant: bool,
}

impl StateMachine for Journal {
    fn is_instant(&self) -> bool {
        self.is_instant
    }

    fn applied(&self) -> Index {
        Index::ZERO
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _index: Index, command: &[u8]) -> Result<Bytes, MachineError> {
        if command == b"boom" {
            return Err("it cannot be applied".into());
        }
        let mut lines = self.lines.lock();
        lines.push(Bytes::copy_from_slice(command));
        Ok(lines.len().to_string().into())
    }

    fn commit(&mut self, _index: Index, _rows: &[Row]) -> Result<(), MachineError> {
        Ok(())
    }

    fn query(&self, _query: &Bytes) -> Result<Bytes, MachineError> {
        Ok(self.lines.lock().join(&b","[..]).into())
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        let lines = self.lines.lock().join(&b","[..]);
        Ok(Box::new(move |to| Ok(to.write_all(&lines)?)))
    }

    fn restore(
        &mut self,
        _index: Index,
        data: &mut dyn Read,
        _rows: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b',').filter(|line| !line.is_empty());
        *self.lines.lock() = lines.map(Bytes::copy_from_slice).collect();
        Ok(())
    }
}

/// Waits for what must come, and panics where it does not.
async fn within<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after 15 seconds still not: {what}");
}
