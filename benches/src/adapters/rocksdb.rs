//! `RocksDB`, by its usual binding. `Os`: one `write` a put, its default. `Sync`: fdatasync, shared
//! by the writers that wait.
//!
//! Two variants: [`BLOB`] keeps large values apart from their keys, as ours does. [`USER_LOG`]
//! leaves the log in the process until a buffer is full, which saves the `write` and survives
//! *less*: a kill takes what is in the buffer. It shows how much of a ratio that call is.

use std::fmt;
use std::path::Path;

use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};

/// The store as it comes.
pub const PLAIN: u8 = 0;
/// Values of a kilobyte and more are in files of their own.
pub const BLOB: u8 = 1;
/// The log stays in the process; weaker than any durability that is asked for.
pub const USER_LOG: u8 = 2;
/// What the store is called with values apart.
pub const BLOB_NAME: &str = "rocksdb-blob";
/// What it is called with its log in the process.
pub const USER_LOG_NAME: &str = "rocksdb-user-log";
/// Values of this size and more lie apart, where they do: as for ours.
const THRESHOLD: u64 = 1 << 10;

/// The store, as one of its variants.
pub struct Store<const VARIANT: u8 = PLAIN> {
    database: DB,
    write: WriteOptions,
}

impl<const VARIANT: u8> fmt::Debug for Store<VARIANT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl<const VARIANT: u8> OrderedStore for Store<VARIANT> {
    const NAME: &'static str = match VARIANT {
        BLOB => BLOB_NAME,
        USER_LOG => USER_LOG_NAME,
        _ => "rocksdb",
    };

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
        if VARIANT == BLOB {
            options.set_enable_blob_files(true);
            options.set_min_blob_size(THRESHOLD);
            options.set_enable_blob_gc(true);
        }
        options.set_manual_wal_flush(VARIANT == USER_LOG);
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
