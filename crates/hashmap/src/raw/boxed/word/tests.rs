//! Tests of the two words.

use super::*;

fn address(number: usize) -> *mut () {
    std::ptr::without_provenance_mut(number)
}

#[test]
fn states_keep_entry_and_tag() {
    let word = Word::live(address(0x7FFF_FFFF_FFF8), 0xABCD_0000_0000_0000, tail_of(0));
    for (it, live, frozen, offered) in [
        (word, true, false, false),
        (word.as_frozen(), true, true, false),
        (word.as_offered(), false, false, true),
        (word.as_frozen().as_live(), true, false, false),
    ] {
        assert_eq!((it.is_live(), it.is_frozen(), it.is_offered()), (live, frozen, offered));
        assert_eq!((it.entry(), it.tag()), (address(0x7FFF_FFFF_FFF8), 0xABCD));
        assert!(!it.is_vacant());
        assert_eq!(it.open_entry(), (live && !frozen).then_some(it.entry()));
        assert_eq!(it.matches(Probe::new(0xABCD << 48, tail_of(0))), live);
        assert!(!it.matches(Probe::new(0xABCC << 48, tail_of(0))));
    }
}

#[test]
fn tags_begin_at_the_base() {
    assert_eq!([0, 7, 8, 15, 16, 34].map(base_of), [0, 0, 8, 8, 16, 32]);
    let hash = 0x0123_4567_89AB_CDEF;
    let tags = [0, 8, 16, 32].map(|bits| Word::live(address(8), hash, tail_of(bits)).tag());
    assert_eq!(tags, [0x0123, 0x2345, 0x4567, 0x89AB]);
}

#[test]
fn vacancies_know_when_they_were_left() {
    let first = Header::from_raw(0);
    let second = first.after_commit(Some(3));
    assert!(Word::VIRGIN.is_vacant_at(first));
    assert!(Word::vacant(first).is_vacant_at(first) && Word::vacant(first) != Word::VIRGIN);
    assert!(!Word::vacant(second).is_vacant_at(first));
    assert!(
        [Word::VIRGIN, Word::vacant(second), Word::NONE].iter().all(|it| it.open_entry().is_none())
    );
    assert!(Word::vacant(second).is_vacant_at(second));
    let full = Header::from_raw(u64::MAX);
    assert!(Word::vacant(full).is_vacant() && !Word::vacant(full).is_live());
}

#[test]
fn headers_count_and_name() {
    let header = Header::from_raw(0);
    assert_eq!((header.version(), header.last()), (0, None));
    let named = header.after_commit(Some(PLACES_MAX - 1));
    assert_eq!((named.version(), named.last()), (1, Some(PLACES_MAX - 1)));
    let unnamed = named.after_commit(None);
    assert_eq!((unnamed.version(), unnamed.last()), (2, None));
    let frozen = named.as_frozen();
    assert!(frozen.is_frozen() && !frozen.is_moved() && frozen.version() == 1);
    assert!(frozen.as_moved().is_moved() && frozen.as_moved().last() == named.last());
    let last_version = Header::from_raw(u64::MAX << VERSION_SHIFT);
    assert_eq!(last_version.after_commit(Some(0)).version(), 0, "the version wraps");
}

#[test]
#[should_panic(expected = "above 48 bits")]
fn high_addresses_are_refused() {
    Word::live(address(1 << 48), 0, tail_of(0));
}
