use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::SeveralQuotas;
use crate::live::tests::{Oracle, Parts, Step, parts, quota, steps};
use crate::{Carry, Clock, Decision, ManualClock, Quota};

proptest! {
    /// Each bucket is the exact one, whatever is taken from all, given back, or changed of one.
    #[test]
    fn every_bucket_is_its_definition(first in vec(parts(), 1..4), steps in steps(), which: usize) {
        let quotas: Vec<Quota> = first.iter().copied().map(quota).collect();
        let limiter = SeveralQuotas::with_clock(&quotas, ManualClock::default());
        let mut kept: Vec<(Parts, Oracle)> =
            first.into_iter().map(|parts| (parts, Oracle::new(parts))).collect();
        for (turn, step) in steps.into_iter().enumerate() {
            match step {
                Step::Advance(nanos) => {
                    limiter.clock().advance(Duration::from_nanos(nanos));
                    for (_, bucket) in &mut kept {
                        bucket.advance(nanos);
                    }
                }
                Step::Check(cells) => check(&limiter, &mut kept, cells)?,
                Step::Refund(cells) => {
                    limiter.refund(cells);
                    for (_, bucket) in &mut kept {
                        bucket.refund(cells);
                    }
                }
                Step::Change(parts, carry) => {
                    let number = which.wrapping_add(turn) % kept.len();
                    limiter.set_quota(number, quota(parts), carry);
                    kept[number].0 = parts;
                    kept[number].1.change(parts, carry);
                }
            }
            let expected: Vec<Quota> = kept.iter().map(|(parts, _)| quota(*parts)).collect();
            prop_assert_eq!(limiter.quotas(), expected);
        }
    }
}

fn check(
    limiter: &SeveralQuotas<ManualClock>,
    kept: &mut [(Parts, Oracle)],
    cells: u64,
) -> Result<(), TestCaseError> {
    let peeked = limiter.peek_at(limiter.clock().now(), cells);
    let decision = limiter.check_n(cells);
    prop_assert_eq!(peeked, decision);
    match decision {
        Decision::Admitted => {
            for (_, bucket) in kept {
                prop_assert!(bucket.admits(cells), "{:?}", bucket);
                bucket.take(cells);
            }
        }
        Decision::Denied(denial) => {
            let wait = kept.iter().map(|(_, bucket)| bucket.wait(cells)).max();
            prop_assert_eq!(Some(denial.retry_after().as_nanos()), wait);
        }
        Decision::Impossible { burst } => {
            prop_assert_eq!(Some(burst), kept.iter().map(|(parts, _)| parts.2).min());
            prop_assert!(cells > burst);
        }
    }
    Ok(())
}

/// The panic for a quota that there is not leaves the limiter to all others.
#[test]
fn quotas_that_there_are_not_do_no_harm() {
    let limiter = SeveralQuotas::with_clock(&[Quota::per_hour(1).unwrap()], ManualClock::default());
    let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        limiter.set_quota(1, Quota::per_hour(2).unwrap(), Carry::Full);
    }));
    assert!(changed.is_err(), "there is one quota");
    assert!(limiter.check().is_admitted());
}
