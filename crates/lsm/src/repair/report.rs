//! What a repair tells of itself.

use std::fmt;
use std::path::PathBuf;

use crate::Key;
use crate::codec::{Put, Taker};

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Whether there was nothing to do, and nothing was done.
    pub was_healthy: bool,
    /// Tables that stayed as they are.
    pub kept: u64,
    /// Tables that were written anew from what could be read.
    pub written: u64,
    /// Tables among their sources that the manifest did not name.
    pub adopted: u64,
    /// Entries in the tables that were written.
    pub entries: u64,
    /// Changes that came from the log into tables, because the log is damaged.
    pub changes: u64,
    /// What could not be saved.
    pub lost: Vec<Lost>,
    /// Where the damaged files are now.
    pub folder: Option<PathBuf>,
}

/// Something that could not be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The file, as it was called in the store.
    pub file: PathBuf,
    /// The family; `None` where it may be any.
    pub family: Option<String>,
    /// The first key that may be affected; `None` where it may be any from the first on.
    pub from: Option<Vec<u8>>,
    /// The last one; `None` where it may be any up to the last.
    pub to: Option<Vec<u8>>,
    /// What was lost there.
    pub what: Loss,
}

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// All entries of these keys in the file. What is older may be seen again.
    Entries,
    /// The values of so many entries. What is older may be seen again.
    Values(u64),
    /// The changes of the log behind its damage, of which so many could still be read, and an
    /// unknown number could not.
    Changes(u64),
    /// The knowledge which ranges of keys were removed, and which families were dropped: what was
    /// removed that way may be seen again.
    Removals,
}

impl Repaired {
    pub(super) fn healthy(tables: usize) -> Self {
        Self { was_healthy: true, kept: tables as u64, ..Self::default() }
    }

    /// Whether a key of a family may be affected by what was lost.
    pub fn may_have_lost(&self, family: &str, key: &[u8]) -> bool {
        self.lost.iter().any(|it| it.may_hold(family, key))
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        for word in [self.kept, self.written, self.adopted, self.entries, self.changes] {
            bytes.put_u64(word);
        }
        bytes.put_u64(self.lost.len() as u64);
        self.lost.iter().for_each(|it| it.encode(bytes));
    }

    pub(super) fn decode(from: &mut Taker<'_>) -> Option<Self> {
        let [kept, written, adopted, entries, changes] =
            [from.u64()?, from.u64()?, from.u64()?, from.u64()?, from.u64()?];
        let lost = (0..from.u64()?).map(|_| Lost::decode(from)).collect::<Option<_>>()?;
        let (was_healthy, folder) = (false, None);
        Some(Self { was_healthy, kept, written, adopted, entries, changes, lost, folder })
    }
}

impl Lost {
    /// Whether it may be about a key of a family.
    pub fn may_hold(&self, family: &str, key: &[u8]) -> bool {
        self.family.as_deref().is_none_or(|it| it == family)
            && self.from.as_deref().is_none_or(|from| from <= key)
            && self.to.as_deref().is_none_or(|to| key <= to)
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        let mut put = |part: Option<&[u8]>| {
            bytes.put_u8(u8::from(part.is_some()));
            bytes.put_bytes(part.unwrap_or_default());
        };
        put(Some(self.file.to_string_lossy().as_bytes()));
        put(self.family.as_deref().map(str::as_bytes));
        put(self.from.as_deref());
        put(self.to.as_deref());
        let (tag, count) = match self.what {
            Loss::Entries => (0, 0),
            Loss::Values(count) => (1, count),
            Loss::Changes(count) => (2, count),
            Loss::Removals => (3, 0),
        };
        bytes.put_u8(tag);
        bytes.put_u64(count);
    }

    fn decode(from: &mut Taker<'_>) -> Option<Self> {
        let mut take = || {
            let (is_there, part) = (from.u8()? == 1, from.bytes()?.to_vec());
            Some(is_there.then_some(part))
        };
        let parts = [take()?, take()?, take()?, take()?];
        let [file, family, first, last] = parts;
        let text = |it: Vec<u8>| String::from_utf8(it).ok();
        let family = match family {
            Some(name) => Some(text(name)?),
            None => None,
        };
        let what = match (from.u8()?, from.u64()?) {
            (0, _) => Loss::Entries,
            (1, count) => Loss::Values(count),
            (2, count) => Loss::Changes(count),
            (3, _) => Loss::Removals,
            _ => return None,
        };
        Some(Self { file: text(file?)?.into(), family, from: first, to: last, what })
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        match self.what {
            Loss::Entries => f.write_str("entries")?,
            Loss::Values(count) => write!(f, "the values of {count} entries")?,
            Loss::Changes(count) => write!(f, "{count} readable changes behind the damage")?,
            Loss::Removals => f.write_str("which ranges were removed")?,
        }
        match &self.family {
            Some(family) => write!(f, " of family `{family}`")?,
            None => f.write_str(" of any family")?,
        }
        if let Some(from) = &self.from {
            write!(f, ", from key {}", Key(from.clone()))?;
        }
        if let Some(to) = &self.to {
            write!(f, ", up to key {}", Key(to.clone()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.was_healthy {
            return writeln!(f, "healthy     nothing was changed");
        }
        writeln!(f, "kept        {} tables as they are", self.kept)?;
        writeln!(f, "written     {} tables, {} entries", self.written, self.entries)?;
        writeln!(f, "adopted     {} tables that the manifest did not name", self.adopted)?;
        writeln!(f, "from log    {} changes", self.changes)?;
        if let Some(folder) = &self.folder {
            writeln!(f, "moved to    {}", folder.display())?;
        }
        self.lost.iter().try_for_each(|it| writeln!(f, "lost        {it}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_outlives_an_interrupted_repair() {
        let lost = |family: Option<&str>, from: &[u8], what| Lost {
            file: "tables/7".into(),
            family: family.map(str::to_owned),
            from: Some(from.to_vec()),
            to: None,
            what,
        };
        let lost = [
            lost(Some("users"), b"a", Loss::Entries),
            lost(None, b"", Loss::Values(3)),
            lost(None, b"b", Loss::Changes(4)),
            lost(Some(""), b"c", Loss::Removals),
        ];
        let (kept, written, lost) = (1, 2, lost.to_vec());
        let report = Repaired { kept, written, lost, ..Repaired::default() };
        let mut bytes = Vec::new();
        report.encode(&mut bytes);
        assert_eq!(Repaired::decode(&mut Taker(&bytes)), Some(report));
    }
}
