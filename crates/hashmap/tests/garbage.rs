//! What a session lets go, in a process in which nobody else holds a pin: the collector is shared.

use hashmap::HashMap;

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
    assert!(most < 2_000_000 * 24 / 4, "{most} bytes unlinked and not freed");
    assert_eq!(session.get(&7), Some(1_999_999));
}
