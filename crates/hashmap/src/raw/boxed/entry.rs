//! A key, its value, and their hash, in one box.

/// What a live slot points to.
///
/// The hash comes first, where `transfer` reads it without knowing the types. It spares a rehash on
/// growth, which would be code of the user in the middle of a move; an allocator that hands out
/// multiples of 16 bytes less 8 gives it away for free with two words of key and value.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Entry<K, V> {
    pub(super) hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
}

impl<K, V> Entry<K, V> {
    pub(crate) fn new(hash: u64, key: K, value: V) -> Box<Self> {
        Box::new(Self { hash, key, value })
    }
}
