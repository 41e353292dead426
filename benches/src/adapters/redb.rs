//! `redb`: a copy-on-write B-tree in Rust.
//!
//! `Sync` is its default. It has no `Os`: its `Durability::None` keeps a commit in memory, where a
//! kill takes it, so its figures on such lines are those of a weaker promise.

use std::path::Path;

use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};
use redb::{Builder, Database, ReadableDatabase, TableDefinition};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

/// The store.
#[derive(Debug)]
pub struct Store {
    database: Database,
    durability: redb::Durability,
}

impl OrderedStore for Store {
    const NAME: &'static str = "redb";

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let cache = usize::try_from(spec.memory_budget)?;
        let file = directory.join("store.redb");
        let database = Builder::new().set_cache_size(cache).create(file)?;
        let durability = match spec.durability {
            Durability::Os => redb::Durability::None,
            Durability::Sync => redb::Durability::Immediate,
        };
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self { database, durability })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.write_batch(&[(key, Some(value))])
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|it| it.value().to_vec()))
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        self.write_batch(&[(key, None)])
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in changes {
                match value {
                    Some(value) => drop(table.insert(*key, *value)?),
                    None => drop(table.remove(*key)?),
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let mut count = 0;
        for entry in table.range::<&[u8]>(from..)?.take(limit) {
            let (key, value) = entry?;
            visit(key.value(), value.value());
            count += 1;
        }
        Ok(count)
    }

    fn settle(&self) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        Ok(transaction.commit()?)
    }
}
