//! Tests of the session.

use crate::HashMap;

#[test]
fn nested_operations_do_not_lose_the_pin() {
    let map: HashMap<u64, String> = HashMap::new();
    let session = map.session();
    session.insert(1, "outer".to_owned());
    let copy = session.with(|pinned| {
        let outer = pinned.get(&1).expect("just inserted");
        (0..1_000).for_each(|turn| {
            session.insert(1, turn.to_string());
        });
        outer.clone()
    });
    assert_eq!(copy, "outer");
    assert_eq!(session.remove(&1).as_deref(), Some("999"));
    assert!(!session.contains_key(&1));
}
