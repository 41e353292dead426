//! Allocators under `check::suite::allocator`.

use benches::adapters::{
    allocator, glibc, jemalloc, mimalloc, mimalloc_nothp, mimalloc_v2, rpmalloc, rusty_alloc,
};
use harness::check::suite::allocator::examine;
use harness::contract::Allocator;

use crate::known::{Examined, require};

fn examined<A: Allocator>(version: &'static str) -> Examined {
    Examined { contender: A::NAME, version, report: examine::<A>() }
}

#[test]
fn peers_fail_what_is_written_down_and_ours_nothing() {
    assert_eq!(examine::<allocator::Heap>().findings, []);
    let peers = [
        examined::<glibc::Heap>("system"),
        examined::<mimalloc::Heap>("0.1.52"),
        examined::<mimalloc_nothp::Heap>("0.1.52"),
        examined::<mimalloc_v2::Heap>("2.3.2"),
        examined::<jemalloc::Heap>("0.7.0"),
        examined::<rusty_alloc::Heap>("2.4.0"),
        examined::<rpmalloc::Heap>("0.2.2"),
    ];
    require("allocator", &peers);
}
