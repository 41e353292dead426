//! Reads a record, and says what is wrong with one that it cannot read.
//!
//! # What this module does not do
//!
//! It opens no file: the caller brings the bytes, and a name for the messages.

use serde_json::Value;

use super::figure::clip;
use crate::record::{Record, SCHEMA};

/// How much of a strange schema a message repeats.
const FOUND_CHARS: usize = 20;

/// Why bytes are not a record that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The bytes stop in the middle, as a file does whose writer was killed.
    #[error("{name} ends too early, at line {line}: it was cut off; measure again")]
    Truncated {
        /// What the caller called the bytes.
        name: String,
        /// Where they end, counted from one.
        line: usize,
    },
    /// Not JSON at all.
    #[error("{name} is not JSON: {source}; name a file that `--json` or `--save` wrote")]
    NotJson {
        /// What the caller called the bytes.
        name: String,
        /// What the reader of JSON says, and where.
        source: serde_json::Error,
    },
    /// JSON of another version of the format, or of no version.
    #[error(
        "{name} has schema {found}, this version reads schema {SCHEMA}; measure again, or read it \
         with the version that wrote it"
    )]
    Schema {
        /// What the caller called the bytes.
        name: String,
        /// The version it states: a number, or `none`.
        found: String,
    },
    /// The right version, but not the right fields.
    #[error("{name} is not a record of schema {SCHEMA}: {source}; was it edited?")]
    Shape {
        /// What the caller called the bytes.
        name: String,
        /// Which field, and where.
        source: serde_json::Error,
    },
}

/// A record from its JSON. `name` is what messages call it, best a path.
pub fn record(name: &str, json: &[u8]) -> Result<Record, ParseError> {
    let name = || name.to_owned();
    let value: Value = serde_json::from_slice(json).map_err(|source| {
        if source.is_eof() {
            ParseError::Truncated { name: name(), line: source.line() }
        } else {
            ParseError::NotJson { name: name(), source }
        }
    })?;
    let stated = value.get("schema");
    if stated != Some(&Value::from(SCHEMA)) {
        let found = stated.map_or_else(|| "none".to_owned(), Value::to_string);
        return Err(ParseError::Schema { name: name(), found: clip(&found, FOUND_CHARS) });
    }
    // Read again rather than made of the value, so that the error says where.
    serde_json::from_slice(json).map_err(|source| ParseError::Shape { name: name(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("tests/golden.json");

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let read = record("golden", GOLDEN).expect("the golden record is one");
        let written = serde_json::to_vec(&read).expect("a record is JSON");
        assert_eq!(record("again", &written).expect("what we write we read"), read);
    }

    #[test]
    fn a_record_cut_anywhere_is_called_truncated() {
        let end = GOLDEN.trim_ascii_end().len();
        for cut in (0..end).step_by(997).chain([0, 1, end - 1]) {
            let error = record("half.json", &GOLDEN[..cut]).expect_err("half a record");
            assert!(matches!(error, ParseError::Truncated { .. }), "cut at {cut}: {error}");
            assert!(error.to_string().starts_with("half.json ends too early"), "{error}");
        }
    }

    #[test]
    fn each_way_to_be_wrong_has_its_error() {
        let fails = |json: &str| record("x.json", json.as_bytes()).expect_err(json).to_string();
        assert!(fails("hello").starts_with("x.json is not JSON: "), "{}", fails("hello"));
        assert!(fails("{\"schema\":1}}").starts_with("x.json is not JSON: "));
        assert!(fails("[1, 2]").starts_with("x.json has schema none, "), "{}", fails("[1, 2]"));
        assert!(fails("{}").starts_with("x.json has schema none, "));
        assert!(fails("{\"schema\":2}").starts_with("x.json has schema 2, "));
        assert!(fails("{\"schema\":\"1\"}").starts_with("x.json has schema \"1\", "));
        let shape = fails("{\"schema\":1}");
        assert!(shape.starts_with("x.json is not a record of schema 1: missing field"), "{shape}");
        assert!(record("x.json", b"\xff\xfe").is_err());
    }
}
