//! What can be composed of the calls of [`Fs`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Fs, FsError, FsErrorKind, OpenMode, Result};

/// How many bytes are asked for beyond the size that a file claims to have.
const CHUNK: usize = 4096;

/// Whole files and whole trees, for every [`Fs`].
pub trait FsExt: Fs {
    /// All bytes of a file, also of one whose size the system does not know beforehand (`/proc`).
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let file = self.open(path, OpenMode::READ)?;
        let invalid = |_| FsError::new("read", path, FsErrorKind::InvalidInput, None);
        let expected = usize::try_from(file.size()?).map_err(invalid)?;
        let mut bytes = Vec::with_capacity(expected + CHUNK);
        loop {
            let filled = bytes.len();
            bytes.resize(filled + CHUNK.max(expected.saturating_sub(filled)), 0);
            let read = file.read_at(&mut bytes[filled..], filled as u64)?;
            bytes.truncate(filled + read);
            if read == 0 {
                return Ok(bytes);
            }
        }
    }

    /// All of a file, which must be UTF-8, or the error is [`FsErrorKind::InvalidInput`].
    fn read_to_string(&self, path: &Path) -> Result<String> {
        let invalid = |_| FsError::new("read as text", path, FsErrorKind::InvalidInput, None);
        String::from_utf8(self.read(path)?).map_err(invalid)
    }

    /// Replaces what a file holds, durably and as a whole: whoever reads it later, crash or not,
    /// finds the old bytes or the new ones, and the new ones once this has returned.
    ///
    /// The bytes take the detour over a file whose name has `.tmp` appended, which a crash may
    /// leave behind and the next call overwrites. Two callers must not use one path at once.
    ///
    /// ```text
    ///   write path.tmp -> sync it -> rename to path -> sync the directory
    ///                  ^           ^                 ^
    ///     without it,  |           |                 | not durable without this one
    ///     new name, old or no bytes|                   (old or new, but which?)
    /// ```
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = with_suffix(path, ".tmp");
        let file = self.open(&temporary, OpenMode::TRUNCATE)?;
        file.write_all_at(bytes, 0)?;
        file.sync_data()?;
        drop(file);
        self.rename(&temporary, path)?;
        self.sync_dir(parent(path))
    }

    /// Removes a directory and all that it holds. Not atomic: an error leaves a part of it.
    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        for entry in self.list(path)? {
            let child = path.join(&entry.name);
            if entry.is_dir {
                self.remove_dir_all(&child)?;
            } else {
                self.remove_file(&child)?;
            }
        }
        self.remove_dir(path)
    }
}

impl<F: Fs + ?Sized> FsExt for F {}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory of a file. A bare name lies in the current one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
