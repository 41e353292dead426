//! `fjall`: an LSM store in Rust. `Os`: one `write` a put, its default. `Sync`: one fdatasync each.

use std::fmt;
use std::path::Path;

use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy};
use fjall::{CompressionType, Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};
use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};

use super::entries::visited;

/// The store.
pub struct Store {
    database: Database,
    keyspace: Keyspace,
    durability: Durability,
}

impl Store {
    fn persist(&self) -> Result<(), StoreError> {
        match self.durability {
            Durability::Os => Ok(()),
            Durability::Sync => Ok(self.database.persist(PersistMode::SyncData)?),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl OrderedStore for Store {
    const NAME: &'static str = "fjall";

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let memtable = spec.memory_budget / 5;
        let codec = if spec.compressed { CompressionType::Lz4 } else { CompressionType::None };
        // No one's log is compressed.
        let database = Database::builder(directory)
            .cache_size(spec.memory_budget - memtable)
            .journal_compression(CompressionType::None)
            .worker_threads(2)
            .open()?;
        // The cached blocks, the size of blocks and ten bits of filter a key: as for the others.
        let options = KeyspaceCreateOptions::default()
            .max_memtable_size(memtable)
            .data_block_size_policy(BlockSizePolicy::all(4 << 10))
            .data_block_compression_policy(CompressionPolicy::all(codec))
            .filter_policy(FilterPolicy::all(fjall::config::FilterPolicyEntry::Bloom(
                fjall::config::BloomConstructionPolicy::BitsPerKey(10.0),
            )));
        let keyspace = database.keyspace("bench", || options)?;
        Ok(Self { database, keyspace, durability: spec.durability })
    }

    #[inline]
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.keyspace.insert(key, value)?;
        self.persist()
    }

    #[inline]
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.keyspace.get(key)?.map(|it| it.to_vec()))
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        self.keyspace.remove(key)?;
        self.persist()
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, *key, *value),
                None => batch.remove(&self.keyspace, *key),
            }
        }
        batch.commit()?;
        self.persist()
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let entries = self.keyspace.range(from..).take(limit);
        visited(entries.map(Guard::into_inner), visit)
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(self.keyspace.rotate_memtable_and_wait()?)
    }
}
