//! An ordered store that is right before it is anything else: a `BTreeMap`, and a log to refill it.
//!
//! Every change is one record of a single file, `log`, written before the map shows it; opening
//! the store replays the file. Nothing is ever rewritten, so the file grows with every change.

mod log;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use log::{Changes, Log};

use crate::contract::{Durability, OrderedStore, StoreError, StoreSpec};

/// A sorted map behind one lock, with a log on disk.
#[derive(Debug)]
pub struct ModelStore {
    state: Mutex<State>,
    sync: bool,
}

#[derive(Debug)]
struct State {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    log: Log,
}

impl ModelStore {
    /// While the lock is held only `visit` can panic, and that changes nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies one record to the map.
fn apply(entries: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
    }
}

impl OrderedStore for ModelStore {
    const NAME: &'static str = "model";

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let (log, records) = Log::open(directory)?;
        let mut entries = BTreeMap::new();
        for changes in records {
            apply(&mut entries, changes);
        }
        let sync = spec.durability == Durability::Sync;
        Ok(Self { state: Mutex::new(State { entries, log }), sync })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.write_batch(&[(key, Some(value))])
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().entries.get(key).cloned())
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        self.write_batch(&[(key, None)])
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let changes: Changes =
            changes.iter().map(|&(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        let mut state = self.lock();
        state.log.append(&changes, self.sync)?;
        apply(&mut state.entries, changes);
        Ok(())
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let state = self.lock();
        let found = state.entries.range(from.to_vec()..).take(limit);
        Ok(found.map(|(key, value)| visit(key, value)).count())
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
