//! How long a value is and what stands in it.
//!
//! Sizes decide how much is copied; content decides how well it compresses. An engine that
//! compresses would win every comparison on zeros and lose it on noise, so the ratio is stated.

use super::WorkloadError;
use super::check_fraction;
use crate::rng::SplitMix64;

/// Lengths of values in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueSize {
    /// Always this many.
    Fixed(u32),
    /// Each length of the range as likely as any other; both ends are included.
    Uniform {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// From 1 to `max`, small ones more often: length `l` has a probability proportional to
    /// `1 / l` (YCSB's field lengths with the `zipfian` setting, with the exponent 1). Half of the
    /// values are about as long as the square root of `max` or shorter.
    Small {
        /// The largest.
        max: u32,
    },
}

impl ValueSize {
    /// A YCSB record: ten fields of 100 bytes.
    pub const YCSB_RECORD: Self = Self::Fixed(1_000);

    /// Refuses an empty range.
    pub fn check(self) -> Result<(), WorkloadError> {
        let (low, high) = match self {
            Self::Fixed(_) => return Ok(()),
            Self::Uniform { min, max } => (min, max),
            Self::Small { max } => (1, max),
        };
        if low <= high {
            Ok(())
        } else {
            let (low, high) = (u64::from(low), u64::from(high));
            Err(WorkloadError::EmptyRange { what: "value size", low, high })
        }
    }

    /// Draws the length of the next value.
    pub fn draw(self, rng: &mut SplitMix64) -> u32 {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Uniform { min, max } => {
                assert!(min <= max, "value sizes from {min} to {max} are an empty range");
                let offset = rng.below(u64::from(max - min) + 1);
                min + u32::try_from(offset).expect("the offset is at most max - min")
            }
            Self::Small { max } => draw_small(max, rng),
        }
    }
}

/// A length in `1 ..= max` with a probability close to `1 / l`: the integer part of
/// `(max + 1)^u`, which falls into `l .. l + 1` with probability `ln(1 + 1 / l) / ln(max + 1)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fraction is meant to go, and the power lies between 1 and max + 1"
)]
fn draw_small(max: u32, rng: &mut SplitMix64) -> u32 {
    assert!(max > 0, "the largest value size is zero; it must be at least one");
    let length = (f64::from(max) + 1.0).powf(rng.next_f64()) as u32;
    length.clamp(1, max)
}

/// Makes the bytes of values, compressible to a stated degree.
///
/// Values are cut from one pool, at a place that the seed and the call decide, so that making one
/// costs a copy and no more. Of each 64 bytes of the pool the first part is noise and the rest one
/// repeated letter, so that any compressor of the LZ77 family (lz4, zstd) comes close to the ratio.
#[derive(Clone, Debug)]
pub struct ValueContent {
    pool: Vec<u8>,
    rng: SplitMix64,
}

impl ValueContent {
    /// Bytes of the pool; longer values repeat it.
    const POOL: usize = 1 << 20;
    /// Length of one stretch of noise and its filling.
    const STRETCH: usize = 64;

    /// Content that compresses to about `ratio` of its size: 1.0 is noise, 0.0 one letter.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is at most one, so the product is at most 64"
    )]
    pub fn new(ratio: f64, seed: u64) -> Result<Self, WorkloadError> {
        check_fraction("compression ratio", ratio)?;
        let mut rng = SplitMix64::new(seed);
        let noise = (ratio * 64.0).round() as usize;
        let mut pool = vec![b'a'; Self::POOL];
        for stretch in pool.chunks_mut(Self::STRETCH) {
            for byte in &mut stretch[..noise] {
                *byte = rng.next_u64().to_le_bytes()[0];
            }
        }
        Ok(Self { pool, rng })
    }

    /// Fills `value` with the next content.
    pub fn fill(&mut self, value: &mut [u8]) {
        let mut start = usize::try_from(self.rng.below(Self::POOL as u64)).expect("a pool index");
        let mut rest = value;
        while !rest.is_empty() {
            let length = rest.len().min(Self::POOL - start);
            let (head, tail) = rest.split_at_mut(length);
            head.copy_from_slice(&self.pool[start..start + length]);
            rest = tail;
            start = 0;
        }
    }

    /// The next content in a vector of its own.
    pub fn value(&mut self, bytes: usize) -> Vec<u8> {
        let mut value = vec![0; bytes];
        self.fill(&mut value);
        value
    }
}
