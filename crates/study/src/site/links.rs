//! Where a link of a document leads in the site.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};

use crate::citation::line_of;
use crate::error::Error;

/// The documents there are, and what they lead to beside each other.
pub(super) struct Links<'r> {
    root: &'r Path,
    documents: BTreeSet<PathBuf>,
    /// Files of code, each of which becomes a page.
    code: RefCell<BTreeSet<PathBuf>>,
    /// Files that are copied as they are.
    files: RefCell<BTreeSet<PathBuf>>,
}

/// What stands for a folder.
const FACES: [&str; 4] = ["README.md", "src/lib.rs", "src/main.rs", "Cargo.toml"];

impl<'r> Links<'r> {
    pub(super) fn new(root: &'r Path, documents: &[PathBuf]) -> Self {
        let documents = documents.iter().cloned().collect();
        Self { root, documents, code: RefCell::default(), files: RefCell::default() }
    }

    /// The target of a link in the document `from`, as its page has it.
    pub(super) fn resolved(&self, from: &Path, link: &str) -> Result<String, Error> {
        if link.contains("://") || link.starts_with('#') {
            return Ok(link.to_owned());
        }
        let (path, anchor) = match link.split_once('#') {
            Some((path, anchor)) => (path, format!("#{anchor}")),
            None => (link, String::new()),
        };
        let folder = from.parent().unwrap_or(Path::new(""));
        let target = self.target(&normal(&folder.join(path)))?;
        Ok(relative(&target_of(from), &target) + &anchor)
    }

    /// Where a citation, `path` or `path#symbol`, leads; `None` where it names no file.
    pub(super) fn cited(&self, from: &Path, citation: &str) -> Result<Option<String>, Error> {
        let (path, symbol) = citation.split_once('#').unwrap_or((citation, ""));
        let file = self.root.join(path);
        // What commands write there is not of the repository, and links to what is.
        let is_written = path.starts_with("target/");
        let is_named =
            path.contains('/') && !path.contains(|it: char| it.is_whitespace()) && !is_written;
        if !is_named || !OsFs.exists(&file)? || OsFs.list(&file).is_ok() {
            return Ok(None);
        }
        let target = relative(&target_of(from), &self.target(Path::new(path))?);
        let text = OsFs.read_to_string(&file)?;
        let line = line_of(&text, symbol).map(|line| format!("#L{line}"));
        Ok(Some(target + &line.unwrap_or_default()))
    }

    /// The page, or the file, that shows a file or a folder of the repository.
    fn target(&self, path: &Path) -> Result<String, Error> {
        if self.documents.contains(path) {
            return Ok(target_of(path));
        }
        if OsFs.list(&self.root.join(path)).is_ok() {
            for face in FACES {
                if OsFs.exists(&self.root.join(path).join(face))? {
                    return self.target(&path.join(face));
                }
            }
            // A folder of folders, such as that of all exercises.
            let mut inner = OsFs.list(&self.root.join(path))?;
            inner.sort_by(|one, other| one.name.cmp(&other.name));
            let first = inner.into_iter().next().ok_or_else(|| {
                Error::Refused(format!("{} is empty, and a document links to it", path.display()))
            })?;
            return self.target(&path.join(first.name));
        }
        let is_code = path.extension().is_some_and(|it| it == "rs" || it == "toml");
        if is_code {
            self.code.borrow_mut().insert(path.to_owned());
            return Ok(code_target(path));
        }
        self.files.borrow_mut().insert(path.to_owned());
        Ok(path.to_string_lossy().into_owned())
    }

    pub(super) fn take_code(&self) -> BTreeSet<PathBuf> {
        self.code.take()
    }

    pub(super) fn take_files(&self) -> BTreeSet<PathBuf> {
        self.files.take()
    }
}

/// The page of a document.
pub(super) fn target_of(source: &Path) -> String {
    if source == Path::new("README.md") {
        return "index.html".to_owned();
    }
    source.with_extension("html").to_string_lossy().into_owned()
}

/// The page of a file of code.
pub(super) fn code_target(path: &Path) -> String {
    format!("code/{}.html", path.display())
}

/// The way from one page to another.
pub(super) fn relative(from: &str, to: &str) -> String {
    "../".repeat(from.matches('/').count()) + to
}

/// A path without steps to and fro.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}
