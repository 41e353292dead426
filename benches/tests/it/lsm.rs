//! Ordered stores under `check::suite::ordered_store`.

use benches::adapters::{fjall, lsm, redb, sled};
use harness::check::suite::Report;
use harness::check::suite::ordered_store::examine;
use harness::contract::OrderedStore;

use crate::known::{Examined, require};

fn examined<S: OrderedStore>(version: &'static str, report: Report) -> Examined {
    Examined { contender: S::NAME, version, report }
}

#[test]
fn peers_fail_what_is_written_down_and_ours_nothing() {
    assert_eq!(examine::<lsm::Store>().findings, []);
    let peers = [
        examined::<fjall::Store>("3.1.13", examine::<fjall::Store>()),
        examined::<redb::Store>("4.4.0", examine::<redb::Store>()),
        examined::<sled::Store>("0.34.7", examine::<sled::Store>()),
    ];
    require("lsm", &peers);
}
