//! Ours. `Os`: records are stored into the mapped log. `Sync`: one fdatasync for all who wait.

use std::path::Path;

use harness::contract::{Durability, OrderedStore, StoreError, StoreSpec};
use lsm::{Batch, Codec, Db, Options};

/// What the store is called where large values lie apart.
pub const APART_NAME: &str = "lsm-apart";
/// Values of this size and more lie apart from their keys, where they do.
const THRESHOLD: usize = 1 << 10;

/// The store, with large values beside their keys or apart from them.
#[derive(Debug)]
pub struct Store<const APART: bool = false>(Db);

impl<const APART: bool> OrderedStore for Store<APART> {
    const NAME: &'static str = if APART { APART_NAME } else { "lsm" };

    fn open(directory: &Path, spec: &StoreSpec) -> Result<Self, StoreError> {
        let durability = match spec.durability {
            Durability::Os => lsm::Durability::Os,
            Durability::Sync => lsm::Durability::Sync,
        };
        let codec = if spec.compressed { Codec::Lz4 } else { Codec::None };
        // Else a small store, all of it in the first two levels, would not be compressed at all.
        let codec_lowest = spec.compressed.then_some(codec);
        let options = Options::with_budget(usize::try_from(spec.memory_budget)?);
        let value_threshold = APART.then_some(THRESHOLD);
        let options = Options { durability, codec, codec_lowest, value_threshold, ..options };
        Ok(Self(Db::open(directory, options)?))
    }

    #[inline]
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.put(key, value)?)
    }

    #[inline]
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
        iter.seek(from)?;
        for count in 0..limit {
            let Some((key, value)) = iter.entry() else { return Ok(count) };
            visit(key, value);
            iter.forward()?;
        }
        Ok(limit)
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(self.0.settle()?)
    }
}
