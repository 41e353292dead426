//! Removing old backups, and the files that only they needed.
//!
//! ```text
//!   prune   list files --> say "pruning" --> is anyone taking? --> read all indexes
//!           --> remove the old ones --> remove listed files that no other index names
//!   take    say "taking" --> is anyone pruning? then no file that is there is used again
//! ```
//!
//! An index goes before its files, so that a backup is whole or not there, wherever this ends;
//! files that were left over the next pruning removes. What is dangerous is a backup that is being
//! taken: it counts on files which an old backup brought, and its own files are not named by any
//! index yet. Each side says what it does before it looks for the other, so that at least one of
//! them sees the other, whatever the order (Dekker): the pruning gives up, or the backup uploads
//! all its files under new names, which are not among those that were listed before. This needs
//! listings that show what was put before, which all large object stores have today.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::{Backup, BackupError, Backups, Result, next, unix_time};

/// A backup or a pruning that began so long ago is over: its process ended before it could say so.
const STALE: Duration = Duration::from_hours(7 * 24);

/// What a pruning removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// The backups, the oldest first.
    pub backups: Vec<Backup>,
    /// Files that no other backup needed, and what earlier prunings and backups left behind.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Backups {
    /// Removes all but the newest `keep` backups of each store, and the files that no backup needs.
    ///
    /// Cut off anywhere it can be run again; the backups that stay are whole at every moment. While
    /// a backup is being taken it changes nothing and fails with [`BackupError::Busy`]. A damaged
    /// index stops it: what that backup needs is not known.
    pub async fn prune(&self, keep: NonZeroUsize) -> Result<Pruned> {
        let listed = self.all_below("files").await?;
        let note = self.announce(Task::Pruning).await?;
        let outcome = self.prune_listed(keep, listed).await;
        let removed = self.objects.delete(&note).await;
        let pruned = outcome?;
        removed?;
        Ok(pruned)
    }

    async fn prune_listed(&self, keep: NonZeroUsize, listed: Vec<ObjectMeta>) -> Result<Pruned> {
        if let Some(object) = self.running(Task::Taking).await? {
            return Err(BackupError::Busy(object.to_string()));
        }
        let (mut newest, mut needed) = (BTreeMap::<u64, usize>::new(), BTreeSet::new());
        let mut pruned = Pruned::default();
        for name in self.names().await?.into_iter().rev() {
            let index = self.index(&name).await?;
            let count = newest.entry(index.store).or_default();
            *count += 1;
            if *count > keep.get() {
                pruned.backups.push(index.backup(&name));
            } else {
                needed.extend(index.items.into_iter().map(|it| it.object));
            }
        }
        pruned.backups.reverse();
        for backup in &pruned.backups {
            self.objects.delete(&self.index_key(&backup.name)).await?;
        }
        for file in listed.into_iter().filter(|it| !needed.contains(it.location.as_ref())) {
            self.objects.delete(&file.location).await?;
            (pruned.files, pruned.bytes) = (pruned.files + 1, pruned.bytes + file.size);
        }
        Ok(pruned)
    }

    /// Says that something has begun; the note is to be removed at its end.
    pub(super) async fn announce(&self, task: Task) -> Result<Key> {
        let note = self.prefix.clone().join(task.folder()).join(super::new_name());
        self.put(&note, Vec::new()).await?;
        Ok(note)
    }

    /// A note that says that something is going on, if there is one.
    pub(super) async fn running(&self, task: Task) -> Result<Option<Key>> {
        let now = unix_time();
        let is_running = |note: &ObjectMeta| {
            let begun = u64::try_from(note.last_modified.timestamp()).unwrap_or(0);
            Duration::from_secs(begun) + STALE > now
        };
        let notes = self.all_below(task.folder()).await?;
        Ok(notes.into_iter().find(is_running).map(|it| it.location))
    }

    /// All objects in a folder.
    async fn all_below(&self, folder: &str) -> Result<Vec<ObjectMeta>> {
        let mut list = self.objects.list(Some(&self.prefix.clone().join(folder)));
        let mut all = Vec::new();
        while let Some(object) = next(&mut list).await {
            all.push(object?);
        }
        Ok(all)
    }
}

/// What must not happen at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    Taking,
    Pruning,
}

impl Task {
    fn folder(self) -> &'static str {
        match self {
            Self::Taking => "taking",
            Self::Pruning => "pruning",
        }
    }
}
