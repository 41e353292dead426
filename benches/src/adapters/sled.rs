//! `sled`: a Bw-tree in Rust. Both ways it promises less than is asked for.
//!
//! `Os`: writes wait in a buffer of the process for up to half a second, its default, and a kill
//! takes them. `Sync`: its own flush writes and calls `sync_file_range`, which empties no cache of
//! the device, so that this adapter adds an fdatasync of its file; new names are never synced.

use std::path::Path;

use env::fs::{File, Fs, OpenMode, OsFs};
use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};
use sled::{Batch, Config, Db};

use super::entries::visited;

/// The store.
#[derive(Debug)]
pub struct Store {
    database: Db,
    /// The file with everything, where each write is synced.
    synced: Option<Box<dyn File>>,
}

impl Store {
    fn persist(&self) -> Result<(), StoreError> {
        if let Some(file) = &self.synced {
            self.database.flush()?;
            file.sync_data()?;
        }
        Ok(())
    }
}

impl OrderedStore for Store {
    const NAME: &'static str = "sled";

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        // It has no memtable: all memory is for its cache.
        let config = Config::new().path(directory).cache_capacity(spec.memory_budget);
        let database = config.open()?;
        let synced = match spec.durability {
            Durability::Os => None,
            Durability::Sync => Some(OsFs.open(&directory.join("db"), OpenMode::WRITE)?),
        };
        Ok(Self { database, synced })
    }

    #[inline]
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.database.insert(key, value)?;
        self.persist()
    }

    #[inline]
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.database.get(key)?.map(|it| it.to_vec()))
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        self.database.remove(key)?;
        self.persist()
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(*key, *value),
                None => batch.remove(*key),
            }
        }
        self.database.apply_batch(batch)?;
        self.persist()
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        visited(self.database.range(from..).take(limit), visit)
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        Ok(())
    }
}
