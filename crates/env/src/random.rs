//! Randomness: one trait, the machine's entropy, and a stream that a seed determines.
//!
//! | source           | is                                  | for                                 |
//! |------------------|-------------------------------------|-------------------------------------|
//! | [`OsRandom`]     | the kernel's generator              | secrets, and seeds of real programs |
//! | [`SeededRandom`] | xoshiro256++                        | simulations, tests, election jitter |
//!
//! An engine takes a `&mut dyn Random` or a `Box<dyn Random>`, so that a simulation can decide
//! what chance brings and repeat it.
//!
//! # What this module does not do
//!
//! It draws numbers, not distributions: those of workloads live in `harness::workload`.

mod os;
mod seeded;

pub use os::OsRandom;
pub use seeded::SeededRandom;

/// A source of random numbers.
pub trait Random: Send {
    /// The next number, uniform over all of `u64`.
    fn next_u64(&mut self) -> u64;

    /// Fills `buffer` with random bytes.
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A number below `bound`, each equally likely. Panics when `bound` is zero.
    ///
    /// The method is that of Lemire, "Fast random integer generation in an interval", TOMACS 2019:
    /// the high half of a product is the result, and the low half tells the few draws that would
    /// make some results likelier than others.
    fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below zero");
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            let low = product & u128::from(u64::MAX);
            // `2^64 mod bound` draws are one too many for some results; skip as many.
            if low >= u128::from(bound) || low >= (1 << 64) % u128::from(bound) {
                return u64::try_from(product >> 64).expect("the high half of 128 bits is 64");
            }
        }
    }
}

impl<R: Random + ?Sized> Random for &mut R {
    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }

    fn fill(&mut self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}

impl<R: Random + ?Sized> Random for Box<R> {
    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }

    fn fill(&mut self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}

#[cfg(test)]
mod tests;
