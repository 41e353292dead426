//! `site`: all documents as pages that open from disk, and the code that they cite beside them.
//!
//! ```text
//!   docs/lsm/walkthrough.md   -> docs/lsm/walkthrough.html
//!   README.md                 -> index.html
//!   `crates/lsm/src/db.rs#Db` -> code/crates/lsm/src/db.rs.html#L40     if some page cites it
//!   docs/lsm/design.svg       -> docs/lsm/design.svg                    if some page shows it
//!   docs/results/results.json -> results.html                           the page of the comparison
//!                                search.js                              what every page says
//! ```
//!
//! No page asks the network for anything. The index for the search is a script, since a page that
//! was opened from disk may load a script from beside it, and nothing else.

mod code;
mod frame;
mod links;
mod page;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};
use harness::report::{page as results, parse};

use crate::error::Error;
use links::{Links, relative};
use page::{Page, Section};

/// Documents of the root, in the order of the menu. All others lie under these folders.
const FRONT: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
const FOLDERS: [&str; 3] = ["docs", "crates", "exercises"];

/// Where the page of the comparison is.
const RESULTS: &str = "results.html";
const RECORD: &str = "docs/results/results.json";

/// Builds the site of the checkout in `root`; how many pages it has.
pub(crate) fn build(root: &Path, out: &Path) -> Result<usize, Error> {
    if OsFs.exists(out)? {
        OsFs.remove_dir_all(out)?;
    }
    let mut sources: Vec<PathBuf> = FRONT.iter().map(PathBuf::from).collect();
    for folder in FOLDERS {
        documents(root, Path::new(folder), &mut sources)?;
    }
    let links = Links::new(root, &sources);
    let mut pages = Vec::new();
    for source in &sources {
        let text = OsFs.read_to_string(&root.join(source))?;
        pages.push(Page::of_document(source, &text, &links)?);
    }
    let menu = frame::menu(&pages);
    for page in &pages {
        write(out, &page.target, &frame::around(page, &menu))?;
    }
    let cited = links.take_code();
    for path in &cited {
        let page = code::page(root, path)?;
        write(out, &page.target, &frame::around(&page, &menu))?;
        pages.push(page);
    }
    for path in links.take_files() {
        let bytes = OsFs.read(&root.join(&path))?;
        write_bytes(out, &path.to_string_lossy(), &bytes)?;
    }
    write(out, RESULTS, &comparison(root)?)?;
    write(out, "site.css", include_str!("site/site.css"))?;
    let index = format!("{}{}", index(&pages), include_str!("site/search.js"));
    write(out, "search.js", &index)?;
    Ok(pages.len() + 1)
}

/// The page of the published record, which links to the walkthroughs of the site.
fn comparison(root: &Path) -> Result<String, Error> {
    let bytes = OsFs.read(&root.join(RECORD))?;
    let record = parse::record(RECORD, &bytes).map_err(|it| Error::Refused(it.to_string()))?;
    let builds: BTreeSet<&str> = record.rows.iter().map(|row| row.build.as_str()).collect();
    let pages = ["walkthrough", "questions", "estimates"];
    let all = builds.iter().flat_map(|build| pages.map(|page| (*build, page)));
    let mut found = Vec::new();
    for (build, page) in all {
        if OsFs.exists(&root.join(format!("docs/{build}/{page}.md")))? {
            let target = format!("docs/{build}/{page}.html");
            found.push(results::Link { build: build.to_owned(), target, text: page.to_owned() });
        }
    }
    let page = results::render(&record, &found);
    Ok(page.replacen("<header>\n", "<header>\n<a href=\"index.html\">Strata</a>\n", 1))
}

/// All documents beneath a folder, those of build outputs left out.
fn documents(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let mut entries = OsFs.list(&root.join(folder))?;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    for entry in entries {
        let path = folder.join(&entry.name);
        if entry.is_dir {
            documents(root, &path, found)?;
        } else if path.extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// What is searched: for each section where it is, what it is called, and what it says.
fn index(pages: &[Page]) -> String {
    let entry = |page: &Page, section: &Section| {
        let place = match section.anchor.as_str() {
            "" => page.target.clone(),
            anchor => format!("{}#{anchor}", page.target),
        };
        let title = if section.title == page.title || section.title.is_empty() {
            page.title.clone()
        } else {
            format!("{} › {}", page.title, section.title)
        };
        serde_json::json!([place, title, section.text])
    };
    let entries = pages.iter().flat_map(|page| page.sections.iter().map(|it| entry(page, it)));
    let entries: Vec<_> = entries.collect();
    format!("const PAGES = {};\n", serde_json::Value::Array(entries))
}

fn write(out: &Path, target: &str, text: &str) -> Result<(), Error> {
    write_bytes(out, target, text.as_bytes())
}

fn write_bytes(out: &Path, target: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = out.join(target);
    OsFs.create_dir_all(path.parent().expect("a target lies in the folder of the site"))?;
    OsFs.write_atomic(&path, bytes)?;
    Ok(())
}

/// Text as it stands in a page.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
