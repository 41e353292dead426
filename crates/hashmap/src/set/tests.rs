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
