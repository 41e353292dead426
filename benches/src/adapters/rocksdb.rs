//! `RocksDB`, by its usual binding. `Os`: one `write` a put, its default. `Sync`: fdatasync, shared
//! by the writers that wait.

use std::fmt;
use std::path::Path;

use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};

/// The store.
pub struct Store {
    database: DB,
    write: WriteOptions,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl OrderedStore for Store {
    const NAME: &'static str = "rocksdb";

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let memtable = usize::try_from(spec.memory_budget / 5)?;
        let cache = Cache::new_lru_cache(usize::try_from(spec.memory_budget)? - memtable);
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&cache);
        table.set_block_size(4 << 10);
        table.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(memtable);
        options.set_max_background_jobs(2);
        options.set_compression_type(if spec.compressed {
            DBCompressionType::Lz4
        } else {
            DBCompressionType::None
        });
        let mut write = WriteOptions::default();
        write.set_sync(spec.durability == Durability::Sync);
        Ok(Self { database: DB::open(&options, directory)?, write })
    }

    #[inline]
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Ok(self.database.put_opt(key, value, &self.write)?)
    }

    #[inline]
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.database.get_pinned(key)?.map(|it| it.to_vec()))
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        Ok(self.database.delete_opt(key, &self.write)?)
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        Ok(self.database.write_opt(batch, &self.write)?)
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let mut iter = self.database.raw_iterator();
        iter.seek(from);
        let mut count = 0;
        while count < limit {
            let Some((key, value)) = iter.item() else { break };
            visit(key, value);
            iter.next();
            count += 1;
        }
        iter.status()?;
        Ok(count)
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        Ok(self.database.wait_for_compact(&WaitForCompactOptions::default())?)
    }
}
