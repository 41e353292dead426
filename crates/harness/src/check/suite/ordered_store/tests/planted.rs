//! A small merge tree, sound or with one bug planted: a table in memory that is frozen into a run
//! every few entries; the newest version of a key wins; removals are marks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use crate::contract::{OrderedStore, StoreError, StoreSpec};
use crate::model::{Changes, Log};

pub(super) const NOTHING: u8 = 0;
pub(super) const LOST_TOMBSTONE: u8 = 1;
pub(super) const SHORT_KEYS_FIRST: u8 = 2;
pub(super) const START_EXCLUDED: u8 = 3;
pub(super) const LIMIT_IGNORED: u8 = 4;
pub(super) const OLDEST_RUN_FIRST: u8 = 5;
pub(super) const EMPTY_IS_GONE: u8 = 6;
pub(super) const BATCH_IN_HALVES: u8 = 7;
pub(super) const FIRST_WINS: u8 = 8;
pub(super) const BUFFERED: u8 = 9;
pub(super) const DELETE_UNLOGGED: u8 = 10;

type Run = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

struct State {
    /// The table in memory, then the runs from the newest to the oldest.
    runs: Vec<Run>,
    log: Log,
    /// Changes that were acknowledged but not logged; only for [`BUFFERED`].
    buffered: Vec<Changes>,
}

pub(super) struct Planted<const BUG: u8>(Mutex<State>);

/// Entries of a table before it is frozen, and runs before they are merged into one.
const TABLE: usize = 6;
const RUNS: usize = 5;

impl State {
    fn apply<const BUG: u8>(&mut self, changes: Changes) {
        for (key, value) in changes {
            let value = value.filter(|value| BUG != EMPTY_IS_GONE || !value.is_empty());
            self.runs[0].insert(key, value);
        }
        if self.runs[0].len() >= TABLE {
            if BUG == LOST_TOMBSTONE {
                self.runs[0].retain(|_, value| value.is_some());
            }
            self.runs.insert(0, Run::new());
        }
        if self.runs.len() > RUNS {
            let mut merged = Run::new();
            while let Some(older) = self.runs.pop() {
                merged.extend(older);
            }
            // Nothing lies below, so the marks have done their work.
            merged.retain(|_, value| value.is_some());
            self.runs = vec![Run::new(), merged];
        }
    }

    fn log<const BUG: u8>(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let mut logged = changes.clone();
        if BUG == DELETE_UNLOGGED {
            logged.retain(|(_, value)| value.is_some());
        }
        if BUG == BUFFERED {
            self.buffered.push(logged);
            return Ok(());
        }
        Ok(self.log.append(&logged, false)?)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for changes in &self.buffered {
            self.log.append(changes, false).unwrap();
        }
    }
}

impl<const BUG: u8> OrderedStore for Planted<BUG> {
    const NAME: &'static str = "planted";

    fn open(directory: &Path, _spec: &StoreSpec) -> Result<Self, StoreError> {
        let (log, records) = Log::open(directory)?;
        let mut state = State { runs: vec![Run::new()], log, buffered: Vec::new() };
        for changes in records {
            state.apply::<BUG>(changes);
        }
        Ok(Self(Mutex::new(state)))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.write_batch(&[(key, Some(value))])
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.0.lock().unwrap();
        let found = if BUG == OLDEST_RUN_FIRST {
            state.runs[1..].iter().rev().chain(&state.runs[..1]).find_map(|run| run.get(key))
        } else {
            state.runs.iter().find_map(|run| run.get(key))
        };
        Ok(found.cloned().flatten())
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        self.write_batch(&[(key, None)])
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let mut changes: Changes =
            changes.iter().map(|&(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        if BUG == FIRST_WINS {
            changes.reverse();
        }
        self.0.lock().unwrap().log::<BUG>(&changes)?;
        if BUG == BATCH_IN_HALVES {
            let second = changes.split_off(changes.len() / 2);
            self.0.lock().unwrap().apply::<BUG>(changes);
            thread::yield_now();
            changes = second;
        }
        self.0.lock().unwrap().apply::<BUG>(changes);
        Ok(())
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let state = self.0.lock().unwrap();
        let mut merged = Run::new();
        for run in state.runs.iter().rev() {
            merged.extend(run.range(from.to_vec()..).map(|(key, it)| (key.clone(), it.clone())));
        }
        if BUG == START_EXCLUDED {
            merged.remove(from);
        }
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> =
            merged.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        if BUG == SHORT_KEYS_FIRST {
            entries.sort_by_key(|(key, _)| key.len());
        }
        entries.truncate(if BUG == LIMIT_IGNORED { limit.max(1) } else { limit });
        for (key, value) in &entries {
            visit(key, value);
        }
        Ok(entries.len())
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
