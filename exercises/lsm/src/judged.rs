//! Your store, in the shape in which the suite and the duel take every store.

use std::path::Path;
use std::sync::Arc;

use env::fs::OsFs;
use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};

use crate::exercise::Store;
use crate::scaffold::Options;

/// The store of the exercise as one that is judged and compared.
#[derive(Debug)]
pub struct Judged(Store);

impl OrderedStore for Judged {
    const NAME: &'static str = "yours";

    /// A fifth of the memory is the memtable's, as it is with the others.
    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let memtable_bytes = usize::try_from(spec.memory_budget / 5)?;
        let options = Options { sync: spec.durability == Durability::Sync, memtable_bytes };
        Ok(Self(Store::open(Arc::new(OsFs), directory, options)?))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.write(&[(key, Some(value))])?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?)
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.write(&[(key, None)])?)
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        Ok(self.0.write(changes)?)
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let entries = self.0.scan(from, limit)?;
        for (key, value) in &entries {
            visit(key, value);
        }
        Ok(entries.len())
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(self.0.settle()?)
    }
}
