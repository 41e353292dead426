//! The bytes of a backup, which is one state of all keys.
//!
//! ```text
//!   head      "STRATAKB" | version u32 | last command in it u64 | checksum u32
//!   block     length u32 | checksum u32 | entries            as many as are needed
//!   end       0u32 | checksum u32 | number of all entries u64
//!   entries   length u32 | key | length u32 | value ...      in order of their keys
//! ```
//!
//! Numbers are little-endian. The checksum (CRC-32C) of a block or of the end covers how many
//! blocks come before it as well, so that none can be lost, doubled or moved. What has no end is
//! cut short, and what goes on behind it is no backup.
//!
//! Sessions and addresses of servers are of a cluster, not of its data, and are not in it.
//!
//! # What this module does not do
//!
//! It reads and writes no file: [`mod@file`] does, and the server sends and takes blocks.

pub mod file;

use std::iter::Peekable;

use bytes::{Buf, Bytes, BytesMut};
use raft::Index;
use thiserror::Error;

use crate::command::COMMAND_MAX;

const MAGIC: [u8; 8] = *b"STRATAKB";
const VERSION: u32 = 1;

/// Bytes of the head.
const HEAD: usize = 24;
/// Bytes of a block before its entries, and of the end before its number.
const FRONT: usize = 8;

/// Longest key, in bytes.
pub(crate) const KEY_MAX: usize = 4 << 10;

/// Bytes of entries of which no block has more, unless a single entry has.
const FULL: usize = 256 << 10;

/// Most bytes of a block's entries: one entry may be as long as a command is.
pub(crate) const ENTRIES_MAX: usize = COMMAND_MAX;

/// What is wrong with a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the backup cannot be used: {0}")]
pub struct Damaged(&'static str);

/// Entries that travel together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// How many come before it.
    pub number: u64,
    /// Lengths, keys and values.
    pub entries: Bytes,
}

/// What a backup has, seen from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The last command in it, of the cluster that it was taken of.
    pub applied: Index,
    /// Its entries.
    pub entries: u64,
}

fn checksum(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

/// The first bytes of a backup.
pub(crate) fn head(applied: Index) -> Bytes {
    let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &applied.0.to_le_bytes()].concat();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.into()
}

/// The last bytes of a backup, behind so many blocks.
pub(crate) fn end(blocks: u64, entries: u64) -> Bytes {
    let entries = entries.to_le_bytes();
    [&[0; 4][..], &checksum(blocks, &entries).to_le_bytes(), &entries].concat().into()
}

impl Block {
    /// Takes entries while there is room; also says how many. `None` where there is none left.
    pub(crate) fn take<E>(
        number: u64,
        entries: &mut Peekable<impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), E>>>,
    ) -> Result<Option<(Self, u64)>, E> {
        let (mut bytes, mut count) = (Vec::new(), 0);
        let fits = |bytes: &Vec<u8>, next: &Result<(Vec<u8>, Vec<u8>), E>| match next {
            Ok((key, value)) => bytes.len() + key.len() + value.len() + 8 <= FULL,
            Err(_) => true,
        };
        while let Some(entry) = entries.next_if(|next| bytes.is_empty() || fits(&bytes, next)) {
            let (key, value) = entry?;
            for field in [key, value] {
                let len = u32::try_from(field.len()).expect("commands are limited to less");
                bytes.extend_from_slice(&len.to_le_bytes());
                bytes.extend_from_slice(&field);
            }
            count += 1;
        }
        Ok((count > 0).then(|| (Self { number, entries: bytes.into() }, count)))
    }

    /// As it stands in a backup.
    pub(crate) fn encode(&self) -> Bytes {
        let len = u32::try_from(self.entries.len()).expect("a block is limited to less");
        let sum = checksum(self.number, &self.entries);
        [&len.to_le_bytes()[..], &sum.to_le_bytes(), &self.entries].concat().into()
    }

    /// From exactly its bytes, with entries that can be applied.
    pub(crate) fn decode(number: u64, mut bytes: Bytes) -> Result<Self, Damaged> {
        let front =
            |bytes: &mut Bytes| Some((bytes.try_get_u32_le().ok()?, bytes.try_get_u32_le().ok()?));
        let (len, sum) = front(&mut bytes).ok_or(Damaged("a block is cut short"))?;
        if len as usize != bytes.len() {
            return Err(Damaged("a block does not have its length"));
        }
        if checksum(number, &bytes) != sum {
            return Err(Damaged("a block does not have its checksum"));
        }
        let block = Self { number, entries: bytes };
        block.count().map(|_| block)
    }

    /// How many entries it has.
    fn count(&self) -> Result<u64, Damaged> {
        entries(&self.entries).try_fold(0, |count, entry| entry.map(|_| count + 1))
    }
}

/// Keys and values of a block, which may come from anywhere.
pub(crate) fn entries(of: &Bytes) -> impl Iterator<Item = Result<(Bytes, Bytes), Damaged>> {
    let mut left = of.clone();
    std::iter::from_fn(move || (!left.is_empty()).then(|| entry(&mut left)))
}

fn entry(from: &mut Bytes) -> Result<(Bytes, Bytes), Damaged> {
    let damaged = Damaged("a block has an entry that is none");
    let mut field = || {
        let len = from.try_get_u32_le().ok()? as usize;
        let field = (len <= from.len()).then(|| from.split_to(len))?;
        std::str::from_utf8(&field).is_ok().then_some(field)
    };
    let (key, value) = field().zip(field()).ok_or(damaged)?;
    let is_key = !key.is_empty() && key.len() <= KEY_MAX;
    if is_key { Ok((key, value)) } else { Err(damaged) }
}

/// Reads a backup that comes in pieces of any length.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    applied: Option<Index>,
    blocks: u64,
    entries: u64,
    is_ended: bool,
}

impl Reader {
    /// Takes the bytes that come next. Call [`Reader::block`] until it has none before the next
    /// ones: then what is held is less than a block.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next block, once all of it is there.
    pub fn block(&mut self) -> Result<Option<Block>, Damaged> {
        if self.applied.is_none() && !self.read_head()? {
            return Ok(None);
        }
        if self.is_ended {
            let nothing = self.buffer.is_empty().then_some(None);
            return nothing.ok_or(Damaged("there is something behind its end"));
        }
        let Some(len) = self.buffer.first_chunk() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        if len == 0 {
            return self.read_end().map(|()| None);
        }
        if len > ENTRIES_MAX {
            return Err(Damaged("a block is longer than any"));
        }
        if self.buffer.len() < FRONT + len {
            return Ok(None);
        }
        let bytes = self.buffer.split_to(FRONT + len).freeze();
        let block = Block::decode(self.blocks, bytes)?;
        self.blocks += 1;
        self.entries += block.count()?;
        Ok(Some(block))
    }

    /// Whether the head is there and right.
    fn read_head(&mut self) -> Result<bool, Damaged> {
        if self.buffer.len() < HEAD {
            return Ok(false);
        }
        let mut head = self.buffer.split_to(HEAD).freeze();
        let sum = crc32c::crc32c(&head[..HEAD - 4]);
        let (magic, version) = (head.split_to(MAGIC.len()), head.get_u32_le());
        if magic[..] != MAGIC {
            return Err(Damaged("it does not begin as one"));
        }
        if version != VERSION {
            return Err(Damaged("it is of another version, or its head is damaged"));
        }
        self.applied = Some(Index(head.get_u64_le()));
        if head.get_u32_le() == sum { Ok(true) } else { Err(Damaged("its head is damaged")) }
    }

    fn read_end(&mut self) -> Result<(), Damaged> {
        if self.buffer.len() < FRONT + 8 {
            return Ok(());
        }
        self.buffer.advance(4);
        let (sum, count) = (self.buffer.get_u32_le(), self.buffer.split_to(8));
        if checksum(self.blocks, &count) != sum || count.as_ref().get_u64_le() != self.entries {
            return Err(Damaged("its end does not belong to it"));
        }
        self.is_ended = true;
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Damaged("there is something behind its end"))
    }

    /// All bytes have come, and all blocks were taken.
    pub fn finish(&self) -> Result<Summary, Damaged> {
        match self.applied {
            Some(applied) if self.is_ended => Ok(Summary { applied, entries: self.entries }),
            _ => Err(Damaged("it is cut short")),
        }
    }
}

#[cfg(test)]
mod tests;
