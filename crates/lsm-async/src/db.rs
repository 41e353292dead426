//! The handle: at once where nobody has to wait, else on a thread that may.

use std::ops::RangeBounds;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsm::{Batch, Db, Error, Family, Options, Result};
use tokio::runtime::Handle;
use tokio::task::{consume_budget, spawn_blocking};

use crate::Entries;

/// An open store. Copies are handles of the same store, and cheap.
#[derive(Clone, Debug)]
pub struct AsyncDb {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Always there, but for the moment of its end.
    db: Option<Arc<Db>>,
    folder: PathBuf,
}

impl Drop for Shared {
    /// A store that goes waits for its threads, which may be in a merge. A runtime should not.
    fn drop(&mut self) {
        if let (Some(db), Ok(runtime)) = (self.db.take(), Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(db)));
        }
    }
}

/// Runs what may wait on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::Stopped("the runtime is shutting down".to_owned())),
        },
    }
}

impl AsyncDb {
    /// Opens the store in a directory; see [`Db::open`].
    pub async fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        let path = folder.clone();
        let db = blocking(move || Db::open(path, options)).await?;
        Ok(Self { shared: Arc::new(Shared { db: Some(Arc::new(db)), folder }) })
    }

    /// The store itself, for what does not wait: snapshots, statistics, the names of families.
    pub fn db(&self) -> &Arc<Db> {
        self.shared.db.as_ref().expect("it is taken out only when the last handle goes")
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Does anything with the store on a thread that may wait: transactions, families, copies.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let db = Arc::clone(self.db());
        blocking(move || work(&db)).await
    }

    /// A copy of the value of a key.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_in(self.db().default_family(), key).await
    }

    /// [`AsyncDb::get`] in a family.
    pub async fn get_in(&self, family: &Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match family.get_in_memory(key) {
            Err(Error::WouldWait) => {
                let (family, key) = (family.clone(), key.to_vec());
                blocking(move || family.get(&key)).await
            }
            outcome => {
                // A task that finds all it asks for must let others run now and then.
                consume_budget().await;
                outcome
            }
        }
    }

    /// Sets the value of a key.
    pub async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value)?;
        self.write(batch).await
    }

    /// Removes a key, present or not.
    pub async fn delete(&self, key: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(key)?;
        self.write(batch).await
    }

    /// Makes all changes of a batch, or none. Writers of a store that syncs each write share syncs,
    /// as many as the runtime has threads for blocking work.
    pub async fn write(&self, mut batch: Batch) -> Result<()> {
        match self.db().try_write(&mut batch) {
            Err(Error::WouldWait) => self.call(move |db| db.write(&mut batch)).await,
            outcome => {
                consume_budget().await;
                outcome
            }
        }
    }

    /// The entries whose keys are in a range, as of now.
    pub fn range<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Entries {
        self.range_in(self.db().default_family(), range)
    }

    /// [`AsyncDb::range`] in a family.
    pub fn range_in<'k>(&self, family: &Family, range: impl RangeBounds<&'k [u8]>) -> Entries {
        Entries::new(family.range(range))
    }

    /// Makes durable everything that was written before the call.
    pub async fn sync(&self) -> Result<()> {
        self.call(Db::sync).await
    }

    /// Gives this handle up, and where it is the last one waits until the store is closed: then it
    /// can be opened again.
    pub async fn close(self) -> Result<()> {
        let Ok(mut last) = Arc::try_unwrap(self.shared) else { return Ok(()) };
        let db = last.db.take();
        blocking(move || {
            drop(db);
            Ok(())
        })
        .await
    }
}
