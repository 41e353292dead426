//! Writing and reading only where nobody has to wait.

use super::core::Core;
use super::{Db, Family};
use crate::options::Durability;
use crate::{Batch, Error, Result, resident};

impl Family {
    /// [`Family::get`] without the disk: [`Error::WouldWait`] where a block is not in the cache or
    /// the value lies apart. For threads that serve others, such as those of an async runtime.
    pub fn get_in_memory(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        resident::in_memory(|| self.get(key))
    }
}

impl Db {
    /// [`Db::write`] where that takes no longer than copying the batch: [`Error::WouldWait`], and
    /// nothing is written, where it would wait for a sync, for a memtable to be written out, for a
    /// new segment of the log or for another writer.
    pub fn try_write(&self, batch: &mut Batch) -> Result<()> {
        self.core().commit_at_once(batch)
    }
}

impl Core {
    fn commit_at_once(&self, batch: &mut Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.check(batch)?;
        if self.options.durability == Durability::Sync {
            return Err(Error::WouldWait);
        }
        let mut writer = self.writer.try_lock().ok_or(Error::WouldWait)?;
        let mut seen = None;
        for change in batch.changes() {
            if seen.replace(change.family) != Some(change.family) {
                let family = writer.family(change.family);
                let family = family.ok_or(Error::Dropped(change.family))?;
                if !family.has_room(batch.span()) {
                    return Err(Error::WouldWait);
                }
            }
        }
        if !self.log.has_room(batch.record().len()) {
            return Err(Error::WouldWait);
        }
        self.apply(&mut writer, batch).map(|_| ())
    }
}
