//! Numbers that a program cannot guess without reading the allocator's memory: xorshift64* with a
//! seed from the system (Vigna, "An experimental exploration of Marsaglia's xorshift generators").

/// A generator, behind the lock of whoever has it.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Of no use before it has a seed.
    pub(super) const fn new() -> Self {
        Self(1)
    }

    /// Mixes a seed in.
    pub(super) fn reseed(&mut self, seed: u64) {
        // A state of zero would stay zero.
        self.0 = (self.0 ^ seed).max(1);
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which is above zero and small, so that the bias is too.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let high = usize::try_from(self.next() >> 32).expect("32 bits");
        (high * bound) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn every_number_below_the_bound_comes_about_equally_often() {
        let mut random = Random::new();
        random.reseed(7);
        let mut seen = [0_u32; 10];
        (0..10_000).for_each(|_| seen[random.below(10)] += 1);
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
    }
}
