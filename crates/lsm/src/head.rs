//! Heads: eight bytes that decide most comparisons of keys.
//!
//! A comparison of two keys costs two cache misses, one for each. A *head* is the key's first eight
//! bytes behind a prefix that all keys of a table are expected to share, as a number that sorts the
//! same way. Arrays of heads are searched instead of keys:
//!
//! ```text
//!   prefix "user:"      key "user:000317"   head = "000317\0\0" as a big-endian number
//!                       key "admin"         head = 0            below every key with the prefix
//!                       key "zebra"         head = u64::MAX     above every key with the prefix
//! ```
//!
//! Heads are monotone, not injective: `a < b` implies `head(a) <= head(b)`. Different heads decide;
//! **equal heads say nothing**, and the whole keys are compared. A store that judged keys by their
//! first bytes alone would lose all but one of each family that shares them.

use std::cmp::Ordering;

/// What keys are expected to begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix(Box<[u8]>);

impl Prefix {
    /// The longest prefix of both keys, and so of all that lie between them.
    pub(crate) fn shared(a: &[u8], b: &[u8]) -> Self {
        Self(a[..shared_len(a, b)].into())
    }

    /// The head of a key.
    #[inline]
    pub(crate) fn head(&self, key: &[u8]) -> u64 {
        match key.strip_prefix(&*self.0) {
            Some(rest) => first_eight(rest),
            None if *key < *self.0 => 0,
            None => u64::MAX,
        }
    }
}

/// How many bytes two keys share at their beginning.
pub(crate) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The first eight bytes as a big-endian number; a shorter key is filled up with zeros.
#[inline]
pub(crate) fn first_eight(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => key.iter().rev().fold(0, |word, &byte| (word >> 8) | (u64::from(byte) << 56)),
    }
}

/// How two keys compare, by their heads where these decide.
#[inline]
pub(crate) fn compare(head: u64, key: &[u8], other: u64, other_key: &[u8]) -> Ordering {
    head.cmp(&other).then_with(|| key.cmp(other_key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn heads_never_contradict_keys(
            prefix in "[a-c]{0,3}",
            a in "[a-c]{0,12}",
            b in "[a-c\\x00\\xff]{0,12}",
        ) {
            let prefix = Prefix(prefix.into_bytes().into());
            let (head_a, head_b) = (prefix.head(a.as_bytes()), prefix.head(b.as_bytes()));
            if a.as_bytes() <= b.as_bytes() {
                prop_assert!(head_a <= head_b);
            }
            let judged = compare(head_a, a.as_bytes(), head_b, b.as_bytes());
            prop_assert_eq!(judged, a.as_bytes().cmp(b.as_bytes()));
        }
    }

    #[test]
    fn keys_of_one_head_are_told_apart() {
        let prefix = Prefix::shared(b"key_0000000000", b"key_0000019999");
        let (a, b) = (b"key_0000010000\0\0\0\0\0a", b"key_0000010000\0\0\0\0\0b");
        assert_eq!(prefix.head(a), prefix.head(b));
        assert_eq!(compare(prefix.head(a), a, prefix.head(b), b), Ordering::Less);
    }
}
