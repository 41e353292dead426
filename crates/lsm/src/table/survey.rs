//! What can be read of a table whose file is damaged.
//!
//! Every block has a checksum of its own, so that one which checks is what was written, whatever
//! became of the rest of the file. What may be lost is where blocks begin:
//!
//! ```text
//!   index checks            its extents; a block that fails is a hole between known keys
//!   index does not check    its extents are guesses, and the checksums of blocks judge them
//!   no guess fits           the checksum is carried on byte by byte until one fits: a block's end
//! ```
//!
//! Nothing is believed without a checksum, and what lies between two blocks that check is a hole.

use std::collections::BTreeMap;
use std::path::Path;

use env::fs::{File, Fs, OpenMode};

use super::block::Block;
use super::file::{self, Footer};
use super::index::Extent;
use super::{Origin, TableMeta};
use crate::codec::Taker;
use crate::stamp::Stamp;
use crate::{Error, Result};

/// A part of a table that cannot be read, and between which keys it lies, both included; `None`
/// where that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) offset: u64,
    pub(crate) from: Option<Vec<u8>>,
    pub(crate) to: Option<Vec<u8>>,
}

/// What is left of a table.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) number: u64,
    pub(crate) meta: Option<TableMeta>,
    pub(crate) origin: Option<Origin>,
    pub(crate) holes: Vec<Hole>,
    file: Box<dyn File>,
    blocks: Vec<Extent>,
}

/// An entry of a table.
pub(crate) type Entry = (Vec<u8>, Stamp, Vec<u8>);

/// Reads the whole file of a table. Fails only where the disk does, or where the table is of a
/// newer version.
pub(crate) fn survey(fs: &dyn Fs, folder: &Path, number: u64) -> Result<Survey> {
    let file = fs.open(&file::path(folder, number), OpenMode::READ)?;
    let size = file.size()?;
    let footer = unless_damaged(Footer::read(&*file, number, size))?;
    let mut survey =
        Survey { number, meta: None, origin: None, holes: Vec::new(), file, blocks: Vec::new() };
    let (mut hints, mut is_certain, mut end) = (BTreeMap::new(), false, None);
    if let Some(footer) = footer {
        end = Some(footer.filter.offset);
        if let Some(properties) = survey.part(footer.properties)?
            && let Some((mut meta, origin)) = TableMeta::decode_properties(&properties)
        {
            meta.size = size;
            (survey.meta, survey.origin) = (Some(meta), origin);
        }
        hints = match survey.part(footer.index)? {
            Some(index) => {
                is_certain = true;
                guesses(&index)
            }
            None => guesses(&survey.raw(footer.index)?),
        };
    }
    let mut walk = Walk { survey, hints, is_certain, end, size, bytes: None };
    walk.all()?;
    Ok(walk.survey)
}

fn unless_damaged<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(Error::Corrupt { .. }) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Blocks by their offsets, each with its length and first key.
type Hints = BTreeMap<u64, (u32, Vec<u8>)>;

/// What an index says, as far as its bytes make sense.
fn guesses(index: &[u8]) -> Hints {
    let mut from = Taker(index);
    let mut next = move || {
        let (key, offset, len) = (from.bytes()?.to_vec(), from.u64()?, from.u32()?);
        Some((offset, (len, key)))
    };
    std::iter::from_fn(&mut next).collect()
}

impl Survey {
    /// Whether all of it can be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.holes.is_empty() && self.meta.is_some()
    }

    /// What can be read of it.
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries { survey: self, next: 0, block: None, entry: 0 }
    }

    fn raw(&self, at: Extent) -> Result<Vec<u8>> {
        let mut bytes = vec![0; at.len as usize];
        self.file.read_exact_at(&mut bytes, at.offset)?;
        Ok(bytes)
    }

    /// A part that checks, which must lie in the file.
    fn part(&self, at: Extent) -> Result<Option<Vec<u8>>> {
        unless_damaged(file::read(&*self.file, self.number, at, "part"))
    }

    fn block(&self, at: Extent) -> Result<Option<Block>> {
        Ok(self.part(at)?.and_then(|bytes| Block::parse(bytes).ok()))
    }
}

fn key_of(block: &Block, entry: usize) -> Vec<u8> {
    [block.prefix(), block.suffix(entry)].concat()
}

/// The way through a file, from its first block on.
struct Walk {
    survey: Survey,
    hints: Hints,
    /// Whether the hints are certain.
    is_certain: bool,
    /// Where the blocks end; without a footer it is not known.
    end: Option<u64>,
    size: u64,
    /// The whole file, once it was needed.
    bytes: Option<Vec<u8>>,
}

/// What stands at a place.
enum Found {
    Block(Extent, Block),
    /// A part of another kind: behind the last block.
    Other,
    Nothing,
}

impl Walk {
    fn all(&mut self) -> Result<()> {
        let (mut at, end) = (0, self.end.unwrap_or(self.size));
        let mut end_was_seen = self.end.is_some();
        let mut last_key = self.survey.meta.as_ref().map(|it| it.smallest.clone());
        let mut hole: Option<Hole> = None;
        while at < end {
            match self.look(at)? {
                Found::Block(extent, block) => {
                    if let Some(hole) = hole.take() {
                        let to = Some(key_of(&block, 0));
                        self.survey.holes.push(Hole { to, ..hole });
                    }
                    last_key = Some(key_of(&block, block.count() - 1));
                    self.survey.blocks.push(extent);
                    at = extent.offset + u64::from(extent.len);
                }
                Found::Other => {
                    end_was_seen = true;
                    break;
                }
                Found::Nothing => {
                    let here = self.hints.get(&at).filter(|_| self.is_certain);
                    let from = here.map(|it| it.1.clone()).or_else(|| last_key.clone());
                    hole.get_or_insert(Hole { offset: at, from, to: None });
                    at = self.hints.range(at + 1..).next().map_or(end, |it| *it.0);
                }
            }
        }
        if !end_was_seen && hole.is_none() {
            hole = Some(Hole { offset: at, from: last_key, to: None });
        }
        if let Some(hole) = hole {
            let to = self.survey.meta.as_ref().map(|it| it.largest.clone());
            self.survey.holes.push(Hole { to, ..hole });
        }
        Ok(())
    }

    fn look(&mut self, at: u64) -> Result<Found> {
        if let Some(&(len, _)) = self.hints.get(&at)
            && at.checked_add(u64::from(len)).is_some_and(|end| end <= self.size)
        {
            let extent = Extent { offset: at, len };
            if let Some(block) = self.survey.block(extent)? {
                return Ok(Found::Block(extent, block));
            }
        }
        if self.is_certain { Ok(Found::Nothing) } else { self.scan(at) }
    }

    /// Looks for the end of a part that begins here.
    fn scan(&mut self, at: u64) -> Result<Found> {
        if self.bytes.is_none() {
            let len = u32::try_from(self.size).unwrap_or(u32::MAX);
            self.bytes = Some(self.survey.raw(Extent { offset: 0, len })?);
        }
        let bytes = self.bytes.as_deref().unwrap_or_default();
        let Some(rest) = usize::try_from(at).ok().and_then(|at| bytes.get(at..)) else {
            return Ok(Found::Nothing);
        };
        let ends = file::sealed_ends(self.survey.number, at, rest);
        for len in ends {
            let part = file::unseal(self.survey.number, at, rest[..len].to_vec())?;
            let Some(part) = part else { continue };
            let len = u32::try_from(len).expect("no more bytes were read");
            return Ok(match Block::parse(part) {
                Ok(block) => Found::Block(Extent { offset: at, len }, block),
                Err(_) => Found::Other,
            });
        }
        Ok(Found::Nothing)
    }
}

/// The entries of the blocks that can be read, in their order.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    survey: &'a Survey,
    next: usize,
    block: Option<Block>,
    entry: usize,
}

impl Entries<'_> {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(block) = self.block.as_ref().filter(|it| self.entry < it.count()) {
                let at = self.entry;
                self.entry += 1;
                let value = block.value(at).to_vec();
                return Ok(Some((key_of(block, at), block.stamp(at), value)));
            }
            let Some(extent) = self.survey.blocks.get(self.next) else { return Ok(None) };
            self.block = self.survey.block(*extent)?;
            (self.next, self.entry) = (self.next + 1, 0);
        }
    }
}
