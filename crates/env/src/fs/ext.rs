//! What can be composed of the calls of [`Fs`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{File, Fs, FsError, FsErrorKind, OpenMode, Result};
use crate::pages::PageBytes;

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

    /// The same of a file that is large and soon done with: its memory goes back to the system,
    /// while an allocator would keep that of a vector. Of a file that grows meanwhile it is what
    /// there was.
    fn read_apart(&self, path: &Path) -> Result<PageBytes> {
        let file = self.open(path, OpenMode::READ)?;
        let invalid = |_| FsError::new("read", path, FsErrorKind::InvalidInput, None);
        let mut bytes = PageBytes::zeroed(usize::try_from(file.size()?).map_err(invalid)?);
        let mut filled = 0;
        while filled < bytes.len() {
            let read = file.read_at(&mut bytes[filled..], filled as u64)?;
            if read == 0 {
                bytes.truncate(filled);
            }
            filled += read;
        }
        Ok(bytes)
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
        let mut draft = self.draft(path)?;
        draft.append(bytes)?;
        draft.publish()
    }

    /// Begins what [`FsExt::write_atomic`] does, for bytes that are not all there yet.
    fn draft(&self, path: &Path) -> Result<Draft<'_, Self>> {
        let temporary = with_suffix(path, ".tmp");
        let file = self.open(&temporary, OpenMode::TRUNCATE)?;
        Ok(Draft { fs: self, path: path.to_owned(), temporary, file, len: 0, is_published: false })
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

/// A file in the making: it takes the place of what has its name once it is published, and leaves
/// nothing where it is dropped before.
#[derive(Debug)]
pub struct Draft<'a, F: Fs + ?Sized> {
    fs: &'a F,
    path: PathBuf,
    temporary: PathBuf,
    file: Box<dyn File>,
    len: u64,
    is_published: bool,
}

impl<F: Fs + ?Sized> Draft<'_, F> {
    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Makes the bytes durable and gives them their name, durably.
    pub fn publish(mut self) -> Result<()> {
        self.file.sync_data()?;
        self.fs.rename(&self.temporary, &self.path)?;
        self.is_published = true;
        self.fs.sync_dir(parent(&self.path))
    }
}

impl<F: Fs + ?Sized> Drop for Draft<'_, F> {
    fn drop(&mut self) {
        if !self.is_published {
            // Where it stays all the same, the next one of this name begins by emptying it.
            self.fs.remove_file(&self.temporary).ok();
        }
    }
}

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
