//! Merging what could be read into new tables, entry by entry.
//!
//! Unlike a merge of levels this one trusts no order but that of the entries themselves: of a key
//! the larger number comes first. Where two tables have the same number for a key, the one that
//! was written later knows better: numbers become zero at the bottom.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use env::fs::Fs;

use super::look::is_damage;
use super::{Loss, Lost};
use crate::removal::{Removal, Removals};
use crate::stamp::{Kind, SEQUENCE_MAX, Sequence, Stamp};
use crate::table::{Codec, Entries, Entry, Origin, Survey, TableBuilder, TableMeta, TableOptions};
use crate::values::{self, Pointer, Values};
use crate::{Options, Result};

/// Sorted entries.
pub(super) struct Source<'a> {
    number: u64,
    is_adopted: bool,
    base: Sequence,
    entries: Kinds<'a>,
}

enum Kinds<'a> {
    Table(Entries<'a>),
    Memory(std::vec::IntoIter<Entry>),
}

impl<'a> Source<'a> {
    pub(super) fn table(survey: &'a Survey) -> Self {
        let entries = Kinds::Table(survey.entries());
        Self { number: survey.number, is_adopted: false, base: 0, entries }
    }

    pub(super) fn memory(sorted: Vec<Entry>) -> Self {
        let entries = Kinds::Memory(sorted.into_iter());
        Self { number: u64::MAX, is_adopted: false, base: 0, entries }
    }

    /// Whether the manifest that knew the removals did not know this table.
    pub(super) fn adopted(self, is_adopted: bool) -> Self {
        Self { is_adopted, ..self }
    }

    /// The same entries with numbers so much larger.
    pub(super) fn later(self, base: Sequence) -> Self {
        Self { base, ..self }
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        match &mut self.entries {
            Kinds::Table(entries) => entries.next(),
            Kinds::Memory(entries) => Ok(entries.next()),
        }
    }
}

/// The next entry of a source; heads compare in the order of a merge.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    newest: Reverse<Sequence>,
    number: Reverse<u64>,
    source: usize,
    stamp: Stamp,
    value: Vec<u8>,
}

/// The next entries of all sources.
struct Heads<'a> {
    sources: Vec<Source<'a>>,
    heap: BinaryHeap<Reverse<Head>>,
}

impl<'a> Heads<'a> {
    fn new(sources: Vec<Source<'a>>) -> Result<Self> {
        let count = sources.len();
        let mut heads = Self { sources, heap: BinaryHeap::new() };
        (0..count).try_for_each(|it| heads.refill(it))?;
        Ok(heads)
    }

    fn refill(&mut self, source: usize) -> Result<()> {
        let from = &mut self.sources[source];
        if let Some((key, stamp, value)) = from.next()? {
            let stamp = stamp.later(from.base);
            let (newest, number) = (Reverse(stamp.sequence()), Reverse(from.number));
            self.heap.push(Reverse(Head { key, newest, number, source, stamp, value }));
        }
        Ok(())
    }

    /// The next entry of all, and whether the manifest did not know its table.
    fn next(&mut self) -> Result<Option<(Entry, bool)>> {
        let Some(Reverse(head)) = self.heap.pop() else { return Ok(None) };
        self.refill(head.source)?;
        let is_adopted = self.sources[head.source].is_adopted;
        Ok(Some(((head.key, head.stamp, head.value), is_adopted)))
    }
}

/// Writes tables into a folder.
pub(super) struct RunWriter<'a> {
    fs: &'a dyn Fs,
    folder: PathBuf,
    options: &'a Options,
    values: &'a Values,
    next: u64,
    numbers: Vec<u64>,
    entries: u64,
    newest: Sequence,
    lost: Vec<Lost>,
}

impl<'a> RunWriter<'a> {
    pub(super) fn new(
        fs: &'a dyn Fs,
        folder: PathBuf,
        options: &'a Options,
        values: &'a Values,
        next: u64,
    ) -> Self {
        let (numbers, lost) = (Vec::new(), Vec::new());
        Self { fs, folder, options, values, next, numbers, entries: 0, newest: 0, lost }
    }

    /// Writes what is left of sources as tables of about this size. A number is for one table.
    pub(super) fn write(
        &mut self,
        sources: Vec<Source<'_>>,
        removals: &[Removal],
        origin: &Origin,
        size: u64,
        number: Option<u64>,
    ) -> Result<Vec<TableMeta>> {
        let removals = Removals::new(removals.to_vec());
        let mut heads = Heads::new(sources)?;
        let mut last: Option<(Vec<u8>, Sequence)> = None;
        let (mut current, mut metas): (Option<TableBuilder>, _) = (None, Vec::new());
        while let Some(((key, stamp, value), is_adopted)) = heads.next()? {
            let sequence = stamp.sequence();
            let is_same = |it: &(Vec<u8>, Sequence)| it.0 == key && it.1 == sequence;
            if last.as_ref().is_some_and(is_same) {
                continue;
            }
            last = Some((key.clone(), sequence));
            // Numbers become zero only where no removal is known any more.
            let is_exempt = is_adopted && sequence == 0;
            let is_removed = removals.newest(&key, SEQUENCE_MAX) > sequence && !is_exempt;
            let is_lost = stamp.is(Kind::Pointer) && !self.can_read(&value, &key, origin)?;
            if is_removed || is_lost {
                continue;
            }
            let is_full = |it: &TableBuilder| it.bytes() >= size && it.can_end_before(&key);
            if let Some(full) = current.take_if(|it| is_full(it)) {
                metas.push(full.finish()?);
            }
            let builder = match &mut current {
                Some(builder) => builder,
                None => current.insert(self.begin(origin, number)?),
            };
            builder.add(&key, stamp, &value)?;
            (self.entries, self.newest) = (self.entries + 1, self.newest.max(sequence));
        }
        if let Some(rest) = current {
            metas.push(rest.finish()?);
        }
        self.fs.sync_dir(&self.folder)?;
        Ok(metas)
    }

    fn begin(&mut self, origin: &Origin, number: Option<u64>) -> Result<TableBuilder> {
        let number = number.unwrap_or(self.next);
        self.next = self.next.max(number + 1);
        self.numbers.push(number);
        let options = TableOptions {
            block_size: self.options.block_size,
            bits_per_key: self.options.bits_per_key,
            codec: if origin.level < 2 { Codec::None } else { self.options.codec },
            table_size: self.options.table_size,
            prefix_len: 0,
            direct: false,
            born: 0,
        };
        TableBuilder::new(self.fs, &self.folder, number, options, origin.clone())
    }

    /// Whether the value that an entry points to can be read; if not, it is noted as lost.
    fn can_read(&mut self, pointer: &[u8], key: &[u8], origin: &Origin) -> Result<bool> {
        match self.values.read(pointer) {
            Ok(_) => return Ok(true),
            Err(cause) if is_damage(&cause) => {}
            Err(cause) => return Err(cause),
        }
        let number = Pointer::decode(pointer).map_or(0, |it| it.file);
        let file = values::path(Path::new("values"), number);
        let family = Some(origin.name.clone());
        let (from, to) = (Some(key.to_vec()), Some(key.to_vec()));
        self.lost.push(Lost { file, family, from, to, what: Loss::Values(1) });
        Ok(false)
    }

    pub(super) fn last_number(&self) -> u64 {
        self.next - 1
    }

    /// The numbers of the tables that were written.
    pub(super) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn newest(&self) -> Sequence {
        self.newest
    }

    /// The entries that were left out because their values cannot be read.
    pub(super) fn into_lost(self) -> Vec<Lost> {
        self.lost
    }
}
