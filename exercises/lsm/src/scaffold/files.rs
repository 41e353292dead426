//! The folder of a store: which files there are, and which of them count.

use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt};
use harness::sync::Arc;

use super::{Decode, Encode, Error, Result, checksum, folder};

/// The files of a store. Each has a number, and no number is used twice.
#[derive(Debug)]
pub struct Files {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    next: u64,
    /// What counts. [`Files::commit`] makes it so.
    pub manifest: Manifest,
}

impl Files {
    /// Opens a folder, which is made where it is missing.
    pub fn open(fs: Arc<dyn Fs>, path: &Path) -> Result<Self> {
        fs.create_dir_all(path)?;
        fs.sync_dir(folder(path))?;
        let manifest = Manifest::read(&*fs, path)?;
        let mut files = Self { fs, folder: path.to_owned(), next: 0, manifest };
        files.next = files.list()?.iter().map(|it| it.1 + 1).max().unwrap_or(0);
        Ok(files)
    }

    /// Where they lie.
    pub fn fs(&self) -> &dyn Fs {
        &*self.fs
    }

    /// The number and the path of a new log.
    pub fn new_log(&mut self) -> (u64, PathBuf) {
        (self.new_number(), self.path(self.next - 1, "log"))
    }

    /// The number and the path of a new table.
    pub fn new_table(&mut self) -> (u64, PathBuf) {
        (self.new_number(), self.path(self.next - 1, "table"))
    }

    /// The path of a table.
    pub fn table(&self, number: u64) -> PathBuf {
        self.path(number, "table")
    }

    /// The logs that the manifest asks for, from the oldest to the newest.
    pub fn logs(&self) -> Result<Vec<PathBuf>> {
        let counts = |it: &(&str, u64)| it.0 == "log" && it.1 >= self.manifest.log;
        let logs = self.list()?.into_iter().filter(counts);
        Ok(logs.map(|(_, number)| self.path(number, "log")).collect())
    }

    /// Makes the manifest count, durably, in the place of the one before: after a crash it is the
    /// old one or this one, and once this has returned it is this one.
    pub fn commit(&self) -> Result<()> {
        Ok(self.fs.write_atomic(&self.folder.join(MANIFEST), &self.manifest.encode())?)
    }

    /// Removes the logs and tables that the manifest does not ask for. Whoever has one open may go
    /// on reading it.
    pub fn remove_others(&self) -> Result<()> {
        for (kind, number) in self.list()? {
            let is_needed = match kind {
                "log" => number >= self.manifest.log,
                _ => self.manifest.levels.iter().flatten().any(|it| *it == number),
            };
            if !is_needed {
                self.fs.remove_file(&self.path(number, kind))?;
            }
        }
        Ok(())
    }

    fn new_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn path(&self, number: u64, kind: &str) -> PathBuf {
        self.folder.join(format!("{number:08}.{kind}"))
    }

    /// All logs and tables, by their numbers.
    fn list(&self) -> Result<Vec<(&'static str, u64)>> {
        let of_name = |name: &str| {
            let (number, kind) = name.split_once('.')?;
            let kind = ["log", "table"].into_iter().find(|it| *it == kind)?;
            Some((kind, number.parse().ok()?))
        };
        let entries = self.fs.list(&self.folder)?;
        Ok(entries.iter().filter_map(|entry| of_name(entry.name.to_str()?)).collect())
    }
}

/// What is known about the files of a store: which tables are on which level, and from where on
/// the logs hold what no table does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The largest number that was given to a batch whose changes are in tables.
    pub last: u64,
    /// The first log that holds changes which are in no table.
    pub log: u64,
    /// The numbers of the tables of each level, of level 0 the newest first.
    pub levels: Vec<Vec<u64>>,
}

impl Manifest {
    /// The manifest of a folder; an empty one where there is none.
    fn read(fs: &dyn Fs, folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        if !fs.exists(&path)? {
            return Ok(Self::default());
        }
        let bytes = fs.read(&path)?;
        Self::decode(&bytes).ok_or(Error::Damaged { path, what: "the manifest" })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u64(self.last);
        bytes.put_u64(self.log);
        for level in &self.levels {
            let tables = level.iter().flat_map(|number| number.to_le_bytes());
            bytes.put_bytes(&tables.collect::<Vec<_>>());
        }
        bytes.put_u32(checksum(&bytes));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut body, mut sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if sum.take_u32()? != checksum(body) {
            return None;
        }
        let mut manifest = Self { last: body.take_u64()?, log: body.take_u64()?, levels: vec![] };
        while !body.is_empty() {
            let mut tables = body.take_bytes()?;
            let numbers = std::iter::from_fn(|| tables.take_u64());
            manifest.levels.push(numbers.collect());
        }
        Some(manifest)
    }
}

const MANIFEST: &str = "MANIFEST";
