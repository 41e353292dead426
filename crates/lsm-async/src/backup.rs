//! Backups in an object store: incremental, and whole or not there.
//!
//! ```text
//!   <prefix>/files/<store>/<name>-<size>          tables, files with values, manifests
//!   <prefix>/backups/<time>-<chance>.json         what belongs together: a backup
//!   <prefix>/taking/, <prefix>/pruning/           notes of what is going on
//! ```
//!
//! A backup is a checkpoint (by links, at the cost of a flush) whose files are uploaded from there,
//! while the store goes on. Tables never change, and a name says of which store they are, so that a
//! file which an earlier backup has is not uploaded again. The index object comes last, and object
//! stores put an object as a whole: cut off before it, an upload leaves files that the next one
//! finds, and all earlier backups as they were. Two backups at once upload some files twice, with
//! the same bytes.
//!
//! To restore reads an index, gets its files, checks each length and checksum, and writes the
//! manifest last: before it the folder is no store.

mod files;
mod index;
mod prune;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use env::clock::{SystemWallClock, WallClock};
use env::fs::OsFs;
use env::random::{OsRandom, Random};
use futures_core::Stream;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutOptions, PutPayload};

use self::files::{Scratch, Sums};
use self::index::{Index, Item};
pub use self::prune::Pruned;
use self::prune::Task;
use crate::AsyncDb;
use crate::db::blocking;

/// Files of this size and more are uploaded in parts of it.
const PART: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The object store refused, or could not be reached.
    #[error("the object store failed: {0}")]
    Objects(#[from] object_store::Error),

    /// The store, or the file system, refused.
    #[error("{0}")]
    Store(#[from] lsm::Error),

    /// There is no such backup.
    #[error("there is no backup {0}; `Backups::list` names those that there are")]
    Missing(String),

    /// An object is not what was uploaded.
    #[error("the object {object} is damaged ({what}); restore an older backup")]
    Damaged {
        /// Its name.
        object: String,
        /// What is wrong with it.
        what: &'static str,
    },

    /// A backup is being taken while old ones were to be removed.
    #[error(
        "a backup is being taken ({0}); prune later, or delete this object if its process is gone"
    )]
    Busy(String),

    /// There is a store already where one was to be restored.
    #[error("{0} holds a store; restore into an empty directory")]
    Occupied(PathBuf),
}

impl From<env::fs::FsError> for BackupError {
    fn from(cause: env::fs::FsError) -> Self {
        Self::Store(cause.into())
    }
}

type Result<T> = std::result::Result<T, BackupError>;

/// A backup that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Its name, by which it can be restored. Later ones have larger names.
    pub name: String,
    /// When it was taken, as the time since 1970 (UTC).
    pub taken: Duration,
    /// How many files it consists of.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// What a backup took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The backup.
    pub backup: Backup,
    /// Files that were uploaded.
    pub uploaded: usize,
    /// Their size in bytes.
    pub uploaded_bytes: u64,
}

/// The backups under a prefix of an object store, of one store or of several.
#[derive(Clone, Debug)]
pub struct Backups {
    objects: Arc<dyn ObjectStore>,
    prefix: Key,
}

impl Backups {
    /// The backups under a prefix; it may be empty.
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { objects, prefix: Key::from(prefix) }
    }

    /// Backs a store up as it is now. Readers and writers go on meanwhile.
    ///
    /// Where it is cut off, a note stays that keeps [`Backups::prune`] away for a week.
    pub async fn take(&self, db: &AsyncDb) -> Result<Taken> {
        let note = self.announce(Task::Taking).await?;
        let outcome = self.take_announced(db).await;
        let removed = self.objects.delete(&note).await;
        let taken = outcome?;
        removed?;
        Ok(taken)
    }

    async fn take_announced(&self, db: &AsyncDb) -> Result<Taken> {
        let is_pruning = self.running(Task::Pruning).await?.is_some();
        let folder = db.folder().join("uploading");
        let scratch = blocking(move || Scratch::new(&folder)).await?;
        let path = scratch.path().to_owned();
        let store = db.call(move |db| db.checkpoint(path)).await?.store;
        let path = scratch.path().to_owned();
        let files = blocking(move || files::of_copy(&path)).await?;
        let (there, known) = (self.objects_of(store).await?, self.known_sums().await?);
        let name = new_name();
        let (mut items, mut uploaded, mut uploaded_bytes) = (Vec::new(), 0, 0);
        for file in files {
            // A manifest is written anew for each checkpoint, and says something else each time.
            // And what is there already may be about to be removed.
            let is_own = file.is_manifest || is_pruning;
            let own = if is_own { format!("-{name}") } else { String::new() };
            let object = self.file_key(store, &format!("{}-{}{own}", file.label, file.size));
            let is_there = there.get(&object).is_some_and(|it| *it == file.size);
            let sum = match known.get(object.as_ref()) {
                Some(sum) if is_there => *sum,
                _ if is_there => {
                    let path = file.path.clone();
                    blocking(move || files::sum(&path)).await?
                }
                _ => {
                    (uploaded, uploaded_bytes) = (uploaded + 1, uploaded_bytes + file.size);
                    self.upload(&file.path, file.size, &object).await?
                }
            };
            let object = object.to_string();
            items.push(Item { file: file.name, object, size: file.size, crc32c: sum });
        }
        let index = Index::new(store, items);
        let backup = index.backup(&name);
        self.put(&self.index_key(&name), index.encode()).await?;
        blocking(move || scratch.remove()).await?;
        Ok(Taken { backup, uploaded, uploaded_bytes })
    }

    /// The backups that there are, the oldest first.
    pub async fn list(&self) -> Result<Vec<Backup>> {
        let mut all = Vec::new();
        for name in self.names().await? {
            all.push(self.index(&name).await?.backup(&name));
        }
        Ok(all)
    }

    /// Makes of a backup a store in `folder`, which must be empty or left over from a restoring
    /// that was cut off. Open it like any other.
    pub async fn restore(&self, name: &str, folder: impl AsRef<Path>) -> Result<()> {
        let index = self.index(name).await?;
        let folder = folder.as_ref().to_owned();
        let target = folder.clone();
        if !blocking(move || files::prepare(&OsFs, &target)).await? {
            return Err(BackupError::Occupied(folder));
        }
        // The manifest last: without it there is no store.
        let (manifest, others): (Vec<_>, Vec<_>) =
            index.items.into_iter().partition(|it| it.file.starts_with("manifest"));
        for item in others.iter().chain(&manifest) {
            self.download(item, &folder).await?;
        }
        Ok(())
    }

    async fn download(&self, item: &Item, folder: &Path) -> Result<()> {
        let damaged = |what| BackupError::Damaged { object: item.object.clone(), what };
        let path = item.path_in(folder).ok_or_else(|| damaged("name of a file"))?;
        let options = object_store::GetOptions::default();
        let object = Key::from(item.object.as_str());
        let mut pieces = self.objects.get_opts(&object, options).await?.into_stream();
        let folder = folder.to_owned();
        let mut file = blocking(move || files::Incoming::new(&folder, path)).await?;
        while let Some(piece) = next(&mut pieces).await {
            let piece = piece?;
            file = blocking(move || file.append(&piece)).await?;
        }
        if file.size() != item.size {
            return Err(damaged("length"));
        }
        if file.sum() != item.crc32c {
            return Err(damaged("checksum"));
        }
        Ok(blocking(move || file.finish()).await?)
    }

    /// Uploads a file; the checksum of what was uploaded is returned.
    async fn upload(&self, path: &Path, size: u64, object: &Key) -> Result<u32> {
        let (path, mut offset, mut sum) = (path.to_owned(), 0, 0);
        if size < PART as u64 {
            let piece = blocking(move || files::piece(&path, 0, size)).await?;
            sum = crc32c::crc32c(&piece);
            self.put(object, piece).await?;
            return Ok(sum);
        }
        let mut upload = self
            .objects
            .put_multipart_opts(object, object_store::PutMultipartOptions::default())
            .await?;
        while offset < size {
            let (path, len) = (path.clone(), (size - offset).min(PART as u64));
            let piece = match blocking(move || files::piece(&path, offset, len)).await {
                Ok(piece) => piece,
                Err(cause) => {
                    upload.abort().await.ok();
                    return Err(cause.into());
                }
            };
            (offset, sum) = (offset + piece.len() as u64, crc32c::crc32c_append(sum, &piece));
            if let Err(cause) = upload.put_part(PutPayload::from(piece)).await {
                upload.abort().await.ok();
                return Err(cause.into());
            }
        }
        upload.complete().await?;
        Ok(sum)
    }

    async fn put(&self, object: &Key, bytes: Vec<u8>) -> Result<()> {
        let payload = PutPayload::from(bytes);
        self.objects.put_opts(object, payload, PutOptions::default()).await?;
        Ok(())
    }

    fn file_key(&self, store: u64, name: &str) -> Key {
        self.prefix.clone().join("files").join(format!("{store:016x}")).join(name)
    }

    fn index_key(&self, name: &str) -> Key {
        self.prefix.clone().join("backups").join(format!("{name}.json"))
    }

    /// The files that there are of a store, and their sizes.
    async fn objects_of(&self, store: u64) -> Result<BTreeMap<Key, u64>> {
        let folder = self.prefix.clone().join("files").join(format!("{store:016x}"));
        let mut list = self.objects.list(Some(&folder));
        let mut there = BTreeMap::new();
        while let Some(object) = next(&mut list).await {
            let object = object?;
            there.insert(object.location, object.size);
        }
        Ok(there)
    }

    /// The checksums that the newest backup has of its objects, so that no file is read for them.
    async fn known_sums(&self) -> Result<Sums> {
        let Some(newest) = self.names().await?.pop() else { return Ok(Sums::new()) };
        let items = self.index(&newest).await?.items;
        Ok(items.into_iter().map(|it| (it.object, it.crc32c)).collect())
    }

    async fn names(&self) -> Result<Vec<String>> {
        let mut list = self.objects.list(Some(&self.prefix.clone().join("backups")));
        let mut names = Vec::new();
        while let Some(object) = next(&mut list).await {
            let location = object?.location;
            names.extend(
                location.filename().and_then(|it| it.strip_suffix(".json")).map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    async fn index(&self, name: &str) -> Result<Index> {
        let key = self.index_key(name);
        let found = match self.objects.get_opts(&key, object_store::GetOptions::default()).await {
            Err(object_store::Error::NotFound { .. }) => {
                return Err(BackupError::Missing(name.to_owned()));
            }
            found => found?,
        };
        let damaged = |what| BackupError::Damaged { object: key.to_string(), what };
        Index::decode(&found.bytes().await?).map_err(damaged)
    }
}

/// A name that sorts by time and that nobody else has.
fn new_name() -> String {
    format!("{:016}-{:08x}", unix_time().as_millis(), OsRandom.next_u64() >> 32)
}

fn unix_time() -> Duration {
    SystemWallClock.unix_time()
}

pub(crate) async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}
