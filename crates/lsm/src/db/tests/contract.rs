//! The suite that every ordered store passes.

use std::path::Path;

use harness::contract::{self, OrderedStore, StoreError, StoreSpec};

use crate::{Batch, Codec, Db, Durability, Options};

struct Store(Db);

impl OrderedStore for Store {
    const NAME: &'static str = "lsm";

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let durability = match spec.durability {
            contract::Durability::Os => Durability::Os,
            contract::Durability::Sync => Durability::Sync,
        };
        let budget = usize::try_from(spec.memory_budget)?;
        let codec = if spec.compressed { Codec::Lz4 } else { Codec::None };
        Ok(Self(Db::open(
            directory,
            Options { durability, codec, ..Options::with_budget(budget) },
        )?))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.put(key, value)?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?)
    }

    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.delete(key)?)
    }

    fn write_batch(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value)?,
                None => batch.delete(key)?,
            }
        }
        Ok(self.0.write(&mut batch)?)
    }

    fn scan(
        &self,
        from: &[u8],
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let mut iter = self.0.iter();
        let mut count = 0;
        if limit > 0 {
            iter.seek(from)?;
        }
        while count < limit {
            let Some((key, value)) = iter.entry() else { break };
            visit(key, value);
            count += 1;
            if count < limit {
                iter.forward()?;
            }
        }
        Ok(count)
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(self.0.settle()?)
    }
}

harness::ordered_store_suite!(suite, Store);
