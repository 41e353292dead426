//! Tests of the session.

use crate::HashMap;

/// A thread that only writes through one session does not pile up what it unlinks.
#[test]
fn session_lets_garbage_go() {
    let map: HashMap<u64, u64> = HashMap::new();
    let session = map.session();
    let mut most = 0;
    for turn in 0..2_000_000 {
        session.insert(turn % 8, turn);
        most = most.max(map.garbage());
    }
    // Others of this process hold pins meanwhile, each for a moment.
    assert!(most < 2_000_000 * 24 / 4, "{most} bytes unlinked and not freed");
    assert_eq!(session.get(&7), Some(1_999_999));
}

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
