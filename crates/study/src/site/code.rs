//! Code in pages: coloured by a lexer of a few rules, which knows what a reader looks for.

use std::path::Path;

use env::fs::{FsExt, OsFs};

use super::escape;
use super::links::code_target;
use super::page::{Page, Section};
use crate::error::Error;

/// The page of a file of code. Each line has an anchor, `#L12`.
pub(super) fn page(root: &Path, path: &Path) -> Result<Page, Error> {
    let text = OsFs.read_to_string(&root.join(path))?;
    let is_rust = path.extension().is_some_and(|it| it == "rs");
    let coloured = if is_rust { highlighted(&text) } else { escape(&text) };
    let numbered = coloured.lines().zip(1..);
    let lines = numbered.map(|(line, number)| format!("<span id=\"L{number}\">{line}</span>\n"));
    let title = path.display().to_string();
    let body = format!(
        "<h1 class=\"path\">{}</h1>\n<pre class=\"lines\"><code>{}</code></pre>\n",
        escape(&title),
        lines.collect::<String>(),
    );
    let section = Section { title: title.clone(), ..Section::default() };
    Ok(Page { target: code_target(path), title, body, sections: vec![section] })
}

const KEYWORDS: [&str; 38] = [
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "crate",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro_rules",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
];

/// Rust as marked-up text. No mark goes on into another line.
pub(super) fn highlighted(code: &str) -> String {
    let mut out = String::with_capacity(code.len() * 2);
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (length, class) = token(rest, first);
        let (text, after) = rest.split_at(length);
        mark(&mut out, class, text);
        rest = after;
    }
    out
}

fn mark(out: &mut String, class: &str, text: &str) {
    if class.is_empty() {
        out.push_str(&escape(text));
        return;
    }
    let lines = text.split('\n').map(|line| match line {
        "" => String::new(),
        line => format!("<i class=\"{class}\">{}</i>", escape(line)),
    });
    out.push_str(&lines.collect::<Vec<_>>().join("\n"));
}

/// How long the next token is, and what it is.
fn token(rest: &str, first: char) -> (usize, &'static str) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), "c");
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), "c");
    }
    if let Some(length) = raw_string(rest).or_else(|| string(rest)) {
        return (length, "s");
    }
    if let Some(length) = character(rest) {
        return (length, "s");
    }
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    if is_word(first) {
        let length = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
        return (length, class_of(&rest[..length], &rest[length..]));
    }
    (first.len_utf8(), "")
}

fn class_of(word: &str, after: &str) -> &'static str {
    if KEYWORDS.contains(&word) {
        "k"
    } else if word.starts_with(|it: char| it.is_ascii_digit()) {
        "n"
    } else if after.starts_with('!') && !after.starts_with("!=") {
        "m"
    } else if word.starts_with(char::is_uppercase) {
        "t"
    } else if after.starts_with('(') {
        "f"
    } else {
        ""
    }
}

/// `"..."`, with a prefix of a letter or none.
fn string(rest: &str) -> Option<usize> {
    let start =
        rest.find('"').filter(|at| *at == 0 || (*at == 1 && rest.starts_with(['b', 'c'])))?;
    let mut is_escaped = false;
    for (at, it) in rest[start + 1..].char_indices() {
        match it {
            '"' if !is_escaped => return Some(start + at + 2),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    Some(rest.len())
}

/// `r#"..."#`, with any number of signs.
fn raw_string(rest: &str) -> Option<usize> {
    let letters = ["br", "cr", "r"].iter().find(|it| rest.starts_with(**it))?.len();
    let signs = rest[letters..].find(|it| it != '#')?;
    let inner = rest[letters + signs..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(signs));
    let start = letters + signs + 1;
    Some(inner.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

/// `'a'` or `'\n'`; a lifetime has no second quote.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'').or_else(|| rest.strip_prefix("b'"))?;
    let start = rest.len() - inner.len();
    let first = inner.chars().next()?;
    let end = if first == '\\' { 2 + inner.get(2..)?.find('\'')? } else { first.len_utf8() };
    inner[end..].starts_with('\'').then_some(start + end + 1)
}

#[cfg(test)]
mod tests {
    use super::highlighted;

    #[test]
    fn words_strings_and_comments_are_told_apart() {
        let cases = [
            ("let x", "<i class=\"k\">let</i> x"),
            (
                "a < 'b' && '\\''",
                "a &lt; <i class=\"s\">'b'</i> &amp;&amp; <i class=\"s\">'\\''</i>",
            ),
            ("&'a str", "&amp;'a str"),
            ("r#\"a\"b\"#;", "<i class=\"s\">r#&quot;a&quot;b&quot;#</i>;"),
            ("\"\\\\\" x", "<i class=\"s\">&quot;\\\\&quot;</i> x"),
            ("// a\nf(1)", "<i class=\"c\">// a</i>\n<i class=\"f\">f</i>(<i class=\"n\">1</i>)"),
            ("/* a\nb */", "<i class=\"c\">/* a</i>\n<i class=\"c\">b */</i>"),
            ("vec![] != B", "<i class=\"m\">vec</i>![] != <i class=\"t\">B</i>"),
        ];
        for (code, markup) in cases {
            assert_eq!(highlighted(code), markup);
        }
    }
}
