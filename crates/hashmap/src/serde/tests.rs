//! Tests of the formats.

use super::*;

#[test]
fn maps_and_sets_come_back() {
    let map: HashMap<String, u64> = [("a".to_owned(), 1), ("b".to_owned(), 2)].into();
    let text = serde_json::to_string(&map).unwrap();
    assert_eq!(serde_json::from_str::<HashMap<String, u64>>(&text).unwrap(), map);
    let set: HashSet<u64> = [3].into_iter().collect();
    assert_eq!(serde_json::to_string(&set).unwrap(), "[3]");
    assert_eq!(serde_json::from_str::<HashSet<u64>>("[3,3]").unwrap(), set);
    assert!(serde_json::from_str::<HashSet<u64>>("{}").is_err());
    assert!(serde_json::from_str::<HashMap<String, u64>>("[]").is_err());
}
