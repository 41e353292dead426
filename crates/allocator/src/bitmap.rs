//! Bit sets of a fixed size, in cells: whoever holds the lock of their owner may change them.

use std::cell::Cell;

/// `64 * WORDS` bits.
#[derive(Debug)]
pub(crate) struct Bitmap<const WORDS: usize> {
    words: [Cell<u64>; WORDS],
}

impl<const WORDS: usize> Bitmap<WORDS> {
    /// Number of bits.
    pub(crate) const BITS: usize = WORDS * 64;

    /// Whether the bit is set.
    #[cfg(test)]
    pub(crate) fn get(&self, bit: usize) -> bool {
        self.words[bit / 64].get() >> (bit % 64) & 1 == 1
    }

    /// Sets or clears the bits from `start` on.
    pub(crate) fn fill(&self, start: usize, count: usize, value: bool) {
        Self::each_word(start, count, |word, mask| {
            let old = self.words[word].get();
            self.words[word].set(if value { old | mask } else { old & !mask });
        });
    }

    /// Number of set bits from `start` on.
    pub(crate) fn count(&self, start: usize, count: usize) -> usize {
        let mut sum = 0;
        Self::each_word(start, count, |word, mask| {
            sum += (self.words[word].get() & mask).count_ones() as usize;
        });
        sum
    }

    /// The first `count` set bits in a row that begin at a multiple of `align`, at or after `from`.
    pub(crate) fn find_run(&self, from: usize, count: usize, align: usize) -> Option<usize> {
        let mut start = from;
        loop {
            start = self.next(start, true)?.next_multiple_of(align);
            if start + count > Self::BITS {
                return None;
            }
            let end = self.next(start, false).unwrap_or(Self::BITS);
            if end >= start + count {
                return Some(start);
            }
            // Behind the bit that is missing; alignment may have led to one at once.
            start = end + 1;
        }
    }

    /// The bits that are set here and not in `other`, in order.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let words = self.words.iter().zip(&other.words);
        words.enumerate().flat_map(|(word, (mine, theirs))| {
            let mut bits = mine.get() & !theirs.get();
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }

    /// Length of the row of set bits that begins at `start`.
    pub(crate) fn run_length(&self, start: usize) -> usize {
        self.next(start, false).unwrap_or(Self::BITS) - start
    }

    /// Takes over all bits of `other` and clears them there.
    pub(crate) fn take_from(&self, other: &Self) {
        for (mine, theirs) in self.words.iter().zip(&other.words) {
            mine.set(mine.get() | theirs.replace(0));
        }
    }

    /// The first bit of this value at or after `from`.
    fn next(&self, from: usize, value: bool) -> Option<usize> {
        let mut word = from / 64;
        let mut mask = u64::MAX << (from % 64);
        while word < WORDS {
            let bits = if value { self.words[word].get() } else { !self.words[word].get() } & mask;
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            word += 1;
            mask = u64::MAX;
        }
        None
    }

    fn each_word(start: usize, count: usize, mut visit: impl FnMut(usize, u64)) {
        assert!(start + count <= Self::BITS, "bits {start} to {} of {}", start + count, Self::BITS);
        let (mut start, end) = (start, start + count);
        while start < end {
            let here = (64 - start % 64).min(end - start);
            visit(start / 64, (u64::MAX >> (64 - here)) << (start % 64));
            start += here;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::Bitmap;

    fn empty() -> Bitmap<4> {
        Bitmap { words: [const { Cell::new(0) }; 4] }
    }

    proptest! {
        /// A set of bits and a vector of booleans answer alike.
        #[test]
        fn matches_a_vector(
            fills in prop::collection::vec((0_usize..256, 0_usize..90, any::<bool>()), 1..20),
            from in 0_usize..256, count in 1_usize..70, align in 0_u32..5,
        ) {
            let (bits, other, mut model) = (empty(), empty(), vec![false; 256]);
            for (start, length, value) in fills {
                let length = length.min(256 - start);
                bits.fill(start, length, value);
                model[start..start + length].fill(value);
            }
            let align = 1 << align;
            let fits = |&start: &usize| {
                start % align == 0
                    && start + count <= 256
                    && model[start..start + count].iter().all(|it| *it)
            };
            prop_assert_eq!(bits.find_run(from, count, align), (from..256).find(fits));
            prop_assert_eq!(bits.count(0, 256), model.iter().filter(|it| **it).count());
            prop_assert!((0..256).all(|bit| bits.get(bit) == model[bit]));
            let end = (from + count).min(256);
            other.fill(from, end - from, true);
            let without = |bit: &usize| model[*bit] && !(from..end).contains(bit);
            prop_assert!(bits.without(&other).eq((0..256).filter(without)));
            let run = model[from..].iter().take_while(|it| **it).count();
            prop_assert_eq!(bits.run_length(from), run);
        }
    }
}
