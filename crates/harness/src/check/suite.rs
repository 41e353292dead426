//! Conformance suites: what every system of a family must do, as properties to be tried.
//!
//! A *property* is a function that examines one implementation of a contract and notes down each
//! [`Finding`]: what was asked, what the contract demands, what came back. The same functions
//! serve two purposes:
//!
//! ```text
//!   limiter_suite!(direct, Direct);         a module of #[test]s; a finding fails the test
//!   limiter::examine::<Peer>() -> Report    findings as data, for the table of what peers do
//! ```
//!
//! | family                   | macro                    | subject                           |
//! |--------------------------|--------------------------|-----------------------------------|
//! | [`map`]                  | `map_suite!`             | `ConcurrentMap<u64, u64>`         |
//! | [`ordered_store`]        | `ordered_store_suite!`   | `OrderedStore`                    |
//! | [`limiter`]              | `limiter_suite!`         | `SteeredLimiter`                  |
//! | [`allocator`]            | `allocator_suite!`       | `Allocator`                       |
//! | [`consensus`]            | `consensus_suite!`       | `Consensus`                       |
//!
//! ```
//! use harness::model::ModelLimiter;
//!
//! harness::limiter_suite!(model, ModelLimiter, keyed);
//!
//! # fn main() {
//! let report = harness::check::suite::limiter::examine_keyed::<ModelLimiter>();
//! assert_eq!(report.findings, []);
//! # }
//! ```
//!
//! A suite is itself tested: the model of its family passes, and each of a set of planted bugs is
//! found by the property that is named for it.
//!
//! # Seeds and replay
//!
//! Random cases come from one seed, printed with every failure together with the shrunk case and
//! the command that runs it again. `SEED` in the environment replaces the seed. Where real threads
//! take part the seed determines what each of them does and not how they interleave; such a
//! failure may need the command to be repeated.
//!
//! # What this module does not do
//!
//! It knows no implementation: builds, peers and exercises bring theirs to it.

/// Makes one test for each planted bug: every property that is named for it must find it.
#[cfg(test)]
macro_rules! found_by {
    ($planted:ident: $($test:ident: $bug:ident by $($property:ident),+;)+) => {$(
        #[test]
        fn $test() {
            $(
                let mut examination = $crate::check::suite::Examination::new();
                $property::<$planted<$bug>>(&mut examination);
                let findings = examination.into_report().findings;
                assert!(!findings.is_empty(), "{} did not find it", stringify!($property));
            )+
        }
    )+};
}

pub mod allocator;
pub mod consensus;
pub mod limiter;
pub mod map;
pub mod ordered_store;

mod examination;
mod fresh;
mod together;

pub use examination::{Examination, Finding, Mismatch, Report, require};

/// Makes one `#[test]` for each property of a family; the suites' own macros call it.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_properties {
    ($family:ident, $subject:ty: $($property:ident),+ $(,)?) => {$(
        #[test]
        fn $property() {
            $crate::check::suite::require(
                env!("CARGO_PKG_NAME"),
                concat!(module_path!(), "::", stringify!($property)),
                |examination| {
                    $crate::check::suite::$family::$property::<$subject>(examination);
                },
            );
        }
    )+};
}
