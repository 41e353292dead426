//! Tests of the site: it is built from this checkout, and every link of it is followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};

use super::links::{Links, relative};
use super::page::{Page, slug};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in OsFs.list(folder).expect("the site can be read") {
        let path = folder.join(&entry.name);
        if entry.is_dir { files(&path, found) } else { found.push(path) }
    }
}

/// The values of an attribute in a page.
fn values<'t>(text: &'t str, attribute: &str) -> Vec<&'t str> {
    let start = format!(" {attribute}=\"");
    let ends = text.match_indices(&start).map(|(at, _)| &text[at + start.len()..]);
    ends.filter_map(|rest| rest.split_once('"')).map(|(value, _)| value).collect()
}

#[test]
fn all_links_resolve_and_nothing_is_fetched() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let count = super::build(root(), out.path()).expect("the site can be built");
    assert!(count > 50, "{count} pages");
    let mut paths = Vec::new();
    files(out.path(), &mut paths);
    let mut pages = BTreeMap::new();
    for path in &paths {
        if path.extension().is_some_and(|it| it == "html") {
            pages.insert(path.clone(), OsFs.read_to_string(path).expect("a page can be read"));
        }
    }
    let mut wrong = Vec::new();
    for (path, text) in &pages {
        let folder = path.parent().expect("a page lies in a folder");
        let sources = values(text, "src").into_iter().map(|it| (it, true));
        let links = values(text, "href").into_iter().map(|it| (it, false));
        for (target, is_fetched) in sources.chain(links) {
            let target = target.replace("&amp;", "&");
            if target.contains("://") {
                if is_fetched {
                    wrong.push(format!("{}: fetches {target}", path.display()));
                }
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let place = if file.is_empty() { path.clone() } else { folder.join(file) };
            let place = PathBuf::from(place.to_string_lossy().into_owned());
            if !OsFs.exists(&place).expect("it can be looked for") {
                wrong.push(format!("{}: {target} is not there", path.display()));
            } else if !anchor.is_empty() {
                let place = std::path::absolute(&place).expect("it has a place");
                let page = OsFs.read_to_string(&place).expect("a page can be read");
                if !values(&page, "id").contains(&anchor) {
                    wrong.push(format!("{}: nothing in {target} is called so", path.display()));
                }
            }
        }
        let is_fetching = ["@import", "url(http", "<link rel=\"stylesheet\" href=\"http"];
        assert!(is_fetching.iter().all(|it| !text.contains(it)), "{}", path.display());
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} links:\n{}", wrong.len(), wrong.join("\n"));
    let search = OsFs.read_to_string(&out.path().join("search.js")).expect("there is an index");
    assert!(search.contains("docs/raft/walkthrough.html#design"), "sections are found");
}

#[test]
fn documents_become_pages() {
    let source = Path::new("docs/x/a.md");
    let links = Links::new(root(), &[source.to_owned(), "README.md".into()]);
    let page = |text: &str| Page::of_document(source, text, &links).expect("it can be rendered");
    let rendered = page("# T `c`\n\nsee [r](../../README.md#part) <!-- = x -->&\n\n## A\n## A\n");
    assert_eq!(rendered.title, "T c");
    assert!(rendered.body.contains("<a href=\"../../index.html#part\">r</a>"), "{}", rendered.body);
    assert!(!rendered.body.contains("<!--") && rendered.body.contains("&amp;"), "no comments");
    let anchors: Vec<_> = rendered.sections.iter().map(|it| it.anchor.as_str()).collect();
    assert_eq!(anchors, ["t-c", "a", "a-1"]);
    let cited = page("`crates/study/src/site/tests.rs#root` and `a < b`");
    assert!(cited.body.contains("code/crates/study/src/site/tests.rs.html#L"), "{}", cited.body);
    assert!(cited.body.contains("<code>a &lt; b</code>"), "{}", cited.body);
    assert!(links.take_code().contains(Path::new("crates/study/src/site/tests.rs")));
    assert!(!page("a <script>x</script> b").body.contains("<script>"), "markup is left out");
}

/// A page that `cargo bench` has written is named in the README, and is no page of the site.
#[test]
fn what_commands_write_is_not_cited() {
    let root = tempfile::tempdir().expect("a temporary folder");
    for folder in ["docs", "target/strata"] {
        let folder = root.path().join(folder);
        OsFs.create_dir_all(&folder).expect("it can be made");
        OsFs.write_atomic(&folder.join("index.html"), b"<a href=\"../x\">").expect("it is written");
    }
    let links = Links::new(root.path(), &[]);
    let cited = |path| links.cited(Path::new("README.md"), path).expect("it can be looked for");
    assert_eq!(cited("docs/index.html").as_deref(), Some("docs/index.html"));
    assert_eq!(cited("target/strata/index.html"), None);
}

#[test]
fn anchors_are_those_of_forges() {
    assert_eq!(slug("What breaks at ten times?"), "what-breaks-at-ten-times");
    assert_eq!(slug("`a_b` and c-d: e"), "a_b-and-c-d-e");
    assert_eq!(relative("docs/a/b.html", "site.css"), "../../site.css");
}
