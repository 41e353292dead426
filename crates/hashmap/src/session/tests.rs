//! Tests of the session.

use crate::HashMap;
use crate::guard::{Computed, Operation};

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

/// A map of strings is asked by slices, and makes a string of one only where it is inserted.
#[test]
fn borrowed_keys_do_for_every_operation() {
    let map: HashMap<String, u64> = HashMap::new();
    let session = map.session();
    let count = |word: &str| {
        session.with(|pinned| *pinned.update_or_insert_with(word, |count| count + 1, || 1))
    };
    assert_eq!((count("lock"), count("free"), count("lock")), (1, 1, 2));
    assert_eq!((session.get("lock"), session.contains_key("wait")), (Some(2), false));
    assert_eq!(session.update("free", |count| count + 6), Some(7));
    session.with(|pinned| {
        assert_eq!(pinned.compare_exchange("free", &7, 8), Ok(&7));
        assert_eq!(pinned.compute("free", |_| Operation::Remove), Computed::Removed(&8));
        assert_eq!(pinned.compute("wait", |_| Operation::Put(3)), Computed::Inserted(&3));
        assert_eq!(pinned.update("free", |count| count + 1), None);
    });
    assert_eq!((session.remove("wait"), session.remove("lock")), (Some(3), Some(2)));
    assert!(map.is_empty());
}
