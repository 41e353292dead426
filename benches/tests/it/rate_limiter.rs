//! Rate limiters under `check::suite::limiter`.
//!
//! What a peer fails is data: the properties named here are those that its version is known to
//! fail. A new finding, or one that is gone, fails the test, so that the list stays true.

use std::collections::BTreeSet;

use benches::adapters::{governor, rate_limiter, ratelimit};
use harness::check::suite::limiter::examine;
use harness::contract::SteeredLimiter;

fn failed_properties<L: SteeredLimiter>() -> BTreeSet<String> {
    let report = examine::<L>();
    assert!(report.checked > 0, "the suite judged nothing");
    report.findings.iter().map(|finding| finding.property.to_string()).collect()
}

#[test]
fn ours_fails_nothing() {
    assert_eq!(failed_properties::<rate_limiter::Steered>(), BTreeSet::new());
}

/// Whole-nanosecond intervals (`long_run`) and unchecked products that wrap (`big_bursts`).
#[test]
fn governor_fails_what_it_is_known_to_fail() {
    let failed = failed_properties::<governor::Steered>();
    println!("governor fails {failed:?}");
    assert!(failed.contains("long_run"), "{failed:?}");
}

/// Remainders lost at each refill (`slow_polling`).
#[test]
fn ratelimit_fails_what_it_is_known_to_fail() {
    let failed = failed_properties::<ratelimit::Steered>();
    println!("ratelimit fails {failed:?}");
    assert!(failed.contains("slow_polling"), "{failed:?}");
}
