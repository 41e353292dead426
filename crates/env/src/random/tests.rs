use super::{OsRandom, Random, SeededRandom};

/// Yields what it is told, for tests of what is built on top.
struct Listed(Vec<u64>);

impl Random for Listed {
    fn next_u64(&mut self) -> u64 {
        self.0.remove(0)
    }
}

#[test]
fn stream_matches_the_published_vector() {
    let mut random = SeededRandom::from_state([1, 2, 3, 4]);
    let got: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
    let published = [
        41_943_041,
        58_720_359,
        3_588_806_011_781_223,
        3_591_011_842_654_386,
        9_228_616_714_210_784_205,
    ];
    assert_eq!(got, published);
}

#[test]
fn seed_zero_is_as_good_as_another() {
    let mut random = SeededRandom::new(0);
    let ones: u32 = (0..1_000).map(|_| random.next_u64().count_ones()).sum();
    // 64,000 fair bits have a standard deviation of 126.
    assert!((31_300..32_700).contains(&ones), "{ones} of 64,000 bits are set");
}

#[test]
fn forked_stream_is_another_one() {
    let mut random = SeededRandom::new(1);
    let mut fork = random.fork();
    assert_ne!(random.next_u64(), fork.next_u64());
}

#[test]
fn below_is_even() {
    let mut random = SeededRandom::new(3);
    let mut counts = [0_u32; 6];
    for _ in 0..60_000 {
        counts[usize::try_from(random.below(6)).unwrap()] += 1;
    }
    // The standard deviation is 91.
    assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
}

#[test]
fn below_skips_the_draws_that_would_bias_it() {
    // 2^64 mod 3 is 1: of the draws whose low half is below 1, there is one, zero itself.
    assert_eq!(Listed(vec![0, u64::MAX]).below(3), 2);
    assert_eq!(Listed(vec![1]).below(3), 0);
}

#[test]
#[should_panic(expected = "no number is below zero")]
fn below_zero_is_refused() {
    SeededRandom::new(1).below(0);
}

#[test]
fn fill_uses_the_low_bytes_of_the_last_number() {
    let mut bytes = [0; 11];
    Listed(vec![0x0807_0605_0403_0201, 0xFFFF_FFFF_FF0B_0A09]).fill(&mut bytes);
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn machine_gives_different_bytes_each_time() {
    let (mut one, mut other) = ([0_u8; 1_000], [0_u8; 1_000]);
    OsRandom.fill(&mut one);
    OsRandom.fill(&mut other);
    assert_ne!(one, other);
    let dynamic: &mut dyn Random = &mut OsRandom;
    assert!(dynamic.below(10) < 10);
}
