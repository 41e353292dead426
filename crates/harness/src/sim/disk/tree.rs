//! The names of a disk: directories as they are, and as a power cut leaves them.
//!
//! Each directory has the names that everybody sees and those that are durable. What leads from
//! these to those is one list of changes for the whole disk, in order. Syncing a directory makes
//! the changes durable that touch it, and those that touch a directory which these touch: a rename
//! is one change of two directories and never half done. A crash keeps none of the changes, all, a
//! prefix, or any subset in which each has what it needs; POSIX promises no order among them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use env::fs::DirEntry;
use env::random::{Random, SeededRandom};

use super::content::Content;
use crate::sim::coverage::Fault;

/// The number of a file or directory; it outlives its names.
pub(super) type Inode = u64;

/// Numbers of the operating system's errors, so that kinds and texts are those of a real disk.
pub(super) mod code {
    pub(crate) const NOT_PERMITTED: i32 = 1;
    pub(crate) const NOT_FOUND: i32 = 2;
    pub(crate) const IO: i32 = 5;
    pub(crate) const BAD_HANDLE: i32 = 9;
    pub(crate) const LOCKED: i32 = 11;
    pub(crate) const ACCESS: i32 = 13;
    pub(crate) const EXISTS: i32 = 17;
    pub(crate) const NOT_A_DIRECTORY: i32 = 20;
    pub(crate) const IS_A_DIRECTORY: i32 = 21;
    pub(crate) const INVALID: i32 = 22;
    pub(crate) const NO_SPACE: i32 = 28;
    pub(crate) const NOT_EMPTY: i32 = 39;
}

/// The directory that has no name.
const ROOT: Inode = 0;

type Result<T> = std::result::Result<T, i32>;
type Names = BTreeMap<OsString, Inode>;
/// Picks the names that everybody sees, or those that are durable.
type View = fn(&mut Node) -> Option<&mut Names>;

#[derive(Debug)]
enum Node {
    File(Content),
    Directory { live: Names, durable: Names },
}

/// A change of names that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Link { at: Place, inode: Inode },
    Unlink { at: Place },
    Rename { from: Place, to: Place },
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    directory: Inode,
    name: OsString,
}

/// All files and directories of a disk.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<Inode, Node>,
    next: Inode,
    pending: Vec<Change>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { nodes: BTreeMap::from([(ROOT, directory())]), next: ROOT + 1, pending: Vec::new() }
    }

    pub(super) fn find(&self, path: &Path) -> Result<Inode> {
        let mut at = ROOT;
        for name in names(path)? {
            at = *self.names(at)?.get(name).ok_or(code::NOT_FOUND)?;
        }
        Ok(at)
    }

    /// Where `path` is, or would be.
    pub(super) fn place(&self, path: &Path) -> Result<Place> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(code::INVALID)?.to_owned();
        let mut directory = ROOT;
        for name in names {
            directory = *self.names(directory)?.get(name).ok_or(code::NOT_FOUND)?;
        }
        self.names(directory)?;
        Ok(Place { directory, name })
    }

    pub(super) fn at(&self, place: &Place) -> Option<Inode> {
        self.names(place.directory).ok()?.get(&place.name).copied()
    }

    pub(super) fn file(&self, inode: Inode) -> Result<&Content> {
        match self.nodes.get(&inode) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Directory { .. }) => Err(code::IS_A_DIRECTORY),
            None => Err(code::NOT_FOUND),
        }
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> Result<&mut Content> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Directory { .. }) => Err(code::IS_A_DIRECTORY),
            None => Err(code::NOT_FOUND),
        }
    }

    pub(super) fn create_file(&mut self, at: Place) -> Inode {
        self.create(at, Node::File(Content::default()))
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> Result<()> {
        let mut prefix = PathBuf::new();
        for name in names(path)? {
            prefix.push(name);
            let place = self.place(&prefix)?;
            match self.at(&place) {
                None => drop(self.create(place, directory())),
                // As the system calls have it: in the midst it is no directory, at the end it is
                // in the way.
                Some(inode) if self.names(inode).is_err() && self.find(path).is_ok() => {
                    return Err(code::EXISTS);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (old, new) = (names(from)?, names(to)?);
        let (from, to) = (self.place(from)?, self.place(to)?);
        let source = self.at(&from).ok_or(code::NOT_FOUND)?;
        if from == to {
            return Ok(());
        }
        // Nothing moves into itself, nor over what it lies in.
        if new.starts_with(&old) {
            return Err(code::INVALID);
        }
        if old.starts_with(&new) {
            return Err(code::NOT_EMPTY);
        }
        if let Some(target) = self.at(&to) {
            // Two names of one file: there is nothing to replace, and both stay.
            if source == target {
                return Ok(());
            }
            match (self.names(source).is_ok(), self.names(target)) {
                (true, Ok(names)) if !names.is_empty() => return Err(code::NOT_EMPTY),
                (true, Err(_)) => return Err(code::NOT_A_DIRECTORY),
                (false, Ok(_)) => return Err(code::IS_A_DIRECTORY),
                _ => {}
            }
        }
        self.change(Change::Rename { from, to });
        Ok(())
    }

    /// One name more for a file.
    pub(super) fn link_file(&mut self, from: &Path, to: &Path) -> Result<()> {
        let inode = self.find(from)?;
        let at = self.place(to)?;
        if self.at(&at).is_some() {
            return Err(code::EXISTS);
        }
        if self.names(inode).is_ok() {
            return Err(code::NOT_PERMITTED);
        }
        self.change(Change::Link { at, inode });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<()> {
        let at = self.place(path)?;
        let inode = self.at(&at).ok_or(code::NOT_FOUND)?;
        self.file(inode)?;
        self.change(Change::Unlink { at });
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> Result<()> {
        let at = self.place(path)?;
        let inode = self.at(&at).ok_or(code::NOT_FOUND)?;
        if !self.names(inode)?.is_empty() {
            return Err(code::NOT_EMPTY);
        }
        self.change(Change::Unlink { at });
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let names = self.names(self.find(path)?)?;
        let entry = |(name, inode): (&OsString, &Inode)| DirEntry {
            name: name.clone(),
            is_dir: self.names(*inode).is_ok(),
        };
        Ok(names.iter().map(entry).collect())
    }

    /// Makes durable what has changed in a directory.
    pub(super) fn sync_dir(&mut self, path: &Path) -> Result<()> {
        let inode = self.find(path)?;
        self.names(inode)?;
        let mut touched = BTreeSet::from([inode]);
        let mut synced = vec![false; self.pending.len()];
        for (change, synced) in self.pending.iter().zip(&mut synced).rev() {
            if change.directories().iter().any(|directory| touched.contains(directory)) {
                touched.extend(change.directories());
                *synced = true;
            }
        }
        let pending = std::mem::take(&mut self.pending);
        for (change, synced) in pending.into_iter().zip(synced) {
            if synced {
                self.apply(&change, durable);
            } else {
                self.pending.push(change);
            }
        }
        Ok(())
    }

    /// The bytes of all files, named or still open.
    pub(super) fn used(&self) -> u64 {
        let len = |node: &Node| match node {
            Node::File(content) => content.live.len() as u64,
            Node::Directory { .. } => 0,
        };
        self.nodes.values().map(len).sum()
    }

    /// All files that have a name, in the order of their paths.
    pub(super) fn files(&self) -> Vec<(PathBuf, Inode)> {
        let mut files = Vec::new();
        self.collect_files(ROOT, &PathBuf::new(), &mut files);
        files
    }

    fn collect_files(&self, directory: Inode, path: &Path, files: &mut Vec<(PathBuf, Inode)>) {
        let Ok(names) = self.names(directory) else { return };
        for (name, &inode) in names {
            match self.nodes[&inode] {
                Node::File(_) => files.push((path.join(name), inode)),
                Node::Directory { .. } => self.collect_files(inode, &path.join(name), files),
            }
        }
    }

    /// The power is gone: names and bytes are what the disk has of them.
    pub(super) fn crash(&mut self, random: &mut SeededRandom, report: &mut impl FnMut(Fault)) {
        let pending = std::mem::take(&mut self.pending);
        let kept = match random.below(4) {
            0 => 0,
            1 => pending.len(),
            _ => usize::try_from(random.below(pending.len() as u64 + 1)).expect("it fits"),
        };
        let scattered = random.below(2) == 0;
        for (position, change) in pending.iter().enumerate() {
            let kept = if scattered { random.below(2) == 0 } else { position < kept };
            if !kept || !self.apply(change, durable) {
                report(Fault::NameLost);
            }
        }
        for node in self.nodes.values_mut() {
            match node {
                Node::File(content) => content.crash(random, report),
                Node::Directory { live, durable } => live.clone_from(durable),
            }
        }
        self.drop_nameless();
    }

    /// After a crash nobody has a file open, so one without a name is gone.
    fn drop_nameless(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(inode) = open.pop() {
            let children = self.names(inode).map(|names| names.values().copied().collect());
            let children: Vec<Inode> = children.unwrap_or_default();
            open.extend(children.into_iter().filter(|&child| reached.insert(child)));
        }
        self.nodes.retain(|inode, _| reached.contains(inode));
    }

    fn create(&mut self, at: Place, node: Node) -> Inode {
        let inode = self.next;
        self.next += 1;
        self.nodes.insert(inode, node);
        self.change(Change::Link { at, inode });
        inode
    }

    fn change(&mut self, change: Change) {
        let applied = self.apply(&change, live);
        assert!(applied, "{change:?} was checked before");
        self.pending.push(change);
    }

    /// Makes a change in one of the two views; says whether what it needs is there.
    fn apply(&mut self, change: &Change, view: View) -> bool {
        match change {
            Change::Link { at, inode } => self.link(at, *inode, view),
            Change::Unlink { at } => self.unlink(at, view).is_some(),
            Change::Rename { from, to } => match self.unlink(from, view) {
                Some(inode) => self.link(to, inode, view),
                None => false,
            },
        }
    }

    fn link(&mut self, at: &Place, inode: Inode, view: View) -> bool {
        let names = self.nodes.get_mut(&at.directory).and_then(view);
        names.map(|names| names.insert(at.name.clone(), inode)).is_some()
    }

    fn unlink(&mut self, at: &Place, view: View) -> Option<Inode> {
        self.nodes.get_mut(&at.directory).and_then(view)?.remove(&at.name)
    }

    fn names(&self, inode: Inode) -> Result<&Names> {
        match self.nodes.get(&inode) {
            Some(Node::Directory { live, .. }) => Ok(live),
            _ => Err(code::NOT_A_DIRECTORY),
        }
    }
}

impl Change {
    fn directories(&self) -> Vec<Inode> {
        match self {
            Self::Link { at, .. } | Self::Unlink { at } => vec![at.directory],
            Self::Rename { from, to } => vec![from.directory, to.directory],
        }
    }
}

fn live(node: &mut Node) -> Option<&mut Names> {
    match node {
        Node::Directory { live, .. } => Some(live),
        Node::File(_) => None,
    }
}

fn durable(node: &mut Node) -> Option<&mut Names> {
    match node {
        Node::Directory { durable, .. } => Some(durable),
        Node::File(_) => None,
    }
}

fn directory() -> Node {
    Node::Directory { live: Names::new(), durable: Names::new() }
}

/// The names of a path. A simulated process has the root for its working directory.
fn names(path: &Path) -> Result<Vec<&OsStr>> {
    let name = |component| match component {
        Component::Normal(name) => Some(Ok(name)),
        Component::RootDir | Component::CurDir => None,
        Component::ParentDir | Component::Prefix(_) => Some(Err(code::INVALID)),
    };
    path.components().filter_map(name).collect()
}
