//! Reading a log from its beginning, when it is opened.
//!
//! # What this module does not do
//!
//! It finds no end and no damage of bytes; the write-ahead log has done that.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::group::Group;
use super::record::Record;
use super::{DiskError, GroupId, Result};

/// What has been read of a log.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// From where on the log is needed, by group.
    pub(super) anchors: BTreeMap<GroupId, wal::Position>,
    /// Groups of which there were writes before their state.
    orphans: BTreeSet<GroupId>,
}

impl Reader {
    /// Reads all records.
    pub(super) fn read(log: &wal::Log) -> Result<Self> {
        let mut reader = Self::default();
        let mut outcome: Result<()> = Ok(());
        log.replay(|at, bytes| {
            if outcome.is_ok() {
                outcome = reader.take(at, bytes);
            }
        })?;
        outcome?;
        match reader.orphans.iter().find(|id| !reader.groups.contains_key(id)) {
            Some(group) => Err(DiskError::Stateless { group: *group }),
            None => Ok(reader),
        }
    }

    fn take(&mut self, at: wal::Position, bytes: &[u8]) -> Result<()> {
        let decoded = Record::decode(Bytes::copy_from_slice(bytes));
        let (id, record) = decoded.map_err(|cause| DiskError::Record { at, cause })?;
        if matches!(record, Record::State(_)) {
            self.anchors.insert(id, at);
        }
        match (self.groups.get_mut(&id), record) {
            (Some(group), record) => group.take(record).ok_or(DiskError::Corrupt { at })?,
            (None, Record::State(state)) => {
                self.groups.insert(id, Group::from(state));
            }
            // Its segment was to be released; what is needed comes behind it.
            (None, Record::Write { .. } | Record::Copy { .. }) => {
                self.orphans.insert(id);
            }
        }
        Ok(())
    }
}
