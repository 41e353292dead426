//! The allocator under the suite of its family.

mod oracle;
mod thrift;

use harness::contract::Allocator;

use crate::Strata;

static STRATA: Strata = Strata::new();

impl Allocator for Strata {
    const NAME: &'static str = "allocator";

    fn get() -> &'static Self {
        &STRATA
    }

    fn collect(&self) {
        Strata::collect(self);
    }
}

harness::allocator_suite!(conformance, Strata);
