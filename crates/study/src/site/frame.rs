//! What stands around every page: the menu, the search, what the page itself has.

use super::page::Page;
use super::{RESULTS, escape, relative};

/// Groups of the menu: what each is called, and its entries as target and text.
pub(super) type Menu = Vec<(String, Vec<(String, String)>)>;

/// The menu: the front pages, those of no build, and for each build its own.
pub(super) fn menu(pages: &[Page]) -> Menu {
    let mut menu: Menu = Vec::new();
    for page in pages {
        let (group, name) = place(&page.target);
        let text = if group == "Strata" || group == "Learn" {
            title_of(page)
        } else {
            name.replace("README", "overview").replace('-', " ")
        };
        let entry = (page.target.clone(), text);
        match menu.iter_mut().find(|(it, _)| *it == group) {
            Some((_, entries)) => entries.push(entry),
            None => menu.push((group, vec![entry])),
        }
    }
    let rank = |group: &str| ["Strata", "Learn"].iter().position(|it| *it == group).unwrap_or(2);
    menu.sort_by_key(|(group, _)| rank(group));
    if let Some((_, entries)) = menu.first_mut() {
        entries.insert(1, (RESULTS.to_owned(), "Results".to_owned()));
    }
    for (_, entries) in menu.iter_mut().skip(2) {
        entries.sort_by_key(|(target, _)| order(target));
    }
    menu
}

/// The order in which the documents of a build are read.
fn order(target: &str) -> usize {
    let stems = ["README", "walkthrough", "questions", "estimates"];
    let place = |stem: &&str| target.ends_with(&format!("/{stem}.html"));
    stems.iter().position(place).unwrap_or(stems.len())
}

/// The group of a page, and its name there.
fn place(target: &str) -> (String, &str) {
    let parts: Vec<&str> = target.trim_end_matches(".html").split('/').collect();
    match parts[..] {
        ["docs", name] => ("Learn".to_owned(), name),
        [_, build, .., name] => (name_of(build), name),
        _ => ("Strata".to_owned(), parts[0]),
    }
}

/// What a build is called in running text.
fn name_of(build: &str) -> String {
    match build {
        "hashmap" => "hash map".to_owned(),
        "lsm" => "LSM store".to_owned(),
        "wal" => "write-ahead log".to_owned(),
        "kv" => "strata-kv".to_owned(),
        other => other.replace('-', " "),
    }
}

fn title_of(page: &Page) -> String {
    if page.target == "index.html" { "Start".to_owned() } else { page.title.clone() }
}

/// A whole page.
pub(super) fn around(page: &Page, menu: &Menu) -> String {
    let to = |target: &str| relative(&page.target, target);
    let entry = |(target, text): &(String, String)| {
        let here = if *target == page.target { " aria-current=\"page\"" } else { "" };
        let inner = if here.is_empty() { String::new() } else { contents(page) };
        format!("<li><a href=\"{}\"{here}>{}</a>{inner}</li>\n", to(target), escape(text))
    };
    let group = |(group, entries): &(String, Vec<_>)| {
        let items: String = entries.iter().map(entry).collect();
        format!("<p>{}</p>\n<ul>\n{items}</ul>\n", escape(group))
    };
    let groups: String = menu.iter().map(group).collect();
    let title = escape(&page.title);
    let (style, script, start) = (to("site.css"), to("search.js"), to("index.html"));
    let root = to("");
    let body = &page.body;
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title} - Strata</title>\n<link rel=\"stylesheet\" href=\"{style}\">\n</head>\n\
         <body data-root=\"{root}\">\n<header>\n<a class=\"name\" href=\"{start}\">Strata</a>\n\
         <input type=\"search\" id=\"search\" placeholder=\"Search\" aria-label=\"Search\" \
         autocomplete=\"off\">\n<label class=\"toggle\" for=\"toggle\">Menu</label>\n</header>\n\
         <div id=\"found\" hidden></div>\n\
         <input type=\"checkbox\" id=\"toggle\" aria-label=\"Menu\">\n\
         <nav aria-label=\"Pages\">\n{groups}</nav>\n<main>\n{body}</main>\n\
         <script src=\"{script}\"></script>\n</body>\n</html>\n"
    )
}

/// The parts of a page, for the menu.
fn contents(page: &Page) -> String {
    let parts = page.sections.iter().filter(|it| it.level == 2);
    let link = |anchor: &str, title: &str| {
        format!("<li><a href=\"#{anchor}\">{}</a></li>\n", escape(title))
    };
    let items: String = parts.map(|it| link(&it.anchor, &it.title)).collect();
    if items.is_empty() { items } else { format!("\n<ul>\n{items}</ul>\n") }
}
