//! Rate limiters under `check::suite::limiter`.

use benches::adapters::{governor, rate_limiter, ratelimit};
use harness::check::suite::limiter::examine;
use harness::contract::Limiter;

use crate::known::{Examined, require};

/// Ours fails nothing. Behind what the peers fail: governor counts an interval in whole
/// nanoseconds and multiplies without a check; ratelimit drops what is left of a cell at each
/// refill. leaky-bucket has no clock that a test could set, so that its decisions cannot be judged.
#[test]
fn peers_fail_what_is_written_down_and_ours_nothing() {
    let ours = examine::<rate_limiter::Steered>();
    assert_eq!(ours.findings, []);
    let peers = [
        Examined {
            contender: governor::Steered::NAME,
            version: "0.10.4",
            report: examine::<governor::Steered>(),
        },
        Examined {
            contender: ratelimit::Steered::NAME,
            version: "2.0.0",
            report: examine::<ratelimit::Steered>(),
        },
    ];
    require("rate-limiter", &peers);
}
