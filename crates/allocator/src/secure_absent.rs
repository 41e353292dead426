//! Secure mode in a build without it: never on, so that the compiler drops every branch to it.

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::stats::Stats;

/// There are none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner;

impl Owner {
    pub(crate) const COMMON: Self = Self;

    pub(crate) fn fresh() -> Self {
        never()
    }
}

const fn never() -> ! {
    panic!("secure mode is not built")
}

pub(crate) const fn is_on() -> bool {
    false
}

pub(crate) const fn is_undecided() -> bool {
    false
}

pub(crate) const fn leave_off() {}

pub(crate) const fn start() {}

pub(crate) const fn watch_exit() {}

pub(crate) fn reseed() {
    never()
}

pub(crate) fn allocate(_: usize, _: usize, _: Owner) -> *mut u8 {
    never()
}

pub(crate) fn free(_: NonNull<u8>, _: Option<Layout>) {
    never()
}

pub(crate) fn usable_size(_: NonNull<u8>) -> usize {
    never()
}

pub(crate) fn reallocate(_: NonNull<u8>, _: Option<Layout>, _: usize) -> *mut u8 {
    never()
}

pub(crate) fn destroy(_: Owner) {
    never()
}

pub(crate) fn collect() {
    never()
}

pub(crate) fn count(_: &mut Stats) {
    never()
}

pub(crate) fn close() {
    never()
}

pub(crate) fn open() {
    never()
}
