use std::hint::black_box;

use super::{Plan, measure};
use crate::contract::Unsupported;
use crate::duel::{Contender, Line, Subject};

/// Spins for a number of steps an operation.
struct Spin(u64);

impl Subject for Spin {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        for step in 0..operations * self.0 {
            black_box(step);
        }
        operations
    }
}

struct Panics;

impl Subject for Panics {
    fn run(&self, _: usize, _: u64, _: u64) -> u64 {
        panic!("as planned");
    }
}

struct Cheats;

impl Subject for Cheats {
    fn run(&self, _: usize, _: u64, _: u64) -> u64 {
        0
    }
}

type Make = fn() -> Result<Box<dyn Subject>, Unsupported>;

fn contender(name: &'static str, ours: bool, make: Make) -> Contender {
    Contender { name, version: "0", ours, make }
}

fn line(contenders: Vec<Contender>) -> Line {
    Line { build: "test", workload: "spin", threads: 1, contenders }
}

const PLAN: Plan = Plan { episodes: 5, rounds: 5, part_ns: 50_000 };

#[test]
fn a_known_factor_is_found() {
    let line = line(vec![
        contender("ours", true, || Ok(Box::new(Spin(10)))),
        contender("slow", false, || Ok(Box::new(Spin(30)))),
    ]);
    let (rows, ratios, failures) = measure(&line, &PLAN, &mut |_, _, _| {});
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(rows.len(), 4);
    for ratio in &ratios {
        assert!(ratio.best_peer);
        assert!((2.7..3.3).contains(&ratio.ratio), "{ratio:?}");
        assert!(ratio.lo <= ratio.ratio && ratio.ratio <= ratio.hi, "{ratio:?}");
    }
}

#[test]
fn who_panics_cheats_or_declines_is_out_and_the_others_stay() {
    let line = line(vec![
        contender("ours", true, || Ok(Box::new(Spin(10)))),
        contender("panics", false, || Ok(Box::new(Panics))),
        contender("cheats", false, || Ok(Box::new(Cheats))),
        contender("declines", false, || Err(Unsupported("not this one".to_owned()))),
        contender("peer", false, || Ok(Box::new(Spin(10)))),
    ]);
    let (rows, ratios, failures) = measure(&line, &Plan::SMOKE, &mut |_, _, _| {});
    let out: Vec<_> = failures.iter().map(|line| (line.contender.as_str(), line.fault)).collect();
    assert_eq!(out, [("panics", true), ("cheats", true), ("declines", false)]);
    assert_eq!(rows.len(), 4);
    assert!(ratios.iter().all(|ratio| ratio.peer == "peer"), "{ratios:?}");
}
