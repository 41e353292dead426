//! A blocked Bloom filter: whether a table may hold a key, in one cache miss.
//!
//! A key's hash chooses a line of 64 bytes, and in each of the line's eight words one bit (Putze,
//! Sanders, Singler, "Cache-, hash- and space-efficient Bloom filters", 2007). All are set:
//! perhaps. One is not: the key is not there. With ten bits a key about one absent key in a hundred
//! is let through, with sixteen one in a thousand.
//!
//! How many bits a table gets is a question of the tree: see `db/work.rs`.

/// Words of a line.
const WORDS: usize = 8;

/// Odd numbers, one for each word, that spread the same hash differently.
const SPREAD: [u64; WORDS] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
];

#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Line([u64; WORDS]);

/// A filter over the hashes of keys. An empty one holds every key for possible.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    lines: Box<[Line]>,
}

impl Filter {
    /// A filter of these hashes.
    pub(crate) fn build(hashes: &[u64], bits_per_key: usize) -> Self {
        let lines = (hashes.len() * bits_per_key).div_ceil(64 * WORDS);
        let mut filter = Self { lines: vec![Line::default(); lines].into() };
        if lines > 0 {
            for &hash in hashes {
                let line = &mut filter.lines[place(hash, lines)];
                for (word, bit) in line.0.iter_mut().zip(bits(hash)) {
                    *word |= bit;
                }
            }
        }
        filter
    }

    /// Whether a key of this hash may be there.
    #[inline]
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        let Some(line) = self.lines.get(place(hash, self.lines.len())) else { return true };
        // No way out in the middle: the words are in one line, and a jump costs more than they do.
        line.0.iter().zip(bits(hash)).fold(0, |missing, (word, bit)| missing | (!word & bit)) == 0
    }

    /// Whether it knows no key, and holds every one for possible.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What it takes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    /// Its bytes in a file.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for word in self.lines.iter().flat_map(|line| line.0) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// The filter of such bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (lines, rest) = bytes.as_chunks::<{ 8 * WORDS }>();
        if !rest.is_empty() {
            return Err("filter length");
        }
        let line = |bytes: &[u8; 8 * WORDS]| {
            let (words, _) = bytes.as_chunks();
            let mut line = Line::default();
            for (word, bytes) in line.0.iter_mut().zip(words) {
                *word = u64::from_le_bytes(*bytes);
            }
            line
        };
        Ok(Self { lines: lines.iter().map(line).collect() })
    }
}

/// The line of a hash, by its upper bits.
#[inline]
fn place(hash: u64, lines: usize) -> usize {
    let product = u128::from(hash) * lines as u128;
    usize::try_from(product >> 64).expect("it is below `lines`")
}

/// One bit for each word.
#[inline]
fn bits(hash: u64) -> [u64; WORDS] {
    SPREAD.map(|odd| 1 << (hash.wrapping_mul(odd) >> 58))
}

#[cfg(test)]
mod tests {
    use harness::rng::SplitMix64;

    use super::*;

    fn hashes(seed: u64, count: usize) -> Vec<u64> {
        let mut random = SplitMix64::new(seed);
        (0..count).map(|_| random.next_u64()).collect()
    }

    #[test]
    fn what_was_put_in_is_found_and_little_else_is() {
        for (bits_per_key, at_most) in [(10, 0.015), (16, 0.003)] {
            let filter = Filter::build(&hashes(1, 50_000), bits_per_key);
            assert!(hashes(1, 50_000).iter().all(|it| filter.may_hold(*it)));
            let wrong = hashes(2, 100_000).iter().filter(|it| filter.may_hold(**it)).count();
            let share = wrong as f64 / 100_000.0;
            assert!(share < at_most, "{bits_per_key} bits let {share} through");
        }
    }

    #[test]
    fn a_filter_outlives_its_file() {
        let filter = Filter::build(&hashes(1, 1_000), 10);
        let mut bytes = Vec::new();
        filter.encode(&mut bytes);
        let copy = Filter::decode(&bytes).expect("it was just written");
        assert!(hashes(2, 9_000).iter().all(|it| copy.may_hold(*it) == filter.may_hold(*it)));
        assert!(Filter::decode(&bytes[1..]).is_err());
    }

    #[test]
    fn an_empty_filter_excludes_nothing() {
        assert!(Filter::build(&[], 10).may_hold(7) && Filter::build(&[1], 0).may_hold(7));
    }
}
