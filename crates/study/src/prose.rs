//! The documents: what they cite, what they quote, and what a learner was promised of them.
//!
//! A piece of code in a document stands behind a line that says where it is from:
//!
//! ```text
//!   <!-- from crates/lsm/src/db/write.rs#apply -->
//!   ```rust
//!   ... written by `cargo study docs`, compared by `cargo study verify`
//!   ```
//! ```
//!
//! The symbol is the anchor: the item that it declares is quoted whole. Delete or change the item,
//! and the document is stale. The same goes for measured [figures](crate::figures) and for
//! [estimates](crate::estimate).

use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};

use crate::citation;
use crate::error::Error;
use crate::estimate;
use crate::figures;
use crate::questions;

/// Questions that a bank has at least.
const QUESTIONS_MIN: usize = 25;

/// Words that a walkthrough has at most: half an hour, read aloud.
const WORDS_MAX: usize = 30 * 150;

/// What every walkthrough has, in this order.
pub(crate) const PARTS: [&str; 7] = [
    "\n## The question\n",
    "\n## Requirements\n",
    "\n## Estimate\n",
    "\n## Design\n",
    "\n## The code in reading order\n",
    "\n## What breaks at ten times\n",
    "\n## Trade-offs\n",
];

const FROM: &str = "<!-- from ";
const FENCE: &str = "```";

/// Complaints about all documents.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>, Error> {
    let mut complaints = Vec::new();
    for path in documents(&root.join("docs"))? {
        let text = OsFs.read_to_string(&path)?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        complaints.extend(of_document(root, &name, &text));
    }
    for build in builds(root)? {
        let questions = questions::read(root, Some(&build))?;
        if !questions.is_empty() && questions.len() < QUESTIONS_MIN {
            let count = questions.len();
            complaints.push(format!("{build}: {count} questions, of at least {QUESTIONS_MIN}"));
        }
        complaints.extend(questions.iter().flat_map(questions::problems));
    }
    Ok(complaints)
}

/// Complaints about one document.
pub(crate) fn of_document(root: &Path, name: &str, text: &str) -> Vec<String> {
    let cited = citation::of_prose(text).into_iter().chain(citation::paths_of_prose(text));
    let mut complaints: Vec<_> = cited
        .filter_map(|it| citation::problem(root, &it))
        .map(|it| format!("{name}: {it}"))
        .collect();
    match refreshed(root, text) {
        Ok(fresh) if fresh == text => {}
        Ok(_) => complaints
            .push(format!("{name}: stale code or figures; `cargo study docs` renews them")),
        Err(problem) => complaints.push(format!("{name}: {problem}")),
    }
    if name.ends_with("walkthrough.md") {
        complaints.extend(of_walkthrough(text).into_iter().map(|it| format!("{name}: {it}")));
    }
    complaints
}

/// Complaints about what a walkthrough has and how long it is.
pub(crate) fn of_walkthrough(text: &str) -> Vec<String> {
    let places = PARTS.map(|part| text.find(part));
    let mut complaints = Vec::new();
    for (part, place) in PARTS.iter().zip(places) {
        if place.is_none() {
            complaints.push(format!("there is no part {:?}", part.trim()));
        }
    }
    if !places.iter().flatten().is_sorted() {
        complaints.push("its parts are in another order".to_owned());
    }
    if !text.contains(".svg)") {
        complaints.push("there is no drawing".to_owned());
    }
    let words = words(text);
    if words > WORDS_MAX {
        complaints.push(format!("{words} words to read aloud, of at most {WORDS_MAX}"));
    }
    complaints
}

/// Words of the prose: code is looked at, not read aloud.
pub(crate) fn words(text: &str) -> usize {
    text.split(FENCE).step_by(2).map(|prose| prose.split_whitespace().count()).sum()
}

/// Writes the code of all documents anew; the names of those that were stale.
pub(crate) fn refresh(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut renewed = Vec::new();
    for path in documents(&root.join("docs"))? {
        let text = OsFs.read_to_string(&path)?;
        let fresh = refreshed(root, &text)
            .map_err(|problem| Error::Refused(format!("{}: {problem}", path.display())))?;
        if fresh != text {
            OsFs.write_atomic(&path, fresh.as_bytes())?;
            renewed.push(path);
        }
    }
    Ok(renewed)
}

/// A text with its pieces of code and its figures as they are now, or what is wrong with one.
pub(crate) fn refreshed(root: &Path, text: &str) -> Result<String, String> {
    let mut pieces = text.split(FROM);
    let mut fresh = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (citation, rest) = piece.split_once(" -->\n").ok_or("a `from` has no end")?;
        let broken = || format!("{citation}: no block of code follows");
        let body = rest.strip_prefix("```rust\n").ok_or_else(broken)?;
        let after = &body[body.find(FENCE).ok_or_else(broken)?..];
        let code = citation::item(root, citation)?;
        fresh.extend([FROM, citation, " -->\n```rust\n", &code, after]);
    }
    estimate::refreshed(root, &figures::refreshed(root, &fresh)?)
}

/// The folders of `docs`.
pub(crate) fn builds(root: &Path) -> Result<Vec<String>, Error> {
    let folders = OsFs.list(&root.join("docs"))?.into_iter().filter(|it| it.is_dir);
    Ok(folders.map(|it| it.name.to_string_lossy().into_owned()).collect())
}

/// All documents of a folder and those beneath.
fn documents(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in OsFs.list(folder)? {
        let path = folder.join(&entry.name);
        if entry.is_dir {
            found.extend(documents(&path)?);
        } else if path.extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
    Ok(found)
}
