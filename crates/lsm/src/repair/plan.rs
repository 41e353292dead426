//! The plan of a repair: which files go where. Once it is there, all that is left are renames.
//!
//! A rename is done where its target is there already, so that a plan can be carried out again from
//! the beginning. Phases are made durable one after the other. The new manifest comes first: beside
//! an older one, or without its tables, it makes the store refuse to open until all is in place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt};

use super::Repaired;
use crate::codec::{Put, Taker};
use crate::{Error, Result};

/// Old and new name of a file, both relative to the store.
pub(super) type Move = (PathBuf, PathBuf);

/// What is left to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) report: Repaired,
    /// The folder for what was damaged, relative to the store.
    pub(super) lost: PathBuf,
    pub(super) phases: Vec<Vec<Move>>,
}

/// Where a repair works.
pub(super) fn folder_of(store: &Path) -> PathBuf {
    store.join("repair")
}

fn path_of(store: &Path) -> PathBuf {
    folder_of(store).join("plan")
}

impl Plan {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.report.encode(&mut bytes);
        let mut put = |path: &Path| bytes.put_bytes(path.to_string_lossy().as_bytes());
        put(&self.lost);
        for (from, to) in self.phases.iter().flatten() {
            put(from);
            put(to);
        }
        for phase in &self.phases {
            bytes.put_u64(phase.len() as u64);
        }
        bytes.put_u64(self.phases.len() as u64);
        let sum = crc32c::crc32c(&bytes);
        bytes.put_u32(sum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rest, sum) = bytes.split_last_chunk()?;
        if crc32c::crc32c(rest) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (rest, count) = rest.split_last_chunk()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (rest, counts) = rest.split_at_checked(rest.len().checked_sub(count * 8)?)?;
        let mut from = Taker(rest);
        let report = Repaired::decode(&mut from)?;
        let lost = take_path(&mut from)?;
        let phase = |count: &[u8; 8]| {
            let count = u64::from_le_bytes(*count);
            (0..count).map(|_| Some((take_path(&mut from)?, take_path(&mut from)?))).collect()
        };
        let phases = counts.as_chunks().0.iter().map(phase).collect::<Option<_>>()?;
        Some(Self { report, lost, phases })
    }
}

fn take_path(from: &mut Taker<'_>) -> Option<PathBuf> {
    Some(String::from_utf8(from.bytes()?.to_vec()).ok()?.into())
}

/// The plan of a repair that was interrupted, if there is one. Without a plan the folder holds
/// nothing of use, and is removed.
pub(super) fn read(fs: &dyn Fs, store: &Path) -> Result<Option<Plan>> {
    let path = path_of(store);
    if fs.exists(&path)? {
        let damaged = || Error::Corrupt { path: path.clone(), offset: 0, what: "plan" };
        return Plan::decode(&fs.read(&path)?).map(Some).ok_or_else(damaged);
    }
    if fs.exists(&folder_of(store))? {
        fs.remove_dir_all(&folder_of(store))?;
        fs.sync_dir(store)?;
    }
    Ok(None)
}

/// Makes the plan durable: from here on there is no way back.
pub(super) fn commit(fs: &dyn Fs, store: &Path, plan: &Plan) -> Result<()> {
    fs.sync_dir(store)?;
    Ok(fs.write_atomic(&path_of(store), &plan.encode())?)
}

/// Does what is left of a plan.
pub(super) fn carry_out(fs: &dyn Fs, store: &Path, plan: Plan) -> Result<Repaired> {
    let lost = store.join(&plan.lost);
    create_dir(fs, store, &lost)?;
    for phase in &plan.phases {
        let mut folders = BTreeSet::new();
        for (from, to) in phase {
            let (from, to) = (store.join(from), store.join(to));
            let target = to.parent().unwrap_or(store).to_owned();
            create_dir(fs, store, &target)?;
            if !fs.exists(&to)? && fs.exists(&from)? {
                fs.rename(&from, &to)?;
            }
            folders.insert(target);
            folders.extend(from.parent().map(Path::to_owned));
        }
        for folder in folders {
            if fs.exists(&folder)? {
                fs.sync_dir(&folder)?;
            }
        }
    }
    let report = Repaired { folder: Some(lost.clone()), ..plan.report };
    fs.write_atomic(&lost.join("report.txt"), report.to_string().as_bytes())?;
    fs.remove_file(&path_of(store))?;
    fs.sync_dir(&folder_of(store))?;
    fs.remove_dir_all(&folder_of(store))?;
    fs.sync_dir(store)?;
    Ok(report)
}

/// Makes a directory in the store, and those above it, with durable names.
pub(super) fn create_dir(fs: &dyn Fs, store: &Path, folder: &Path) -> Result<()> {
    if !fs.exists(folder)? {
        fs.create_dir_all(folder)?;
    }
    for above in folder.ancestors().skip(1).take_while(|it| it.starts_with(store)) {
        fs.sync_dir(above)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let step = |from: &str, to: &str| (from.into(), to.into());
        let phases = vec![
            vec![step("a", "b/c"), step("d", "e")],
            Vec::new(),
            vec![step("repair/x", "tables/x")],
        ];
        let plan = Plan { report: Repaired::default(), lost: "lost/3".into(), phases };
        let bytes = plan.encode();
        assert_eq!(Plan::decode(&bytes), Some(plan));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(Plan::decode(&flipped), None);
            assert_eq!(Plan::decode(&bytes[..at]), None);
        }
    }
}
