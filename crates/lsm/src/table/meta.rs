//! What is known of a table without opening it.

use super::Origin;
use crate::codec::{Put, Taker};
use crate::stamp::Sequence;

/// What the manifest, and the table itself, say of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableMeta {
    pub(crate) number: u64,
    /// Length of the file.
    pub(crate) size: u64,
    pub(crate) entries: u64,
    /// Entries that a merge at the bottom might do without: tombstones, operands, older versions.
    pub(crate) garbage: u64,
    /// The largest sequence number in it.
    pub(crate) newest: Sequence,
    pub(crate) smallest: Vec<u8>,
    pub(crate) largest: Vec<u8>,
    /// The files with values that it points into, and for how many bytes.
    pub(crate) values: Vec<(u64, u64)>,
    pub(crate) special: Special,
}

/// What is only true of some tables, and known of them by the manifest alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Special {
    /// Is added to the sequence numbers of its entries: an ingested table was written before it
    /// was known when its changes would be made.
    pub(crate) base: Sequence,
    /// The filter also holds what keys of this length and more begin with; 0 where it does not.
    pub(crate) prefix_len: u32,
    /// When it was written, in seconds since 1970; 0 where that does not matter.
    pub(crate) born: u64,
}

impl Special {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.base);
        bytes.put_u32(self.prefix_len);
        bytes.put_u64(self.born);
    }

    pub(crate) fn decode(from: &mut Taker<'_>) -> Option<Self> {
        Some(Self { base: from.u64()?, prefix_len: from.u32()?, born: from.u64()? })
    }
}

impl TableMeta {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for word in [self.number, self.size, self.entries, self.garbage, self.newest] {
            bytes.put_u64(word);
        }
        bytes.put_bytes(&self.smallest);
        bytes.put_bytes(&self.largest);
    }

    pub(crate) fn decode(from: &mut Taker<'_>) -> Option<Self> {
        Some(Self {
            number: from.u64()?,
            size: from.u64()?,
            entries: from.u64()?,
            garbage: from.u64()?,
            newest: from.u64()?,
            smallest: from.bytes()?.to_vec(),
            largest: from.bytes()?.to_vec(),
            values: Vec::new(),
            special: Special::default(),
        })
    }

    /// What [`TableMeta::encode`] leaves out, for tables that point to values.
    pub(crate) fn encode_values(&self, bytes: &mut Vec<u8>) {
        bytes.put_u32(u32::try_from(self.values.len()).expect("a table points into few files"));
        for (file, len) in &self.values {
            bytes.put_u64(*file);
            bytes.put_u64(*len);
        }
    }

    pub(crate) fn decode_values(mut self, from: &mut Taker<'_>) -> Option<Self> {
        for _ in 0..from.u32()? {
            self.values.push((from.u64()?, from.u64()?));
        }
        Some(self)
    }

    /// What the properties of a table say: those of tables from before [`Origin`]s end earlier.
    pub(crate) fn decode_properties(bytes: &[u8]) -> Option<(Self, Option<Origin>)> {
        let mut from = Taker(bytes);
        let mut meta = Self::decode(&mut from)?;
        if !from.is_empty() {
            meta = meta.decode_values(&mut from)?;
        }
        let origin = if from.is_empty() { None } else { Some(Origin::decode(&mut from)?) };
        Some((meta, origin))
    }

    /// Whether the table may hold keys of a closed range.
    pub(crate) fn overlaps(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *self.smallest <= *largest && *smallest <= *self.largest
    }
}
