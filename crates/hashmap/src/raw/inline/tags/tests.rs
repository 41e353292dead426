//! Tests of tags: the vector against the definition.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn equal_is_by_byte(words: [u64; 2], tag in 0_u8..4, few: [u8; 16]) {
        let few: [u64; 2] = [0, 8].map(|at| {
            u64::from_le_bytes(std::array::from_fn(|byte| few[at + byte] % 4))
        });
        for words in [words, few] {
            let bytes = [words[0].to_le_bytes(), words[1].to_le_bytes()].concat();
            let expected: Vec<usize> = (0..HOME).filter(|&slot| bytes[slot] == tag).collect();
            prop_assert_eq!(Tags(words).equal(tag).collect::<Vec<_>>(), expected.clone());
            let [low, high] = [0, 1].map(|word: usize| equal_bytes_of_word(words[word], tag));
            let by_word = low | high << 8;
            prop_assert_eq!(Slots(by_word & ALL).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn occupied_and_free_are_opposites() {
    let tags = Tags([0x0001_00ff, 0]);
    assert_eq!(tags.occupied().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(tags.free_slot(), Some(1));
    assert_eq!(Tags([u64::MAX; 2]).free_slot(), None);
}

#[test]
fn no_hash_has_the_tag_of_an_empty_slot() {
    assert_eq!(tag_of(0), 1);
    assert_eq!(tag_of(0xab << 24), 0xab);
}
