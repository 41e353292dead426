//! References from prose to code, `path#symbol`, and whether what they name is still there.

use std::path::Path;

use env::fs::{Fs, FsExt, OsFs};

/// Keywords that stand before the name of what they declare.
const DECLARING: [&str; 11] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "const",
    "static",
    "type",
    "mod",
    "union",
    "macro_rules!",
    "field",
];

/// What is wrong with a citation; `None` where it leads somewhere.
pub(crate) fn problem(root: &Path, citation: &str) -> Option<String> {
    let (path, symbol) = match citation.split_once('#') {
        Some((path, symbol)) => (path, Some(symbol)),
        None => (citation, None),
    };
    let file = root.join(path);
    if !OsFs.exists(&file).unwrap_or(false) {
        return Some(format!("{citation}: there is no file {path}"));
    }
    let text = OsFs.read_to_string(&file).unwrap_or_default();
    let missing = symbol.filter(|symbol| line_of(&text, symbol).is_none());
    missing.map(|symbol| format!("{citation}: nothing in {path} declares {symbol}"))
}

/// The number of the line that declares a symbol, from one on.
pub(crate) fn line_of(text: &str, symbol: &str) -> Option<usize> {
    let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '!';
    text.lines()
        .position(|line| {
            let words: Vec<&str> =
                line.split(|it| !is_word(it)).filter(|word| !word.is_empty()).collect();
            words.windows(2).any(|pair| DECLARING.contains(&pair[0]) && pair[1] == symbol)
        })
        .map(|index| index + 1)
}

/// The code of the item that a citation names, without its documentation and its indentation.
pub(crate) fn item(root: &Path, citation: &str) -> Result<String, String> {
    let (path, symbol) = citation.split_once('#').ok_or(format!("{citation} names no symbol"))?;
    let text = OsFs.read_to_string(&root.join(path)).map_err(|error| error.to_string())?;
    item_of(&text, symbol).ok_or_else(|| format!("{citation}: nothing in {path} declares {symbol}"))
}

/// The item of a symbol in code as rustfmt writes it: it ends where a line at the indentation of
/// the first closes what was opened, and opens nothing.
pub(crate) fn item_of(text: &str, symbol: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().skip(line_of(text, symbol)? - 1).collect();
    let indent = lines[0].len() - lines[0].trim_start().len();
    let inner = |line: &'_ str| line.get(indent..).unwrap_or_default().to_owned();
    let is_end = |line: &&str| {
        let line = inner(line);
        line.starts_with(['}', ')', ']']) && !line.ends_with(['{', '(', '['])
    };
    let is_one_line = lines[0].ends_with([';', '}']);
    let last = if is_one_line { 0 } else { lines.iter().position(is_end)? };
    Some(lines[..=last].iter().map(|line| inner(line) + "\n").collect())
}

/// Folders whose files are named by their paths from the root.
const FOLDERS: [&str; 4] = ["benches/", "crates/", "docs/", "exercises/"];

/// Every path of a text that is named without a symbol.
pub(crate) fn paths_of_prose(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |it: &&str| {
        FOLDERS.iter().any(|folder| it.starts_with(folder))
            && !it.contains(|it: char| it.is_whitespace() || "#*<".contains(it))
    };
    quoted.filter(is_path).map(str::to_owned).collect()
}

/// Every citation of a text: what stands between backticks and has a `#` behind a path.
pub(crate) fn of_prose(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_citation = |it: &&str| {
        it.split_once('#').is_some_and(|(path, symbol)| {
            path.contains('/') && !symbol.is_empty() && !it.contains(char::is_whitespace)
        })
    };
    quoted.filter(is_citation).map(str::to_owned).collect()
}
