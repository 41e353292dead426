//! Concurrent maps under `check::suite::map`.

use benches::adapters::{dashmap, flurry, hashmap, hashmap_word, papaya, rwlock, scc};
use harness::check::suite::Report;
use harness::check::suite::map::examine;
use harness::contract::ConcurrentMap;

use crate::known::{Examined, require};

fn examined<M: ConcurrentMap<u64, u64>>(version: &'static str, report: Report) -> Examined {
    Examined { contender: M::NAME, version, report }
}

#[test]
fn peers_fail_what_is_written_down_and_ours_nothing() {
    assert_eq!(examine::<hashmap_word::Map>().findings, []);
    assert_eq!(examine::<hashmap::Map<u64, u64>>().findings, []);
    let peers = [
        examined::<papaya::Map<u64, u64>>("0.2.5", examine::<papaya::Map<u64, u64>>()),
        examined::<scc::Map<u64, u64>>("3.8.8", examine::<scc::Map<u64, u64>>()),
        examined::<dashmap::Map<u64, u64>>("6.2.1", examine::<dashmap::Map<u64, u64>>()),
        examined::<flurry::Map<u64, u64>>("0.5.2", examine::<flurry::Map<u64, u64>>()),
        examined::<rwlock::Sharded64<u64, u64>>(
            "hashbrown 0.17.1",
            examine::<rwlock::Sharded64<u64, u64>>(),
        ),
        examined::<rwlock::Single<u64, u64>>(
            "hashbrown 0.17.1",
            examine::<rwlock::Single<u64, u64>>(),
        ),
    ];
    require("hashmap", &peers);
}
