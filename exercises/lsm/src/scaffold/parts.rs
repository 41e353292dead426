//! A file of parts, each with a checksum behind it.
//!
//! ```text
//!   | part | part | ... | last part | footer: where the last part is |
//! ```
//!
//! It is written once, from the beginning to the end, and never changes.

use std::path::Path;

use env::fs::{File, Fs, OpenMode};

use super::{Decode, Encode, Error, Result, checksum, folder};

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u64,
    /// Its length, without the checksum.
    pub length: u32,
}

/// Bytes of a checksum.
const SUM: u64 = 4;
/// Bytes of the footer, with its checksum.
const FOOTER: u64 = 8 + 4 + SUM;

/// Writes such a file.
#[derive(Debug)]
pub struct PartsWriter {
    file: Box<dyn File>,
    end: u64,
}

impl PartsWriter {
    /// Begins a file.
    pub fn new(fs: &dyn Fs, path: &Path) -> Result<Self> {
        Ok(Self { file: fs.open(path, OpenMode::TRUNCATE)?, end: 0 })
    }

    /// Writes a part; where it is.
    pub fn add(&mut self, bytes: &[u8]) -> Result<Part> {
        let length = u32::try_from(bytes.len()).expect("a part is shorter than 4 GiB");
        let part = Part { offset: self.end, length };
        self.file.write_all_at(bytes, self.end)?;
        self.end += u64::from(length);
        self.file.write_all_at(&checksum(bytes).to_le_bytes(), self.end)?;
        self.end += SUM;
        Ok(part)
    }

    /// Writes the last part, which is to say where the others are. The file is durable, with its
    /// name, when this returns.
    pub fn finish(mut self, fs: &dyn Fs, last: &[u8]) -> Result<()> {
        let last = self.add(last)?;
        let mut footer = Vec::new();
        footer.put_part(last);
        self.add(&footer)?;
        self.file.sync_data()?;
        Ok(fs.sync_dir(folder(self.file.path()))?)
    }
}

/// Reads such a file.
#[derive(Debug)]
pub struct Parts {
    file: Box<dyn File>,
    size: u64,
}

impl Parts {
    /// Opens a file, and reads its last part and no other.
    pub fn open(fs: &dyn Fs, path: &Path) -> Result<(Self, Vec<u8>)> {
        let file = fs.open(path, OpenMode::READ)?;
        let size = file.size()?;
        let parts = Self { file, size };
        let offset = size.checked_sub(FOOTER).ok_or_else(|| parts.damaged("its footer"))?;
        let footer = parts.read(Part { offset, length: 8 + 4 })?;
        let last = (&mut &footer[..]).take_part().ok_or_else(|| parts.damaged("its footer"))?;
        let last = parts.read(last)?;
        Ok((parts, last))
    }

    /// Reads a part from the disk, and compares its checksum.
    pub fn read(&self, part: Part) -> Result<Vec<u8>> {
        if part.offset.saturating_add(u64::from(part.length) + SUM) > self.size {
            return Err(self.damaged("where a part should be"));
        }
        let mut bytes = vec![0; part.length as usize + 4];
        self.file.read_exact_at(&mut bytes, part.offset)?;
        let (body, mut sum) = bytes.split_at(part.length as usize);
        if sum.take_u32() != Some(checksum(body)) {
            return Err(self.damaged("a part"));
        }
        bytes.truncate(part.length as usize);
        Ok(bytes)
    }

    /// The size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The error for bytes that make no sense.
    pub fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { path: self.file.path().to_owned(), what }
    }
}
