//! Where a table belongs, in its own words.
//!
//! The manifest says it too, and while there is a manifest nobody asks the tables. Where it is lost
//! they are all there is: which family a table is of, how much of the log was in tables when it was
//! written, and which tables it was made from. The last tells a merge that was finished, and whose
//! sources a crash left behind, from one that was not; see `repair/choose.rs`.

use wal::Position;

use crate::batch::FamilyId;
use crate::codec::{Put, Taker};
use crate::stamp::Sequence;

/// The tag of an origin in a table's properties.
const TAG: u8 = 1;

/// Where a table belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) family: FamilyId,
    /// The name of the family.
    pub(crate) name: String,
    /// The level that it was written for.
    pub(crate) level: usize,
    /// The family's changes before this place of the log are in this table and its elders.
    pub(crate) flushed: Position,
    /// The numbers of the tables from which it was made.
    pub(crate) replaces: Vec<u64>,
    /// Of a table that was ingested, when that was.
    pub(crate) load: Option<Load>,
}

/// Which load a table was ingested with, and when about: exactly only the manifest knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// The number of the load's first table.
    pub(crate) first: u64,
    /// The number of the last write that was finished when this table was.
    pub(crate) after: Sequence,
}

impl Origin {
    /// The origin of what is written to level 0 when so much of the log is in tables.
    pub(crate) fn of_flush(family: FamilyId, name: &str, flushed: Position) -> Self {
        let (name, replaces) = (name.to_owned(), Vec::new());
        Self { family, name, level: 0, flushed, replaces, load: None }
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u8(TAG);
        bytes.put_u32(self.family);
        bytes.put_bytes(self.name.as_bytes());
        bytes.put_u8(u8::try_from(self.level).expect("there are few levels"));
        bytes.put_u64(self.flushed.segment);
        bytes.put_u32(self.flushed.offset);
        bytes.put_u32(u32::try_from(self.replaces.len()).expect("a merge takes few tables"));
        self.replaces.iter().for_each(|it| bytes.put_u64(*it));
        bytes.put_u8(u8::from(self.load.is_some()));
        if let Some(load) = self.load {
            bytes.put_u64(load.first);
            bytes.put_u64(load.after);
        }
    }

    pub(crate) fn decode(from: &mut Taker<'_>) -> Option<Self> {
        if from.u8()? != TAG {
            return None;
        }
        let family = from.u32()?;
        let name = String::from_utf8(from.bytes()?.to_vec()).ok()?;
        let level = usize::from(from.u8()?);
        let flushed = Position { segment: from.u64()?, offset: from.u32()? };
        let replaces = (0..from.u32()?).map(|_| from.u64()).collect::<Option<_>>()?;
        let load = match from.u8()? {
            0 => None,
            _ => Some(Load { first: from.u64()?, after: from.u64()? }),
        };
        Some(Self { family, name, level, flushed, replaces, load })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_it_was_written() {
        let flushed = Position { segment: 3, offset: 77 };
        let name = "users".to_owned();
        for load in [None, Some(Load { first: 3, after: 1_000 })] {
            let (name, replaces) = (name.clone(), vec![4, 9]);
            let origin = Origin { family: 7, name, level: 2, flushed, replaces, load };
            let mut bytes = Vec::new();
            origin.encode(&mut bytes);
            assert_eq!(Origin::decode(&mut Taker(&bytes)), Some(origin));
            let cut = |len: usize| Origin::decode(&mut Taker(&bytes[..len]));
            assert!((0..bytes.len()).all(|len| cut(len).is_none()));
        }
    }
}
