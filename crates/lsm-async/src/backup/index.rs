//! The index of a backup: JSON, so that it can be read without this crate.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Backup, unix_time};

/// The version that this crate writes.
const FORMAT: u32 = 1;

/// What belongs together.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    format: u32,
    /// The number of the store.
    pub(super) store: u64,
    taken_ms: u64,
    pub(super) items: Vec<Item>,
}

/// A file of a store, and the object that holds it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// Its name in the store.
    pub(super) file: String,
    pub(super) object: String,
    pub(super) size: u64,
    pub(super) crc32c: u32,
}

impl Item {
    /// Its path in a folder; `None` where the name would lead out of that.
    pub(super) fn path_in(&self, folder: &Path) -> Option<PathBuf> {
        let name = Path::new(&self.file);
        let is_inside = name.components().all(|it| matches!(it, Component::Normal(_)));
        (is_inside && !self.file.is_empty()).then(|| folder.join(name))
    }
}

impl Index {
    pub(super) fn new(store: u64, items: Vec<Item>) -> Self {
        let taken_ms = u64::try_from(unix_time().as_millis()).unwrap_or(u64::MAX);
        Self { format: FORMAT, store, taken_ms, items }
    }

    pub(super) fn backup(&self, name: &str) -> Backup {
        Backup {
            name: name.to_owned(),
            taken: Duration::from_millis(self.taken_ms),
            files: self.items.len(),
            bytes: self.items.iter().map(|it| it.size).sum(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("numbers and text become JSON")
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let index: Self = serde_json::from_slice(bytes).map_err(|_| "index of a backup")?;
        if index.format == FORMAT { Ok(index) } else { Err("newer format of an index") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written_and_leads_nowhere_else() {
        let item =
            |file: &str| Item { file: file.to_owned(), object: "o".to_owned(), size: 7, crc32c: 9 };
        let index = Index::new(3, vec![item("tables/1"), item("../x"), item("/etc/x"), item("")]);
        let read = Index::decode(&index.encode()).expect("it was just written");
        assert_eq!(read, index);
        let inside = |it: &Item| it.path_in(Path::new("/db")).is_some();
        assert_eq!(read.items.iter().map(inside).collect::<Vec<_>>(), [true, false, false, false]);
        assert!(Index::decode(b"{}").is_err());
        let newer = Index { format: 2, ..index };
        assert_eq!(Index::decode(&newer.encode()), Err("newer format of an index"));
    }
}
