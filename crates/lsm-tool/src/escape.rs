//! Bytes as they are shown and given: text, and what is none escaped.

use std::str::FromStr;

/// Bytes that were given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            let escape = &rest[at + 1..];
            let (byte, len) = match escape.as_bytes() {
                [b'n', ..] => (b'\n', 1),
                [b'r', ..] => (b'\r', 1),
                [b't', ..] => (b'\t', 1),
                [b'x', ..] if escape.is_char_boundary(3) && escape.len() >= 3 => {
                    let byte = u8::from_str_radix(&escape[1..3], 16);
                    (byte.map_err(|_| format!("`\\{}` is no byte", &escape[..3]))?, 3)
                }
                [other @ (b'\\' | b'"' | b'\''), ..] => (*other, 1),
                _ => {
                    return Err(
                        "after a backslash comes n, r, t, \\, \", ' or x and two digits".to_owned()
                    );
                }
            };
            bytes.push(byte);
            rest = &escape[len..];
        }
        bytes.extend_from_slice(rest.as_bytes());
        Ok(Self(bytes))
    }
}

/// The form in which [`Bytes`] are read.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(shown(&all).parse(), Ok(Bytes(all)));
        assert_eq!("grün\\x00".parse(), Ok(Bytes("grün\0".as_bytes().to_vec())));
    }

    #[test]
    fn half_an_escape_is_refused() {
        for text in ["\\", "a\\x", "\\x0", "\\xzz", "\\x0ü", "\\q"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
