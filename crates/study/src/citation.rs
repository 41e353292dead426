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
