//! Tests of the set.

use super::*;

#[test]
fn elements_come_and_go() {
    let set: HashSet<String> = ["a", "b"].into_iter().map(str::to_owned).collect();
    let pinned = set.pin();
    assert!(
        pinned.contains("a") && !pinned.insert("a".to_owned()) && pinned.insert("c".to_owned())
    );
    assert_eq!(pinned.take("b").map(String::as_str), Some("b"));
    assert!(!pinned.remove("b") && set.contains("c"));
    assert_eq!(set, set.clone());
    pinned.retain(|it| it == "c");
    assert_eq!((set.len(), pinned.get("c").map(String::as_str)), (1, Some("c")));
    assert_eq!(format!("{set:?} {pinned:?}"), r#"{"c"} {"c"}"#);
    pinned.clear();
    assert!(set.is_empty() && pinned.iter().next().is_none());
}

/// More than a window, with some twice and some there before: as one by one.
#[test]
fn many_elements_at_once_are_as_many_one_by_one() {
    let set: HashSet<u64> = (0..10).collect();
    let pinned = set.pin();
    assert_eq!(pinned.insert_many((5..45).chain(20..30)), 35);
    assert_eq!((pinned.insert_many([]), set.len()), (0, 45));
    let asked: Vec<u64> = (0..60).rev().collect();
    let present: Vec<bool> = asked.iter().map(|&it| it < 45).collect();
    assert_eq!(pinned.contains_many(&asked), present);
    let mut found = Vec::new();
    pinned.get_many(&asked, |index, stored| found.push((index, stored.copied())));
    let expected: Vec<_> =
        asked.iter().enumerate().map(|(index, &it)| (index, (it < 45).then_some(it))).collect();
    assert_eq!(found, expected);
}
