//! Rounds with contenders that behave, and with all kinds that do not.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::measure;
use crate::contract::Unsupported;
use crate::duel::host::{Host, Hosting, InThisProcess, Local, Lost, Request, Response};
use crate::duel::{Contender, Line, Make, Outcome, Plan, Start, Subject};
use crate::workload::Sizes;

/// Operations of a pass that is a whole.
const ALL: Sizes = Sizes { smoke: 3_200, quick: 3_200, full: 3_200 };

/// Spins for a number of steps an operation.
struct Spin(u64);

impl Subject for Spin {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        for step in 0..operations * self.0 {
            black_box(step);
        }
        operations
    }

    fn entries(&self) -> Option<u64> {
        Some(1)
    }
}

/// Works only once it was made ready, which takes far longer than its work.
struct BeginsAnew(Start, AtomicBool);

impl Subject for BeginsAnew {
    fn before_pass(&self) -> Start {
        assert!(!self.1.swap(true, Ordering::Relaxed), "once a pass");
        Spin(1).run(0, 0, 1_000_000);
        self.0
    }

    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        assert!(self.1.load(Ordering::Relaxed), "before the pass");
        let is_whole = operations == ALL.smoke;
        assert!(is_whole || self.0 == Start::Warm, "a cold pass begins with its first operation");
        self.1.store(!is_whole, Ordering::Relaxed);
        Spin(10).run(thread, round, operations)
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

fn contender(name: &'static str, ours: bool, make: Make) -> Contender {
    Contender { name, version: "0", ours, make }
}

fn line(contenders: Vec<Contender>) -> Line {
    Line::new("test", "spin", 1, contenders)
}

fn spinning(ours: Make, peer: Make) -> Line {
    line(vec![contender("ours", true, ours), contender("peer", false, peer)])
}

const PLAN: Plan = Plan { episodes: 5, rounds: 5, part_ns: 50_000, ..Plan::SMOKE };

fn measured(line: &Line, plan: &Plan) -> Outcome {
    measure(line, plan, &InThisProcess, &mut || {})
}

#[test]
fn a_pass_begins_anew_outside_its_time() {
    let measured_as = |anew: Make| {
        let line = spinning(anew, |_| Ok(Box::new(Spin(10)))).exactly(ALL);
        measured(&line, &PLAN)
    };
    let warm = measured_as(|_| Ok(Box::new(BeginsAnew(Start::Warm, AtomicBool::new(false)))));
    assert!(warm.failures.is_empty(), "{:?}", warm.failures);
    let cpu = warm.ratios.iter().find(|it| it.metric != "throughput").expect("processor time");
    assert!((0.5..2.0).contains(&cpu.ratio), "thirty times the work was not timed: {cpu:?}");
    // It does a thirtieth less than the other, and is found out: the figures are of all passes.
    let cold = measured_as(|_| Ok(Box::new(BeginsAnew(Start::Cold, AtomicBool::new(false)))));
    assert!(cold.failures.iter().all(|it| it.reason.contains("other work")), "{cold:?}");
}

/// Whose passes were run, in the order in which they were.
static PASSES: Mutex<Vec<&str>> = Mutex::new(Vec::new());

struct Noting(&'static str);

impl Subject for Noting {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        if operations == ALL.smoke {
            PASSES.lock().expect("no holder of this lock panics").push(self.0);
        }
        operations
    }
}

#[test]
fn each_order_is_followed_by_its_reverse() {
    let line = || spinning(|_| Ok(Box::new(Noting("ours"))), |_| Ok(Box::new(Noting("peer"))));
    let passes = |line: &Line| {
        // A costly line has a third of the episodes.
        measured(line, &Plan { episodes: 12, ..PLAN });
        std::mem::take(&mut *PASSES.lock().expect("no holder of this lock panics"))
    };
    let there_and_back = |passes: &[&str]| {
        passes.chunks(4).all(|it| it[0] != it[1] && it[0] == it[3] && it[1] == it[2])
    };
    let in_a_round = passes(&line().exactly(ALL));
    assert!(in_a_round.len() == 12 * 4 && there_and_back(&in_a_round), "{in_a_round:?}");
    let in_two_rounds = passes(&line().exactly(ALL).costly());
    assert!(in_two_rounds.len() == 4 * 2 && there_and_back(&in_two_rounds), "{in_two_rounds:?}");
}

/// What hosts were asked, in the order in which they were.
type Asked = Rc<RefCell<Vec<String>>>;

struct Listening(Asked);

struct ListeningHost {
    inner: Local,
    asked: Asked,
}

impl ListeningHost {
    fn note(&self, what: &str, request: &Request) {
        if let Request::SetUp { contender, .. } = request {
            self.asked.borrow_mut().push(format!("{what} {contender}"));
        }
    }
}

impl Host for ListeningHost {
    fn begin(&mut self, request: &Request) {
        self.note("begin", request);
    }

    fn call(&mut self, request: &Request, limit: Duration) -> Result<Response, Lost> {
        self.note("call", request);
        self.inner.call(request, limit)
    }
}

impl Hosting for Listening {
    fn host(&self, line: &Line, _: &str) -> Result<Box<dyn Host>, Lost> {
        let (inner, asked) = (Local::new(line.clone()), Rc::clone(&self.0));
        Ok(Box::new(ListeningHost { inner, asked }))
    }
}

#[test]
fn processes_of_their_own_set_up_at_once() {
    let line = || spinning(|_| Ok(Box::new(Spin(10))), |_| Ok(Box::new(Spin(10))));
    let plan = Plan { episodes: 1, ..PLAN };
    let asked_on = |line: &Line| {
        let asked = Asked::default();
        measure(line, &plan, &Listening(Rc::clone(&asked)), &mut || {});
        asked.take()
    };
    let calls = ["call ours", "call peer"];
    assert_eq!(asked_on(&line()), calls, "one process does one thing after the other");
    let at_once = asked_on(&line().separate());
    assert_eq!(at_once, [["begin ours", "begin peer"], calls].concat());
}

#[test]
fn a_known_factor_is_found() {
    let line = spinning(|_| Ok(Box::new(Spin(10))), |_| Ok(Box::new(Spin(30))));
    // Other programs take processors away from either side, which processor time does not show and
    // throughput does. So one of five measurements has to be left alone by them.
    let undisturbed = (0..5).any(|_| {
        let outcome = measured(&line, &PLAN);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(outcome.rows.len(), 4);
        assert_eq!(outcome.ratios.len(), 2);
        outcome.ratios.iter().all(|ratio| {
            assert!(ratio.best_peer);
            assert!(ratio.lo <= ratio.ratio && ratio.ratio <= ratio.hi, "{ratio:?}");
            let holds = (2.6..3.4).contains(&ratio.ratio);
            assert!(holds || ratio.metric == "throughput", "{ratio:?}");
            holds
        })
    });
    assert!(undisturbed, "the factor is three");
}

/// The interval of the processor time that one of two takes for each of the other's.
fn processor_time(line: &Line, part_ns: u64) -> RangeInclusive<f64> {
    let plan = Plan { episodes: 6, rounds: 4, part_ns, ..Plan::SMOKE };
    let outcome = measured(line, &plan);
    let ratio = outcome.ratios.iter().find(|ratio| ratio.metric == "cpu_per_op");
    let ratio = ratio.expect("both stood to the end");
    ratio.lo..=ratio.hi
}

/// On the real machine: of 100 duels of two copies of one program, at least 90 hold one.
#[test]
fn two_identical_contenders_are_told_to_be_equal() {
    let line = spinning(|_| Ok(Box::new(Spin(10))), |_| Ok(Box::new(Spin(10))));
    let held = (0..100).filter(|_| processor_time(&line, 20_000).contains(&1.0)).count();
    assert!(held >= 90, "only {held} of 100 intervals hold one");
}

/// On the real machine: of 30 duels of a program and one that does three times as much, at least 27
/// hold three, and are of some use. The parts are so long that what the clock costs, the same for
/// both, is no part of the factor.
#[test]
fn a_contender_slowed_by_a_known_factor_is_told_to_be() {
    let line = spinning(|_| Ok(Box::new(Spin(10))), |_| Ok(Box::new(Spin(30))));
    let intervals: Vec<_> = (0..30).map(|_| processor_time(&line, 1_000_000)).collect();
    let of_use = |it: &&RangeInclusive<f64>| *it.start() > 2.5 && *it.end() < 3.5;
    let held = intervals.iter().filter(of_use).filter(|it| it.contains(&3.0)).count();
    assert!(held >= 27, "only {held} of 30 intervals hold three: {intervals:?}");
}

#[test]
fn who_panics_cheats_or_declines_is_out_and_the_others_stay() {
    let line = line(vec![
        contender("ours", true, |_| Ok(Box::new(Spin(10)))),
        contender("panics", false, |_| Ok(Box::new(Panics))),
        contender("dies young", false, |_| panic!("before it began")),
        contender("cheats", false, |_| Ok(Box::new(Cheats))),
        contender("declines", false, |_| Err(Unsupported("not this one".to_owned()))),
        contender("peer", false, |_| Ok(Box::new(Spin(10)))),
    ]);
    let outcome = measured(&line, &Plan::SMOKE);
    let failures = outcome.failures.iter();
    let out: Vec<_> = failures.map(|line| (line.contender.as_str(), line.fault)).collect();
    let expected = [("panics", true), ("dies young", true), ("cheats", true), ("declines", false)];
    assert_eq!(out, expected);
    assert!(outcome.failures[0].reason.contains("as planned"), "{:?}", outcome.failures[0]);
    assert_eq!(outcome.rows.len(), 4);
    assert!(outcome.ratios.iter().all(|ratio| ratio.peer == "peer"), "{:?}", outcome.ratios);
}

#[test]
fn a_panic_on_two_threads_is_a_panic_and_no_deadlock() {
    let mut line = spinning(|_| Ok(Box::new(Spin(10))), |_| Ok(Box::new(Panics)));
    line.threads = 2;
    let outcome = measured(&line.with_latency(1_000_000), &Plan::SMOKE);
    assert_eq!(outcome.failures.len(), 1);
    assert!(outcome.failures[0].reason.contains("as planned"), "{:?}", outcome.failures[0]);
}

#[test]
fn latency_is_measured_where_it_is_asked_for() {
    let line = spinning(|_| Ok(Box::new(Spin(1))), |_| Ok(Box::new(Spin(1))));
    let outcome = measured(&line.with_latency(100_000), &Plan::SMOKE);
    for metric in ["p50", "p90", "p99", "p999", "max"] {
        let rows = outcome.rows.iter().filter(|row| row.metric == metric && row.median > 0.0);
        assert_eq!(rows.count(), 2, "{metric}: {:?}", outcome.rows);
    }
}

#[test]
fn separate_contenders_are_weighed() {
    let line = spinning(|_| Ok(Box::new(Spin(1))), |_| Ok(Box::new(Spin(1))));
    let outcome = measured(&line.separate(), &Plan::SMOKE);
    for metric in ["peak_rss", "bytes_per_entry"] {
        let rows = outcome.rows.iter().filter(|row| row.metric == metric);
        assert_eq!(rows.count(), 2, "{metric}: {:?}", outcome.rows);
    }
    let ratio = outcome.ratios.iter().find(|ratio| ratio.metric == "peak_rss");
    assert!(ratio.is_some_and(|ratio| ratio.ratio > 0.0));
}

/// Hosts of which one is lost while `culprit` runs, in this round.
struct Fragile {
    culprit: &'static str,
    round: u64,
    passes_left: Rc<Cell<usize>>,
    made: Cell<usize>,
}

struct FragileHost {
    inner: Local,
    culprit: &'static str,
    round: u64,
    passes_left: Rc<Cell<usize>>,
}

impl Host for FragileHost {
    fn call(&mut self, request: &Request, limit: Duration) -> Result<Response, Lost> {
        let Request::Run { contender, round, .. } = request else {
            return self.inner.call(request, limit);
        };
        if contender == self.culprit && *round == self.round {
            match self.passes_left.get().checked_sub(1) {
                Some(left) => self.passes_left.set(left),
                None => return Err(Lost::Hung(limit)),
            }
        }
        self.inner.call(request, limit)
    }
}

impl Hosting for Fragile {
    fn host(&self, line: &Line, _: &str) -> Result<Box<dyn Host>, Lost> {
        self.made.set(self.made.get() + 1);
        let inner = Local::new(line.clone());
        let passes_left = Rc::clone(&self.passes_left);
        let Self { culprit, round, .. } = *self;
        Ok(Box::new(FragileHost { inner, culprit, round, passes_left }))
    }
}

#[test]
fn a_lost_process_costs_the_others_one_round_at_most() {
    let line = line(vec![
        contender("ours", true, |_| Ok(Box::new(Spin(10)))),
        contender("hangs", false, |_| Ok(Box::new(Spin(10)))),
        contender("peer", false, |_| Ok(Box::new(Spin(10)))),
    ]);
    // Round 0 is the calibration. Who is lost in the last round of an episode is not made up for:
    // the next one begins with new processes anyway.
    let cases = [(0, 0, 1), (1, 0, 1), (1, 1, 1), (11, 0, 1), (21, 1, 1), (5, 0, 0), (25, 1, 0)];
    for (round, passes, more) in cases {
        let passes_left = Rc::new(Cell::new(passes));
        let hosting = Fragile { culprit: "hangs", round, passes_left, made: Cell::new(0) };
        let outcome = measure(&line, &PLAN, &hosting, &mut || {});
        let failures: Vec<_> = outcome.failures.iter().map(|it| it.contender.as_str()).collect();
        assert_eq!(failures, ["hangs"]);
        assert!(outcome.failures[0].fault && outcome.failures[0].reason.contains("60 s"));
        let made = hosting.made.get();
        assert_eq!(made, PLAN.episodes + more, "lost in round {round}: processes for episodes");
        let rounds: Vec<_> = outcome.rows.iter().map(|row| row.rounds).collect();
        let planned = PLAN.episodes * PLAN.rounds;
        assert!(rounds.iter().all(|&it| it >= planned - 1 && it == rounds[0]), "{rounds:?}");
    }
}

#[test]
fn a_line_without_time_has_the_fewest_rounds_and_says_so() {
    let line = spinning(|_| Ok(Box::new(Spin(10))), |_| Ok(Box::new(Spin(10))));
    let mut steps = 0;
    let plan = Plan { budget: Some(Duration::ZERO), ..PLAN };
    let outcome = measure(&line, &plan, &InThisProcess, &mut || steps += 1);
    assert_eq!(steps, PLAN.episodes, "the bar gets to its end");
    assert!(outcome.rows.iter().all(|row| row.rounds == 4), "one round in each of four episodes");
}

struct NoHosts;

impl Hosting for NoHosts {
    fn host(&self, _: &Line, _: &str) -> Result<Box<dyn Host>, Lost> {
        Err(Lost::NotStarted("no processes left".to_owned()))
    }
}

#[test]
fn where_no_process_can_be_had_every_contender_says_so() {
    let line = spinning(|_| Ok(Box::new(Spin(1))), |_| Ok(Box::new(Spin(1))));
    let outcome = measure(&line, &PLAN, &NoHosts, &mut || {});
    assert!(outcome.rows.is_empty() && outcome.ratios.is_empty());
    assert_eq!(outcome.failures.len(), 2);
    assert!(outcome.failures[1].reason.contains("no processes left"));
}
