//! Properties of the repository itself: what a reviewer should not have to look for.
//!
//! | property                            | why                                                     |
//! |-------------------------------------|---------------------------------------------------------|
//! | no note to do something later       | a deferred idea is an issue, not a comment              |
//! | at most 100 columns                 | code and prose are read side by side                    |
//! | every source file is a module       | a file that nobody compiles rots                        |
//! | every relative link leads somewhere | a reader follows it                                     |
//! | no two examples share a name        | cargo puts all of them into one folder                  |
//! | builds do not know each other       | arrows point down only, see `ARCHITECTURE.md`           |
//! | every crate takes the shared lints  | one crate without them is where the rules end           |
//!
//! Each property is a function from text to complaints, and each is shown a text that it must
//! complain about.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use env::fs::Fs;
use env::fs::{FsExt, OsFs};

/// Longest line of code or prose, in characters.
const COLUMNS_MAX: usize = 100;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

/// Members of floor 0: the only ones of ours that a build may depend on at run time.
const GROUND: [&str; 2] = ["env", "harness"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches lies in the root").to_owned()
}

/// All files below `folder`, as paths from the root.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in OsFs.list(folder).expect("the repository can be read") {
        let path = folder.join(&entry.name);
        if !entry.is_dir {
            found.push(path);
        } else if !FOREIGN.iter().any(|foreign| entry.name == *foreign) {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

fn with_extension(extension: &str) -> Vec<(PathBuf, String)> {
    let mut paths = files(&root());
    paths.retain(|path| path.extension().is_some_and(|it| it == extension));
    assert!(!paths.is_empty(), "the repository has .{extension} files");
    let read = |path: PathBuf| {
        let text = OsFs.read_to_string(&path).expect("the repository can be read");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

fn require_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Lines of `text` about which `complaint` has something to say.
fn lines(path: &Path, text: &str, complaint: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let numbered = text.lines().zip(1..);
    let complaints = numbered.filter_map(|(line, number): (&str, u32)| {
        let said = complaint(line)?;
        Some(format!("{}:{number}: {said}", path.display()))
    });
    complaints.collect()
}

/// The words are put together here, so that this file may speak of them.
fn deferred(line: &str) -> Option<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let word = words.into_iter().find(|word| line.contains(word))?;
    Some(format!("{word}: do it, or file an issue"))
}

/// A row of a table in a comment cannot be broken and is let be.
fn too_long(line: &str) -> Option<String> {
    let row = ["//! |", "/// |", "// |"].iter().any(|start| line.trim_start().starts_with(start));
    let columns = if row { 0 } else { line.chars().count() };
    (columns > COLUMNS_MAX).then(|| format!("{columns} columns, at most {COLUMNS_MAX}"))
}

#[test]
fn nothing_is_left_for_later() {
    let sources = with_extension("rs");
    let found = sources.iter().flat_map(|(path, text)| lines(path, text, deferred));
    require_none(&found.collect::<Vec<_>>());
    assert!(deferred(concat!("// TO", "DO: later")).is_some());
    assert!(deferred("// what is to be done is done").is_none());
}

#[test]
fn lines_are_short() {
    let sources = with_extension("rs");
    let found = sources.iter().flat_map(|(path, text)| lines(path, text, too_long));
    require_none(&found.collect::<Vec<_>>());
    assert!(too_long(&"x".repeat(COLUMNS_MAX + 1)).is_some());
    assert!(too_long(&"ü".repeat(COLUMNS_MAX)).is_none());
}

/// Names of modules and paths that `text` declares.
fn declared(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        let item = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let item = item.trim_start_matches("pub ");
        if let Some(name) = item.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            names.push(name.to_owned());
        }
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|it| it.strip_suffix("\"]")) {
            let file = Path::new(path).file_stem().expect("a path names a file");
            names.push(file.to_string_lossy().into_owned());
        }
    }
    names
}

/// The files that may declare the module in `path`.
fn parents(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().expect("a file lies in a folder");
    let beside = folder.with_extension("rs");
    let roots = ["lib.rs", "main.rs", "mod.rs"].map(|name| folder.join(name));
    std::iter::once(beside).chain(roots).filter(|parent| parent != path).collect()
}

#[test]
fn every_source_file_is_compiled() {
    let sources = with_extension("rs");
    let text_of = |wanted: &Path| sources.iter().find(|(path, _)| path == wanted);
    let mut orphans = Vec::new();
    for (path, _) in &sources {
        let name = path.file_stem().expect("a file has a name").to_string_lossy();
        let target = path.parent().is_some_and(|folder| {
            ["benches", "tests", "examples", "bin"].iter().any(|it| folder.ends_with(it))
        });
        // The solution of an exercise takes the place of the learner's file.
        let solution = path.ends_with("solution/exercise.rs");
        if target || solution || ["lib", "main", "build"].contains(&&*name) {
            continue;
        }
        let parents = parents(path);
        let texts = parents.iter().filter_map(|parent| text_of(parent));
        if !texts.flat_map(|(_, text)| declared(text)).any(|declared| declared == name) {
            orphans.push(format!("{}: no module declares it", path.display()));
        }
    }
    require_none(&orphans);
    assert_eq!(declared("pub(crate) mod a;\n#[path = \"x/b.rs\"]\nmod c {}"), ["a", "b"]);
}

/// Targets of the relative links in a Markdown text.
fn link_targets(text: &str) -> Vec<&str> {
    let ends = text.match_indices("](").map(|(at, _)| &text[at + 2..]);
    let targets = ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let relative = |target: &&str| !target.contains("://") && !target.starts_with('#');
    let file =
        |target: &'_ str| target.split_once('#').map_or(target.len(), |(file, _)| file.len());
    targets.filter(relative).map(|target| &target[..file(target)]).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for (path, text) in with_extension("md") {
        let folder = path.parent().expect("a file lies in a folder");
        for target in link_targets(&text) {
            if !OsFs.exists(&folder.join(target)).expect("the repository can be read") {
                dead.push(format!("{}: {target} does not exist", path.display()));
            }
        }
    }
    require_none(&dead);
    let text = "[a](b/c.md#part) ![p](d.svg) [w](https://example.org) [h](#here)";
    assert_eq!(link_targets(text), ["b/c.md", "d.svg"]);
}

/// Examples of these sources that have the name of an earlier one.
fn namesakes(sources: &[PathBuf]) -> Vec<String> {
    let is_example = |path: &&PathBuf| path.parent().is_some_and(|it| it.ends_with("examples"));
    let mut known = BTreeMap::new();
    let complaint = |path: &PathBuf| {
        let other = known.insert(path.file_stem()?.to_owned(), path.display().to_string())?;
        Some(format!("{}: {other} has that name", path.display()))
    };
    sources.iter().filter(is_example).filter_map(complaint).collect()
}

#[test]
fn examples_have_names_of_their_own() {
    let sources: Vec<_> = with_extension("rs").into_iter().map(|(path, _)| path).collect();
    require_none(&namesakes(&sources));
    let paths = ["a/examples/x.rs", "b/examples/x.rs", "b/examples/y.rs", "b/src/y.rs"];
    let complaints = namesakes(&paths.map(PathBuf::from));
    assert_eq!(complaints, ["b/examples/x.rs: a/examples/x.rs has that name"]);
}

/// Members that the `[dependencies]` of a manifest name.
fn run_time_members<'a>(manifest: &str, members: &'a [String]) -> Vec<&'a String> {
    let sections = manifest.split("\n[");
    let dependencies = sections.filter(|section| section.starts_with("dependencies]"));
    let lines: Vec<&str> = dependencies.flat_map(str::lines).collect();
    let named = |member: &&String| {
        lines.iter().any(|line| line.split(['.', ' ', '=']).next() == Some(member.as_str()))
    };
    members.iter().filter(named).collect()
}

/// Members that may stand on a build: the servers of floor 3 and what compares or teaches.
const UPPER: [&str; 4] = ["allocator-lines", "benches", "kv", "study"];

/// How the names of exercises begin, which stand on the harness as the learner's code does.
const EXERCISE: &str = "exercise-";

/// Which build may stand on which other build.
const STANDS_ON: [(&str, &str); 7] = [
    ("rate-limiter", "hashmap"),
    ("allocator-preload", "allocator"),
    ("lsm", "wal"),
    ("lsm-tool", "lsm"),
    ("lsm-async", "lsm"),
    ("raft", "wal"),
    ("raft-net", "raft"),
];

#[test]
fn arrows_point_down() {
    let manifests: Vec<_> = with_extension("toml")
        .into_iter()
        .filter(|(path, _)| path.ends_with("Cargo.toml") && path.parent() != Some(&root()))
        .collect();
    let name = |manifest: &str| {
        let named = manifest.lines().find_map(|line| line.strip_prefix("name = \""));
        named.expect("a member has a name").trim_end_matches('"').to_owned()
    };
    let members: Vec<String> = manifests.iter().map(|(_, manifest)| name(manifest)).collect();
    let mut wrong = Vec::new();
    for (_, manifest) in &manifests {
        let member = name(manifest);
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{member} does not take the lints of the workspace"));
        }
        for below in run_time_members(manifest, &members) {
            let allowed = UPPER.contains(&member.as_str())
                || (member.starts_with(EXERCISE) && below == "harness")
                || (GROUND.contains(&below.as_str()) && below != "harness")
                || STANDS_ON.contains(&(&member, below));
            if !allowed {
                wrong.push(format!("{member} depends on {below} at run time"));
            }
        }
    }
    require_none(&wrong);
    let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nlsm.workspace = true\n\n[lints]\n";
    let members = ["lsm".to_owned(), "env".to_owned()];
    assert_eq!(run_time_members(manifest, &members), [&members[0]]);
}
