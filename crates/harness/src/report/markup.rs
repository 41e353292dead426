//! Text that is safe inside HTML and SVG.
//!
//! # What this module does not do
//!
//! It escapes for element content and quoted attributes only; no text of a record is ever put
//! into a style, a script or the name of a tag.

/// A text as content or as a quoted attribute. What XML forbids, and what would turn the writing
/// direction of its surroundings, becomes U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(' '),
            c if c.is_control() || is_forbidden(c) => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Non-characters, and the marks that embed or override a direction.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\u{FFFE}' | '\u{FFFF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_opens_or_closes_anything_passes() {
        assert_eq!(
            escape("<a href='x' title=\"y\">&amp;"),
            "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;amp;"
        );
    }

    #[test]
    fn what_xml_forbids_is_replaced() {
        assert_eq!(
            escape("a\0b\u{1b}c\nd\u{202e}e\u{ffff}"),
            "a\u{fffd}b\u{fffd}c d\u{fffd}e\u{fffd}"
        );
    }
}
