//! A backup brought in by commands: begun, block after block, ended.
//!
//! ```text
//!   Begin --> the store is emptied, or must be empty; reads and other writes are refused
//!   Load ---> what a block has, as often as it comes
//!   End ----> all is there
//! ```
//!
//! All servers do the same at the same entries, so that whoever leads goes on. A restore that
//! nobody ends leaves the cluster refusing, and says so; another one takes its place.
//!
//! # What this module does not do
//!
//! It does not know whether all blocks have come: who restores sends `End` after the last one.

use bytes::Bytes;
use raft::Index;
use raft_net::MachineError;

use super::{Machine, RESTORE};
use crate::backup::entries;
use crate::{Answer, Refused};

impl Machine {
    pub(super) fn begin_load(
        &mut self,
        index: Index,
        replace: bool,
    ) -> Result<Answer, MachineError> {
        let last = self.last_key()?;
        if last.is_some() && !replace {
            return Ok(Answer::Refused(Refused::NotEmpty));
        }
        if let Some(mut end) = last {
            end.push(0);
            self.step.delete_range_in(&self.view.data, &[], &end)?;
            self.overlay.clear();
            self.is_emptied = true;
        }
        self.mark(index.0)?;
        Ok(Answer::Begun(index.0))
    }

    pub(super) fn load(&mut self, restore: u64, block: &Bytes) -> Result<Answer, MachineError> {
        if !self.is_under_way(restore) {
            return Ok(Answer::Refused(Refused::NotUnderWay));
        }
        for entry in entries(block) {
            let (key, value) = entry?;
            self.set(key, Some(value))?;
        }
        Ok(Answer::Former(None))
    }

    pub(super) fn end_load(&mut self, restore: u64) -> Result<Answer, MachineError> {
        if !self.is_under_way(restore) {
            return Ok(Answer::Refused(Refused::NotUnderWay));
        }
        self.mark(0)?;
        Ok(Answer::Former(None))
    }

    const fn is_under_way(&self, restore: u64) -> bool {
        restore != 0 && self.restore == restore
    }

    fn mark(&mut self, restore: u64) -> Result<(), MachineError> {
        self.step.put_in(&self.view.meta, RESTORE, &restore.to_le_bytes())?;
        self.restore = restore;
        Ok(())
    }

    /// The last key, as this step sees it. Where steps end differs between servers, and must not
    /// be seen: what the step has deleted does not count.
    fn last_key(&self) -> Result<Option<Vec<u8>>, MachineError> {
        let of_step = self.overlay.iter().rfind(|(_, value)| value.is_some());
        let of_step = of_step.map(|(key, _)| key.to_vec());
        if self.is_emptied {
            return Ok(of_step);
        }
        let mut entries = self.view.data.range(..);
        entries.seek_last()?;
        while let Some((key, _)) = entries.entry() {
            if self.overlay.get(key).is_none_or(Option::is_some) {
                let of_store = Some(key.to_vec());
                return Ok(of_step.max(of_store));
            }
            entries.backward()?;
        }
        Ok(of_step)
    }
}
