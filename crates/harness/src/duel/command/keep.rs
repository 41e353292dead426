//! Where the results of a run are kept.
//!
//! ```text
//!   target/strata/<build>.json        the record of one build, replaced after every line
//!   target/strata/results.json        the record of the run
//!   target/strata/index.html          the page
//!   target/strata/<plot>.svg          the plots by themselves
//!   target/strata/baselines/<name>.json    what `--save` keeps
//!   target/strata/smoke/              all of that for a smoke run, which overwrites no figures
//! ```
//!
//! A file that cannot be written is remembered and told at the end; the run goes on.

use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};

use super::Arguments;
use crate::record::Record;
use crate::report::page::{self, Link};
use crate::report::{parse, plots};

/// Keeps results, and remembers what it could not keep.
pub(super) struct Keeper {
    root: PathBuf,
    folder: PathBuf,
    baselines: PathBuf,
    failures: Vec<String>,
}

impl Keeper {
    /// Keeps the results of the checkout in `root`, whose build outputs are in `target`.
    pub(super) fn new(root: &Path, target: &Path, smoke: bool) -> Self {
        let strata = target.join("strata");
        let folder = if smoke { strata.join("smoke") } else { strata.clone() };
        let baselines = strata.join("baselines");
        Self { root: root.to_owned(), folder, baselines, failures: Vec::new() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The record that was saved under `name`, or why there is none.
    pub(super) fn baseline(&self, name: &str) -> Result<Record, String> {
        let path = self.baseline_path(name);
        let known = || {
            let kept = OsFs.list(&self.baselines).unwrap_or_default();
            let names = kept.iter().map(|entry| entry.name.to_string_lossy());
            let names = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned));
            names.collect::<Vec<_>>().join(", ")
        };
        let bytes = OsFs.read(&path).map_err(|error| {
            format!("no record is kept as {name:?} ({error}); there are: {}", known())
        })?;
        parse::record(&path.to_string_lossy(), &bytes).map_err(|error| error.to_string())
    }

    fn baseline_path(&self, name: &str) -> PathBuf {
        self.baselines.join(format!("{name}.json"))
    }

    /// Keeps what has been measured so far: one record a build, and one of all.
    pub(super) fn keep_json(&mut self, record: &Record) {
        for build in builds_of(record) {
            let path = self.folder.join(format!("{build}.json"));
            self.write(&path, json(&of_build(record, build)).as_bytes());
        }
        self.write(&self.folder.join("results.json"), json(record).as_bytes());
    }

    /// Keeps the whole run in every form.
    pub(super) fn keep_all(&mut self, record: &Record, arguments: &Arguments) {
        self.keep_json(record);
        let page = page::render(record, &self.links(record));
        self.write(&self.folder.join("index.html"), page.as_bytes());
        for plot in plots::files(record) {
            self.write(&self.folder.join(plot.name), plot.svg.as_bytes());
        }
        if let Some(path) = &arguments.json {
            self.write(&where_typed(path), json(record).as_bytes());
        }
        if let Some(name) = &arguments.save {
            self.write(&self.baseline_path(name), json(record).as_bytes());
        }
    }

    /// The walkthroughs that exist for the builds of the record, as seen from the page; none where
    /// the page lies outside the checkout.
    fn links(&self, record: &Record) -> Vec<Link> {
        let Ok(below) = self.folder.strip_prefix(&self.root) else { return Vec::new() };
        let up = "../".repeat(below.components().count());
        let link = |build: &str| {
            let path = format!("docs/{build}/walkthrough.md");
            OsFs.exists(&self.root.join(&path)).unwrap_or(false).then(|| Link {
                build: build.to_owned(),
                target: format!("{up}{path}"),
                text: "walkthrough".to_owned(),
            })
        };
        builds_of(record).into_iter().filter_map(link).collect()
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = folder.map_or(Ok(()), |folder| OsFs.create_dir_all(folder));
        if let Err(error) = made.and_then(|()| OsFs.write_atomic(path, bytes)) {
            let sentence = error.to_string();
            if !self.failures.contains(&sentence) {
                self.failures.push(sentence);
            }
        }
    }

    /// Whether every file was written.
    pub(super) fn kept_everything(&self) -> bool {
        self.failures.is_empty()
    }

    /// What to tell at the end: where the page is, or what could not be kept.
    pub(super) fn tell(&self) -> Vec<String> {
        if self.kept_everything() {
            let place = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
            vec![
                format!("page:   {}", place("index.html")),
                format!("record: {}", place("results.json")),
            ]
        } else {
            let failures = self.failures.iter();
            failures.map(|sentence| format!("not kept: {sentence}")).collect()
        }
    }
}

/// The builds that the record says something about.
fn builds_of(record: &Record) -> Vec<&str> {
    let measured = record.rows.iter().map(|row| &row.build);
    let failed = record.failures.iter().map(|failure| &failure.build);
    let mut builds: Vec<&str> = measured.chain(failed).map(String::as_str).collect();
    builds.sort_unstable();
    builds.dedup();
    builds
}

/// A path as its user meant it. Cargo runs a benchmark in the folder of its package; the shell's
/// `PWD` still names the folder that the command was typed in.
fn where_typed(path: &Path) -> PathBuf {
    let typed_in = std::env::var_os("PWD").map(PathBuf::from).filter(|folder| folder.is_absolute());
    typed_in.map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

fn of_build(record: &Record, build: &str) -> Record {
    let mut part = record.clone();
    part.rows.retain(|row| row.build == build);
    part.ratios.retain(|ratio| ratio.build == build);
    part.failures.retain(|failure| failure.build == build);
    part.disturbed.retain(|line| line.build == build);
    part
}

fn json(record: &Record) -> String {
    let mut text = serde_json::to_string_pretty(record).expect("a record is plain data");
    text.push('\n');
    text
}
