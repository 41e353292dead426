//! Two numbers in one word, so that an allocation changes both at the price of one.
//!
//! ```text
//!   | overdrawn: 1 bit | left: 31 bits, allocations until the next sample | used: 32 bits, out |
//! ```
//!
//! An allocation adds one to `used` and takes one from `left`: one addition. When `left` was zero,
//! the sign bit tells, and the allocation is the one to be sampled by the heap profile.

/// See the module's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts(u64);

const LEFT: u64 = 1 << 32;

impl Counts {
    /// The largest `left`.
    pub(crate) const LEFT_MAX: u32 = u32::MAX >> 1;

    /// No block is out.
    pub(crate) const fn new(left: u32) -> Self {
        debug_assert!(left <= Self::LEFT_MAX, "31 bits");
        Self((left as u64) << 32)
    }

    /// The word.
    #[inline(always)]
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    /// The numbers that a word holds.
    #[inline(always)]
    pub(super) const fn of(word: u64) -> Self {
        Self(word)
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(crate) const fn used(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn with_used(self, used: u32) -> Self {
        Self(self.0 & !(u32::MAX as u64) | used as u64)
    }

    pub(crate) const fn with_left(self, left: u32) -> Self {
        Self(Self::new(left).0 | self.used() as u64)
    }

    /// One block more is out; `None` where it is to be a sample.
    #[inline(always)]
    pub(crate) const fn taken(self) -> Option<Self> {
        let next = self.0.wrapping_sub(LEFT - 1);
        if next.cast_signed() < 0 { None } else { Some(Self(next)) }
    }

    /// Whether the next block is to be a sample.
    pub(crate) const fn is_due(self) -> bool {
        self.0 < LEFT
    }

    /// So many blocks fewer are out.
    #[inline(always)]
    pub(crate) const fn given(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn both_numbers_are_kept() {
        let mut counts = Counts::new(3);
        for out in 1..=3 {
            assert!(!counts.is_due());
            counts = counts.taken().expect("three are left");
            assert_eq!(counts.used(), out);
        }
        assert!(counts.is_due() && counts.taken().is_none());
        counts = counts.given(2);
        assert_eq!((counts.used(), counts.is_due()), (1, true));
        counts = counts.with_left(Counts::LEFT_MAX).with_used(7);
        assert_eq!(counts.taken().map(Counts::used), Some(8));
        assert_eq!(counts.with_left(0).used(), 7);
    }
}
