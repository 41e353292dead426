//! Ranges of keys, and which tables a walk through one can do without.

use std::ops::{Bound, RangeBounds};

use crate::run::Run;
use crate::table::{Table, hash};

/// So many filters are asked at most whether a run is needed.
const TABLES_ASKED: usize = 8;

/// Keys from the first on, below the second if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) lower: Vec<u8>,
    pub(crate) upper: Option<Vec<u8>>,
}

impl Range {
    /// The range of such bounds.
    pub(crate) fn of<'k>(range: &impl RangeBounds<&'k [u8]>) -> Self {
        // The smallest key above a key is the key and a zero.
        let above = |key: &[u8]| [key, &[0]].concat();
        let lower = match range.start_bound() {
            Bound::Included(key) => key.to_vec(),
            Bound::Excluded(key) => above(key),
            Bound::Unbounded => Vec::new(),
        };
        let upper = match range.end_bound() {
            Bound::Included(key) => Some(above(key)),
            Bound::Excluded(key) => Some(key.to_vec()),
            Bound::Unbounded => None,
        };
        Self { lower, upper }
    }

    /// The keys that begin with these bytes.
    pub(crate) fn of_prefix(prefix: &[u8]) -> Self {
        Self { lower: prefix.to_vec(), upper: behind(prefix) }
    }

    /// The first `len` bytes of all its keys, where they have so many in common.
    fn common(&self, len: usize) -> Option<&[u8]> {
        let prefix = self.lower.get(..len)?;
        let is_common = match (&self.upper, behind(prefix)) {
            (Some(upper), Some(behind)) => *upper <= behind,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        is_common.then_some(prefix)
    }

    /// Whether a walk through the range has to look at a run: it overlaps it, and where all keys
    /// of the range begin alike, a filter has seen such.
    pub(crate) fn needs(&self, run: &Run) -> bool {
        let mut tables = run.between(&self.lower, self.upper.as_deref()).iter();
        // Many tables: one of them will, and to ask them all is not worth it.
        tables.len() > TABLES_ASKED || tables.any(|it| self.may_be_in(it))
    }

    fn may_be_in(&self, table: &Table) -> bool {
        let len = table.meta.special.prefix_len as usize;
        let prefix = if len == 0 { None } else { self.common(len) };
        prefix.is_none_or(|it| table.may_hold(hash(it)))
    }
}

/// The first key that is above all keys with this prefix; there is none above 0xff, 0xff, ...
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|it| *it < u8::MAX)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_prefix_is_what_begins_with_it() {
        let keys: [&[u8]; 8] =
            [b"", b"a", b"ab", b"ab\0", b"ab\xff", b"ac", b"\xff", b"\xff\xff\x01"];
        for prefix in [&b""[..], b"a", b"ab", b"\xff", b"\xff\xff", b"b"] {
            let range = Range::of_prefix(prefix);
            for key in keys {
                let is_in =
                    *key >= *range.lower && range.upper.as_ref().is_none_or(|it| *key < **it);
                assert_eq!(is_in, key.starts_with(prefix), "{key:?} and {prefix:?}");
            }
        }
    }

    #[test]
    fn only_what_all_keys_begin_with_is_common() {
        let range = |lower: &[u8], upper: Option<&[u8]>| Range {
            lower: lower.to_vec(),
            upper: upper.map(<[u8]>::to_vec),
        };
        assert_eq!(range(b"ab1", Some(b"ab7")).common(2), Some(&b"ab"[..]));
        assert_eq!(range(b"ab1", Some(b"ab7")).common(3), None);
        assert_eq!(range(b"ab", Some(b"ac")).common(2), Some(&b"ab"[..]));
        assert_eq!(range(b"ab", Some(b"ac\0")).common(2), None);
        assert_eq!(range(b"a", Some(b"ab")).common(2), None, "a is shorter");
        assert_eq!(range(b"ab", None).common(2), None);
        assert_eq!(range(b"\xff\xff\x01", None).common(2), Some(&b"\xff\xff"[..]));
    }
}
