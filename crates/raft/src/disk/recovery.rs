//! Reading a log from its beginning, when it is opened.
//!
//! ```text
//!   before the cut   .. entries 29, 30 | state: 28 and snapshot | copies of 29, 30 | ..
//!   after it         .. entries 29, 30 | state: 28 and snapshot | entry 31 | ..
//! ```
//!
//! A group is needed from its newest state on, its *anchor*. But a state stands for entries too,
//! whose copies follow it, and a power cut may take these: they were written and not synced. Such a
//! state is no anchor; its entries are in what was written before it, which must stay. And once a
//! later anchor has released that, it is nothing to begin with: what follows it does not fit, and
//! the anchor is still to come.
//!
//! # What this module does not do
//!
//! It finds no end and no damage of bytes; the write-ahead log has done that.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::group::Group;
use super::record::Record;
use super::{DiskError, GroupId, Result};
use crate::storage::Storage;
use crate::types::Index;

/// The number of the segment that a log begins with.
const FIRST_SEGMENT: u64 = 1;

/// What has been read of a log.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// From where on the log is needed, by group.
    pub(super) anchors: BTreeMap<GroupId, wal::Position>,
    /// Groups of which there were writes before their state.
    orphans: BTreeSet<GroupId>,
    /// States whose copies have not all come yet.
    copying: BTreeMap<GroupId, Copying>,
    /// Groups of which a state was read with all that it stands for.
    whole: BTreeSet<GroupId>,
    /// Where a group did not follow from what it began with.
    given_up: BTreeMap<GroupId, wal::Position>,
}

/// A state, and the last entry that was in the log when it was written.
struct Copying {
    state: wal::Position,
    last: Index,
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
        if let Some((_, &at)) = reader.given_up.iter().find(|it| !reader.groups.contains_key(it.0))
        {
            return Err(DiskError::Corrupt { at });
        }
        match reader.orphans.iter().find(|id| !reader.groups.contains_key(id)) {
            Some(group) => Err(DiskError::Stateless { group: *group }),
            None => Ok(reader),
        }
    }

    fn take(&mut self, at: wal::Position, bytes: &[u8]) -> Result<()> {
        let decoded = Record::decode(Bytes::copy_from_slice(bytes));
        let (id, record) = decoded.map_err(|cause| DiskError::Record { at, cause })?;
        if let Some(group) = self.groups.get_mut(&id) {
            let copied = match &record {
                Record::State(state) => Some(state.base.index),
                Record::Copy { entries } => entries.last().map(|it| it.index),
                Record::Write { .. } => None,
            };
            let is_state = matches!(record, Record::State(_));
            if group.take(record.clone()).is_some() {
                if is_state {
                    let last = group.memory().last_index();
                    self.copying.insert(id, Copying { state: at, last });
                }
                self.note_copies(id, copied);
                return Ok(());
            }
            if self.whole.contains(&id) {
                return Err(DiskError::Corrupt { at });
            }
            self.groups.remove(&id);
            self.given_up.entry(id).or_insert(at);
        }
        if let Record::State(state) = record {
            self.anchors.insert(id, at);
            self.groups.insert(id, Group::from(state));
            if at.segment == FIRST_SEGMENT {
                // Nothing was released: here the group began.
                self.whole.insert(id);
            }
        } else {
            // Its segment was to be released; what is needed comes behind it.
            self.orphans.insert(id);
        }
        Ok(())
    }

    /// A group's entries are copied up to this one; none where something else was written, behind
    /// which no copies come any more.
    fn note_copies(&mut self, id: GroupId, copied: Option<Index>) {
        match (self.copying.get(&id), copied) {
            (Some(it), Some(copied)) if copied < it.last => {}
            (Some(it), Some(_)) => {
                self.anchors.insert(id, it.state);
                self.whole.insert(id);
                self.copying.remove(&id);
            }
            _ => drop(self.copying.remove(&id)),
        }
    }
}
