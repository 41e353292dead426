//! Lines of the allocator: those of `allocator-lines`, of every allocator.

use allocator_lines::lines as lines_of;
use harness::contract::Allocator;
use harness::duel::Line;

#[cfg(feature = "snmalloc")]
use crate::adapters::snmalloc;
#[cfg(feature = "tcmalloc")]
use crate::adapters::tcmalloc;
use crate::adapters::{
    allocator, glibc, jemalloc, mimalloc, mimalloc_nothp, mimalloc_v2, rpmalloc, rusty_alloc,
    yours_allocator as yours,
};

const OURS: &str = env!("CARGO_PKG_VERSION");

/// The lines.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = lines_of::<allocator::Heap>(OURS, true);
    join::<glibc::Heap>(&mut lines, "system");
    join::<mimalloc::Heap>(&mut lines, "0.1.52");
    join::<mimalloc_nothp::Heap>(&mut lines, "0.1.52");
    join::<mimalloc_v2::Heap>(&mut lines, "2.3.2");
    join::<jemalloc::Heap>(&mut lines, "0.7.0");
    join::<rusty_alloc::Heap>(&mut lines, "2.4.0");
    join::<rpmalloc::Heap>(&mut lines, "0.2.2");
    #[cfg(feature = "snmalloc")]
    join::<snmalloc::Heap>(&mut lines, "0.7.6");
    #[cfg(feature = "tcmalloc")]
    join::<tcmalloc::Heap>(&mut lines, "0.1.19");
    if yours::is_judged() {
        add(&mut lines, lines_of::<yours::Heap>(OURS, true));
    }
    lines
}

/// Adds a peer.
fn join<A: Allocator>(lines: &mut [Line], version: &'static str) {
    add(lines, lines_of::<A>(version, false));
}

/// Adds the contenders of the same lines.
fn add(lines: &mut [Line], others: Vec<Line>) {
    for (line, other) in lines.iter_mut().zip(others) {
        line.contenders.extend(other.contenders);
    }
}
